//! What a worker gives up before it reads a document: files, network, other processes, and all system calls but a few.
//!
//! Three fences stand one inside the other, so that each covers what another lacks: resource limits, which every kernel
//! has; Landlock, which closes the file system, TCP, abstract sockets and signals; and a seccomp filter, which leaves only the calls
//! that reading and answering need. [`probe`] tells which of the last two this kernel has.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetError, RulesetStatus, Scope};
use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

use super::protocol::Request;

/// Descriptors a worker may hold: input, output, errors. None is left to open a file or a socket with.
const DESCRIPTORS: u64 = 3;
/// The newest Landlock interface we know by name; older kernels apply what they have.
const LANDLOCK: ABI = ABI::V6;

/// The calls that reading a document and answering need. Memory, the three open descriptors, time, chance, and an end; a worker
/// starts no thread. Whatever else is called fails as not permitted.
const CALLS: &[libc::c_long] = &[
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_lseek,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    libc::SYS_getrandom,
    libc::SYS_clock_gettime,
    libc::SYS_sched_yield,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Which fences this kernel has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sandbox {
    /// Whether Landlock applies all that we ask of it.
    pub landlock: bool,
    /// Whether system calls are filtered.
    pub seccomp: bool,
}

impl Sandbox {
    /// Whether a worker that is taken over reaches nothing: the filter alone sees to that.
    #[must_use]
    pub fn holds(self) -> bool {
        self.seccomp
    }
}

impl fmt::Display for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.seccomp, self.landlock) {
            (true, true) => "system calls are filtered, files and network are closed",
            (true, false) => {
                "system calls are filtered; this kernel has no Landlock, or an older one, as a second fence"
            }
            (false, true) => "files and TCP are closed; this kernel does not filter system calls",
            (false, false) => "limits on memory and time alone: this kernel has neither seccomp nor Landlock",
        })
    }
}

/// Tries the fences on a thread of its own, which they bind and no other.
#[must_use]
pub fn probe() -> Sandbox {
    let tried = std::thread::spawn(|| Sandbox {
        landlock: matches!(forbid_files_and_network(), Ok(RulesetStatus::FullyEnforced)),
        seccomp: filter_calls().is_ok(),
    });
    tried.join().unwrap_or(Sandbox { landlock: false, seccomp: false })
}

/// Gives up, for good, what reading a document does not need.
///
/// # Errors
/// When a limit cannot be set, or `request.require_sandbox` and this kernel does not filter system calls.
pub(super) fn confine(request: &Request) -> io::Result<()> {
    // A parent that dies cannot kill its worker when time is up.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    limit(Resource::Core, 0)?;
    limit(Resource::Fsize, 0)?;
    limit(Resource::Nproc, 0)?;
    limit(Resource::As, request.memory_mib << 20)?;
    // A second between the two, as only the softer one names itself in the signal.
    let cpu = Rlimit { current: Some(request.cpu_seconds), maximum: Some(request.cpu_seconds + 1) };
    setrlimit(Resource::Cpu, cpu)?;
    // A kernel without Landlock is no reason not to serve: `probe` has told it at the start.
    let _ = forbid_files_and_network();
    // After the step above, which needs a descriptor.
    limit(Resource::Nofile, DESCRIPTORS)?;
    match filter_calls() {
        Err(error) if request.require_sandbox => Err(io::Error::other(error)),
        _ => Ok(()),
    }
}

fn limit(resource: Resource, most: u64) -> io::Result<()> {
    Ok(setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?)
}

/// Closes the file system, the network and other processes to this thread; says how much of that the kernel knows.
fn forbid_files_and_network() -> Result<RulesetStatus, RulesetError> {
    let restricted = Ruleset::default()
        .handle_access(AccessFs::from_all(LANDLOCK))?
        .handle_access(AccessNet::from_all(LANDLOCK))?
        .scope(Scope::from_all(LANDLOCK))?
        .create()?
        .restrict_self()?;
    Ok(restricted.ruleset)
}

/// Leaves this thread the calls of [`CALLS`], memory that is not executable, and a signal to itself, by which an abort ends.
fn filter_calls() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = CALLS.iter().map(|call| (*call, Vec::new())).collect();
    let not_executable = unless_set(2, libc::PROT_EXEC)?;
    rules.insert(libc::SYS_mmap, vec![not_executable.clone()]);
    rules.insert(libc::SYS_mprotect, vec![not_executable]);
    rules.insert(libc::SYS_tgkill, vec![is(0, std::process::id())?]);
    let not_permitted = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let machine = std::env::consts::ARCH.try_into()?;
    let program: BpfProgram = SeccompFilter::new(rules, not_permitted, SeccompAction::Allow, machine)?.try_into()?;
    Ok(seccompiler::apply_filter(&program)?)
}

