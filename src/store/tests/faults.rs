//! A disk that dies, refuses or loses power at each step.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use rustix::io::Errno;

use super::*;

/// What happens at the chosen step.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// The process dies: neither this step nor any later one happens, but half of a write may.
    Dies,
    /// This step alone is refused.
    Refuses(Errno),
}

#[derive(Debug)]
struct FaultyDisk {
    fault: Fault,
    at: usize,
    step: AtomicUsize,
}

impl FaultyDisk {
    fn new(fault: Fault, at: usize) -> Arc<Self> {
        Arc::new(Self { fault, at, step: AtomicUsize::new(0) })
    }

    fn met(&self) -> bool {
        self.step.load(Ordering::SeqCst) > self.at
    }

    fn step<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let step = self.step.fetch_add(1, Ordering::SeqCst);
        match self.fault {
            Fault::Dies if step >= self.at => Err(Errno::IO.into()),
            Fault::Refuses(errno) if step == self.at => Err(errno.into()),
            _ => work(),
        }
    }
}

impl Disk for FaultyDisk {
    fn make_folder(&self, parent: &Folder, name: &str) -> io::Result<()> {
        self.step(|| RealDisk.make_folder(parent, name))
    }
    fn create(&self, folder: &Folder, name: &str) -> io::Result<File> {
        self.step(|| RealDisk.create(folder, name))
    }
    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        let written = self.step(|| RealDisk.write(file, bytes));
        if written.is_err() {
            RealDisk.write(file, &bytes[..bytes.len() / 2])?;
        }
        written
    }
    fn sync(&self, file: &File) -> io::Result<()> {
        self.step(|| RealDisk.sync(file))
    }
    fn rename(&self, folder: &Folder, from: &str, to: &str) -> io::Result<()> {
        self.step(|| RealDisk.rename(folder, from, to))
    }
    fn remove(&self, folder: &Folder, name: &str) -> io::Result<()> {
        self.step(|| RealDisk.remove(folder, name))
    }
    fn sync_folder(&self, folder: &Folder) -> io::Result<()> {
        self.step(|| RealDisk.sync_folder(folder))
    }
}

/// Runs `act` over a store that holds `a` = "old", with the fault at every step in turn, until it is met no more.
async fn at_every_step(
    fault: Fault,
    act: impl AsyncFn(&TenantDocuments) -> Result<(), StoreError>,
    check: impl Fn(&Fixture, Result<(), StoreError>, usize),
) {
    for at in 0.. {
        let fixture = Fixture::new();
        upload(&fixture.documents, "a", "old").await.unwrap();
        let disk = FaultyDisk::new(fault, at);
        let store = DocumentStore::with_disk(fixture.root.path(), disk.clone());
        let result = act(&store.tenant(&tenant("acme")).unwrap()).await;
        drop(store);
        if !disk.met() {
            assert!(result.is_ok() && at > 2, "{at} steps");
            return;
        }
        check(&fixture, result, at);
    }
}

async fn replace(documents: &TenantDocuments) -> Result<(), StoreError> {
    upload(documents, "a", "new").await.map(drop)
}

#[tokio::test]
async fn an_upload_that_dies_at_any_step_leaves_the_old_or_the_new_document_whole() {
    at_every_step(Fault::Dies, replace, |fixture, result, at| {
        fixture.documents.sweep().unwrap();
        let text = fixture.text("a").unwrap();
        assert!(text == "new" || (text == "old" && result.is_err()), "step {at}: {text}");
        assert_eq!(fixture.documents.find(&id("a")).unwrap().unwrap().attributes["words"], text);
        assert_eq!((fixture.listed().len(), fixture.files().len()), (1, 2), "step {at}");
    })
    .await;
}

#[tokio::test]
async fn a_removal_that_dies_at_any_step_leaves_the_document_whole_or_gone() {
    let remove = async |documents: &TenantDocuments| documents.remove(&id("a")).map(drop);
    at_every_step(Fault::Dies, remove, |fixture, result, at| {
        fixture.documents.sweep().unwrap();
        let text = fixture.text("a");
        assert!(text.is_none() || (text.as_deref() == Some("old") && result.is_err()), "step {at}: {text:?}");
        assert_eq!(fixture.files().len(), text.map_or(0, |_| 2), "step {at}");
    })
    .await;
}

