//! The worker: a process of its own that reads one document and can do nothing else.
//!
//! Readers meet whatever strangers upload, so they run where a crash, a loop or a takeover costs one document: no
//! files, no sockets, no children, bounded memory and processor time, and a parent that kills it when time is up.

use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetError, RulesetStatus};
use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};

use crate::ingest::protocol::{MAX_HEADER_BYTES, Request, pack, read_frame, write_frame};
use crate::ingest::{ExtractError, ReadLimits, extract_here};

/// Descriptors a worker may hold: input, output, errors. None is left to open a file or a socket with.
const DESCRIPTORS: u64 = 3;
/// The newest Landlock interface we know by name; older kernels apply what they have.
const LANDLOCK: ABI = ABI::V5;

/// Runs the worker: confines this process, reads one document from standard input, answers on standard output.
///
/// Call it first thing in `main`, before threads or files exist. The exit code says whether an answer was written;
/// whether the document could be read stands in the answer.
pub fn run_worker() -> ExitCode {
    // What a panic prints may quote the document.
    std::panic::set_hook(Box::new(|_| {}));
    match serve(&mut io::stdin().lock(), &mut io::stdout().lock(), confine) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Reads a request, lets `confine` take the rights away, reads the document and answers.
fn serve(
    input: &mut impl Read,
    output: &mut impl Write,
    confine: impl FnOnce(&Request) -> io::Result<()>,
) -> io::Result<()> {
    let request: Request = serde_json::from_slice(&read_frame(input, MAX_HEADER_BYTES)?)?;
    confine(&request)?;
    let bytes = read_frame(input, u32::MAX as usize)?;
    let limits = ReadLimits { max_text_bytes: request.max_text_bytes };
    let result = catch_unwind(AssertUnwindSafe(|| extract_here(&request.name, &bytes, &limits)));
    let (reply, text) = pack(result.unwrap_or_else(|_| Err(ExtractError::crashed())));
    write_frame(output, &serde_json::to_vec(&reply)?)?;
    write_frame(output, text.as_bytes())?;
    output.flush()
}

/// Gives up, for good, what reading a document does not need.
fn confine(request: &Request) -> io::Result<()> {
    // A parent that dies cannot kill its worker when time is up.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    limit(Resource::Core, 0)?;
    limit(Resource::Fsize, 0)?;
    limit(Resource::Nproc, 0)?;
    limit(Resource::As, request.memory_mib << 20)?;
    // A second between the two, as only the softer one names itself in the signal.
    let cpu = Rlimit { current: Some(request.cpu_seconds), maximum: Some(request.cpu_seconds + 1) };
    setrlimit(Resource::Cpu, cpu)?;
    // Best effort: a kernel without Landlock is no reason not to serve, the other limits stand.
    let _ = forbid_files_and_network();
    // Last, as the step above needs a descriptor.
    limit(Resource::Nofile, DESCRIPTORS)
}

fn limit(resource: Resource, most: u64) -> io::Result<()> {
    Ok(setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?)
}

/// Closes the file system and the network to this thread; says how much of that the kernel knows.
fn forbid_files_and_network() -> Result<RulesetStatus, RulesetError> {
    let restricted = Ruleset::default()
        .handle_access(AccessFs::from_all(LANDLOCK))?
        .handle_access(AccessNet::from_all(LANDLOCK))?
        .create()?
        .restrict_self()?;
    Ok(restricted.ruleset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::protocol::unpack;

    fn answer(name: &str, bytes: &[u8]) -> Result<crate::domain::Extracted, ExtractError> {
        let request = Request { name: name.into(), max_text_bytes: 1 << 20, memory_mib: 512, cpu_seconds: 15 };
        let (mut input, mut output) = (Vec::new(), Vec::new());
        write_frame(&mut input, &serde_json::to_vec(&request).unwrap()).unwrap();
        write_frame(&mut input, bytes).unwrap();
        serve(&mut input.as_slice(), &mut output, |_| Ok(())).unwrap();
        let mut output = output.as_slice();
        let reply = read_frame(&mut output, MAX_HEADER_BYTES).unwrap();
        unpack(&reply, read_frame(&mut output, 1 << 20).unwrap())
    }

    #[test]
    fn a_document_goes_in_and_its_text_comes_out() {
        let extracted = answer("notes.md", "# Hello\n\nwörld".as_bytes()).unwrap();
        assert_eq!((extracted.kind.as_str(), extracted.text.as_str()), ("markdown", "# Hello\n\nwörld"));
    }

    #[test]
    fn a_document_that_cannot_be_read_is_an_answer_too() {
        assert_eq!(answer("nothing.txt", b"").unwrap_err().code, "empty_file");
    }

    #[test]
    fn a_confined_thread_reaches_no_file_and_no_address() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "text").unwrap();
        // The rules bind the thread that asks for them and no other.
        let attempts = std::thread::spawn(move || {
            let status = forbid_files_and_network().unwrap();
            let kinds = [
                std::fs::read(&file).err(),
                std::fs::write(&file, "other").err(),
                std::fs::read_dir("/").err(),
                std::net::TcpStream::connect(address).err(),
                std::net::TcpListener::bind("127.0.0.1:0").err(),
            ]
            .map(|error| error.map(|error| error.kind()));
            (status, kinds)
        });
        let (status, kinds) = attempts.join().unwrap();
        if status == RulesetStatus::FullyEnforced {
            assert_eq!(kinds, [Some(io::ErrorKind::PermissionDenied); 5]);
        } else {
            eprintln!("skipped: this kernel knows no Landlock, or an older one");
        }
    }

    #[test]
    fn nothing_is_read_before_the_process_is_confined() {
        let mut wire = Vec::new();
        let request = Request { name: String::new(), max_text_bytes: 1, memory_mib: 1, cpu_seconds: 1 };
        write_frame(&mut wire, &serde_json::to_vec(&request).unwrap()).unwrap();
        let refuse = |_: &Request| Err(io::ErrorKind::PermissionDenied.into());
        let mut output = Vec::new();
        let error = serve(&mut wire.as_slice(), &mut output, refuse).unwrap_err();
        assert_eq!((error.kind(), output.len()), (io::ErrorKind::PermissionDenied, 0));
    }
}