/// Holds when argument `index` has none of the bits `flag`.
fn unless_set(index: u8, flag: libc::c_int) -> Result<SeccompRule, seccompiler::BackendError> {
    let masked = SeccompCmpOp::MaskedEq(u64::from(flag.unsigned_abs()));
    SeccompRule::new(vec![SeccompCondition::new(index, SeccompCmpArgLen::Dword, masked, 0)?])
}

/// Holds when argument `index` is `value`.
fn is(index: u8, value: u32) -> Result<SeccompRule, seccompiler::BackendError> {
    let condition = SeccompCondition::new(index, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, u64::from(value))?;
    SeccompRule::new(vec![condition])
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::unix::net::UnixDatagram;

    use rustix::process::getrlimit;

    use super::*;

    type Attempt = Box<dyn Fn() -> io::Result<()> + Send>;

    /// What a worker that was taken over would try, each with a name.
    fn attempts() -> Vec<(&'static str, Attempt)> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap().keep();
        let file = folder.join("file");
        std::fs::write(&file, "text").unwrap();
        let [read, write, change] = [(); 3].map(|()| file.clone());
        let parent = rustix::process::getppid().unwrap();
        let now = getrlimit(Resource::Nofile);
        vec![
            ("read a file", Box::new(move || std::fs::read(&read).map(drop))),
            ("write a file", Box::new(move || std::fs::write(&write, "other"))),
            (
                "change a file's mode",
                Box::new(move || {
                    std::fs::set_permissions(&change, std::os::unix::fs::PermissionsExt::from_mode(0o777))
                }),
            ),
            ("list a folder", Box::new(|| std::fs::read_dir("/").map(drop))),
            ("connect", Box::new(move || TcpStream::connect(address).map(drop))),
            ("listen", Box::new(|| TcpListener::bind("127.0.0.1:0").map(drop))),
            ("send a datagram", Box::new(|| UdpSocket::bind("127.0.0.1:0").map(drop))),
            ("speak to a local socket", Box::new(|| UnixDatagram::unbound().map(drop))),
            ("start a program", Box::new(|| std::process::Command::new("/bin/true").status().map(drop))),
            ("signal the parent", Box::new(move || Ok(rustix::process::test_kill_process(parent)?))),
            // To what it is: the test's own process must go on.
            ("change a limit", Box::new(move || Ok(setrlimit(Resource::Nofile, now)?))),
        ]
    }

    /// Runs every attempt on a thread that `confine` bound first; the names of those that came through.
    fn reached(confine: impl FnOnce() -> bool + Send + 'static) -> Option<Vec<&'static str>> {
        let attempts = attempts();
        let tried = std::thread::spawn(move || {
            confine().then(|| attempts.iter().filter(|(_, attempt)| attempt().is_ok()).map(|(name, _)| *name).collect())
        });
        tried.join().unwrap()
    }

    #[test]
    fn filtered_calls_reach_no_file_no_address_and_no_process() {
        match reached(|| filter_calls().is_ok()) {
            Some(reached) => assert_eq!(reached, [""; 0]),
            None => eprintln!("skipped: this kernel filters no system calls"),
        }
    }

    #[test]
    fn landlock_alone_closes_files_and_tcp() {
        let reached = reached(|| matches!(forbid_files_and_network(), Ok(RulesetStatus::FullyEnforced)));
        let Some(reached) = reached else {
            return eprintln!("skipped: this kernel knows no Landlock, or an older one");
        };
        for closed in ["read a file", "write a file", "list a folder", "connect", "listen", "start a program"] {
            assert!(!reached.contains(&closed), "{closed}");
        }
    }

    #[test]
    fn a_filtered_thread_can_still_compute_and_end() {
        let worked = std::thread::spawn(|| {
            let filtered = filter_calls().is_ok();
            let mut words: Vec<String> = (0..10_000).map(|n| format!("word {n} {}", "x".repeat(n % 300))).collect();
            words.sort();
            (filtered, words.len(), std::time::Instant::now().elapsed().as_secs() < 60)
        });
        let (filtered, words, _) = worked.join().unwrap();
        assert_eq!(words, 10_000);
        assert_eq!(filtered, probe().seccomp);
    }
}