#[tokio::test]
async fn a_step_that_is_refused_changes_nothing_and_leaves_no_rubbish() {
    for errno in [Errno::NOSPC, Errno::IO, Errno::DQUOT] {
        at_every_step(Fault::Refuses(errno), replace, |fixture, result, at| {
            if let Err(error) = &result {
                assert_eq!(matches!(error, StoreError::NoSpace), errno != Errno::IO, "step {at}: {error}");
            }
            let text = fixture.text("a").unwrap();
            // Only the very last sync leaves it open which of the two stands.
            assert!(result.is_ok() <= (text == "new"), "step {at}: {text}");
            let staged = fixture.files().iter().filter(|name| name.starts_with(".tmp-")).count();
            assert_eq!(staged, 0, "step {at}: {:?}", fixture.files());
            let before = fixture.files();
            fixture.documents.sweep().unwrap();
            assert!(fixture.files() == before || text == "new", "step {at}: {before:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn a_first_upload_that_dies_at_any_step_is_there_whole_or_not_at_all() {
    let first = async |documents: &TenantDocuments| upload(documents, "b", "first").await.map(drop);
    at_every_step(Fault::Dies, first, |fixture, result, at| {
        fixture.documents.sweep().unwrap();
        let text = fixture.text("b");
        assert!(text.as_deref() == Some("first") || (text.is_none() && result.is_err()), "step {at}");
        assert_eq!(fixture.text("a").as_deref(), Some("old"));
    })
    .await;
}

/// One change to a tenant's documents.
#[derive(Debug, Clone)]
enum Change {
    Upload(&'static str, u8),
    Remove(&'static str),
}

fn change() -> impl Strategy<Value = Change> {
    let name = prop_oneof![Just("a"), Just("b")];
    prop_oneof![3 => (name.clone(), 0..4_u8).prop_map(|(name, n)| Change::Upload(name, n)), 1 => name.prop_map(Change::Remove)]
}

/// A body of a few sectors, so that it can tear.
fn body(n: u8) -> String {
    char::from(b'a' + n).to_string().repeat(600 * usize::from(n) + 1)
}

/// A disk that remembers what is durable: until a sync, names and bytes may be lost in any combination.
#[derive(Debug)]
struct UnpluggedDisk {
    steps: AtomicUsize,
    state: Mutex<Platter>,
}

#[derive(Debug, Default)]
struct Platter {
    /// Bytes written and whether they are durable.
    files: Vec<(Vec<u8>, bool)>,
    /// The file that an inode is now; the system uses numbers again.
    inodes: HashMap<u64, usize>,
    /// Names by folder, durable and not yet.
    folders: BTreeMap<u64, Names>,
}

#[derive(Debug, Default)]
struct Names {
    now: BTreeMap<String, usize>,
    durable: BTreeMap<String, usize>,
    pending: Vec<Renaming>,
}

/// A name that goes and one that comes, in one step.
type Renaming = (Option<String>, Option<(String, usize)>);

impl Names {
    fn change(&mut self, gone: Option<&str>, new: Option<(&str, usize)>) {
        let change = (gone.map(str::to_owned), new.map(|(name, file)| (name.to_owned(), file)));
        apply(&mut self.now, &change);
        self.pending.push(change);
    }
}

fn apply(names: &mut BTreeMap<String, usize>, (gone, new): &Renaming) {
    if let Some(gone) = gone {
        names.remove(gone);
    }
    if let Some((name, file)) = new {
        names.insert(name.clone(), *file);
    }
}

impl UnpluggedDisk {
    fn after(steps: usize) -> Arc<Self> {
        Arc::new(Self { steps: AtomicUsize::new(steps), state: Mutex::default() })
    }

    fn step<T>(&self, folder: Option<&Folder>, work: impl FnOnce(&mut Platter, u64) -> io::Result<T>) -> io::Result<T> {
        let left = self.steps.try_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        left.map_err(|_| io::Error::from(Errno::IO))?;
        let number = folder.map_or(0, |folder| File::from(folder.fd().try_clone().unwrap()).metadata().unwrap().ino());
        work(&mut self.state.lock().unwrap(), number)
    }

    /// Writes into `to` what may be left: the durable, and of the rest whatever `seed` lets through.
    fn lose_power(&self, to: &Path, mut seed: u64) {
        let mut chance = move |of: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % of
        };
        let platter = self.state.lock().unwrap();
        for names in platter.folders.values() {
            let mut left = names.durable.clone();
            let mut pending: Vec<_> = names.pending.iter().filter(|_| chance(2) == 0).collect();
            if chance(2) == 0 {
                pending.reverse();
            }
            for change in pending {
                apply(&mut left, change);
            }
            for (name, file) in left {
                let (bytes, durable) = &platter.files[file];
                let kept = if *durable { bytes.len() } else { usize::try_from(chance(3)).unwrap() * 512 };
                fs::write(to.join(name), &bytes[..kept.min(bytes.len())]).unwrap();
            }
        }
    }
}

impl Disk for UnpluggedDisk {
    fn make_folder(&self, parent: &Folder, name: &str) -> io::Result<()> {
        RealDisk.make_folder(parent, name)
    }
    fn create(&self, folder: &Folder, name: &str) -> io::Result<File> {
        self.step(Some(folder), |platter, number| {
            let file = RealDisk.create(folder, name)?;
            platter.inodes.insert(file.metadata()?.ino(), platter.files.len());
            platter.folders.entry(number).or_default().change(None, Some((name, platter.files.len())));
            platter.files.push((Vec::new(), false));
            Ok(file)
        })
    }
    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        self.step(None, |platter, _| {
            let number = platter.inodes[&file.metadata()?.ino()];
            platter.files[number].0.extend_from_slice(bytes);
            platter.files[number].1 = false;
            RealDisk.write(file, bytes)
        })
    }
    fn sync(&self, file: &File) -> io::Result<()> {
        self.step(None, |platter, _| {
            let number = platter.inodes[&file.metadata()?.ino()];
            platter.files[number].1 = true;
            Ok(())
        })
    }
    fn rename(&self, folder: &Folder, from: &str, to: &str) -> io::Result<()> {
        self.step(Some(folder), |platter, number| {
            RealDisk.rename(folder, from, to)?;
            let names = platter.folders.entry(number).or_default();
            let file = names.now[from];
            names.change(Some(from), Some((to, file)));
            Ok(())
        })
    }
    fn remove(&self, folder: &Folder, name: &str) -> io::Result<()> {
        self.step(Some(folder), |platter, number| {
            RealDisk.remove(folder, name)?;
            platter.folders.entry(number).or_default().change(Some(name), None);
            Ok(())
        })
    }
    fn sync_folder(&self, folder: &Folder) -> io::Result<()> {
        self.step(Some(folder), |platter, number| {
            let names = platter.folders.entry(number).or_default();
            names.durable = names.now.clone();
            names.pending.clear();
            Ok(())
        })
    }
}

/// A store whose folder is memory where there is such a folder: hundreds of losses of power would wear a disk, and prove no
/// more on one.
fn in_memory() -> Fixture {
    let root = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    Fixture::on(UnpluggedDisk::after(usize::MAX), root)
}

proptest! {
    #[test]
    fn what_was_acknowledged_outlives_a_loss_of_power_at_any_step(
        changes in prop::collection::vec(change(), 1..8),
        steps in 0..50_usize,
        seeds: [u64; 4],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let fixture = in_memory();
        // The folder itself is made and durable before anything is acknowledged; what counts here is what it holds.
        drop(runtime.block_on(fixture.documents.begin(1)).unwrap());
        let disk = UnpluggedDisk::after(steps);
        let documents = DocumentStore::with_disk(fixture.root.path(), disk.clone()).tenant(&tenant("acme")).unwrap();

        let mut acknowledged: BTreeMap<&str, String> = BTreeMap::new();
        let mut pending = None;
        for change in &changes {
            let done = match change {
                Change::Upload(name, n) => runtime.block_on(upload(&documents, name, &body(*n))).map(drop),
                Change::Remove(name) => documents.remove(&id(name)).map(drop),
            };
            let (name, text) = match change {
                Change::Upload(name, n) => (*name, Some(body(*n))),
                Change::Remove(name) => (*name, None),
            };
            if done.is_err() {
                pending = Some((name, text));
                break;
            }
            match text {
                Some(text) => drop(acknowledged.insert(name, text)),
                None => drop(acknowledged.remove(name)),
            }
        }

        // What is left differs from one loss to the next.
        for seed in seeds {
            let after = in_memory();
            fs::create_dir(after.folder().join("uploads")).unwrap();
            disk.lose_power(&after.folder().join("uploads"), seed);
            after.documents.sweep().unwrap();
            for name in ["a", "b"] {
                let found = after.text(name);
                let may_be = pending.as_ref().filter(|(changed, _)| *changed == name).map(|(_, text)| text);
                prop_assert!(
                    found.as_ref() == acknowledged.get(name) || Some(&found) == may_be,
                    "{}: found {:?}", name, found.map(|text| text.len())
                );
            }
        }
    }
}
