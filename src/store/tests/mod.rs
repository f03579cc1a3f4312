//! What the store promises, seen from outside; `faults` breaks the disk beneath it.

mod faults;

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

struct Fixture {
    root: TempDir,
    store: DocumentStore,
    documents: TenantDocuments,
}

impl Fixture {
    fn new() -> Self {
        Self::on(Arc::new(RealDisk), tempfile::tempdir().unwrap())
    }

    fn on(disk: Arc<dyn Disk>, root: TempDir) -> Self {
        let store = DocumentStore::with_disk(root.path(), disk);
        let documents = store.tenant(&tenant("acme")).unwrap();
        Self { root, store, documents }
    }

    fn folder(&self) -> PathBuf {
        self.root.path().join("acme")
    }

    fn drop_in(&self, path: &str, text: &str) {
        let path = self.folder().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn listed(&self) -> Vec<String> {
        self.documents.list().unwrap().iter().map(|document| document.id.to_string()).collect()
    }

    fn text(&self, name: &str) -> Option<String> {
        let (_, bytes) = self.documents.read(&id(name)).unwrap()?;
        Some(String::from_utf8(bytes.to_vec()).unwrap())
    }

    /// Names in `uploads/`, sorted.
    fn files(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.folder().join("uploads")) else { return Vec::new() };
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn tenant(text: &str) -> TenantId {
    TenantId::parse(text).unwrap()
}

fn id(text: &str) -> DocumentId {
    DocumentId::parse(text).unwrap()
}

async fn upload(documents: &TenantDocuments, name: &str, text: &str) -> Result<StoredDocument, StoreError> {
    let mut writer = documents.begin(1 << 20).await?;
    writer.write(text.as_bytes()).await?;
    writer.finish(&id(name), name, Attributes::from([("words".into(), text.into())])).await
}

#[tokio::test]
async fn an_upload_is_listed_found_and_read_as_it_was_sent() {
    let fixture = Fixture::new();
    let stored = upload(&fixture.documents, "guide/a.md", "hello").await.unwrap();
    assert_eq!(stored.content_hash, Some(ContentHash::of(b"hello")));
    assert_eq!((stored.origin, stored.bytes), (Origin::Upload, 5));
    assert_eq!(fs::read(&stored.path).unwrap(), b"hello");
    assert_eq!(fixture.documents.list().unwrap(), vec![stored.clone()]);
    assert_eq!(fixture.documents.find(&id("guide/a.md")).unwrap(), Some(stored.clone()));
    assert_eq!(fixture.documents.read(&id("guide/a.md")).unwrap(), Some((stored, "hello".into())));
    assert_eq!(fixture.documents.find(&id("guide")).unwrap(), None);
}

#[tokio::test]
async fn a_large_upload_in_many_pieces_arrives_whole() {
    let fixture = Fixture::new();
    let piece: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let mut writer = fixture.documents.begin(1 << 20).await.unwrap();
    for _ in 0..10 {
        writer.write(&piece).await.unwrap();
    }
    writer.finish(&id("big"), "big", Attributes::new()).await.unwrap();
    let (document, bytes) = fixture.documents.read(&id("big")).unwrap().unwrap();
    assert_eq!((document.bytes, &bytes[..]), (1_000_000, &piece.repeat(10)[..]));
}

#[tokio::test]
async fn a_second_upload_takes_the_place_of_the_first() {
    let fixture = Fixture::new();
    upload(&fixture.documents, "a", "old").await.unwrap();
    upload(&fixture.documents, "a", "new").await.unwrap();
    assert_eq!(fixture.text("a").as_deref(), Some("new"));
    assert_eq!(fixture.files().len(), 2, "one body, one sidecar: {:?}", fixture.files());
}

#[tokio::test]
async fn the_same_bytes_again_keep_their_body_and_change_their_facts() {
    let fixture = Fixture::new();
    upload(&fixture.documents, "a", "same").await.unwrap();
    let mut writer = fixture.documents.begin(10).await.unwrap();
    writer.write(b"same").await.unwrap();
    writer.finish(&id("a"), "other name", Attributes::new()).await.unwrap();
    let (document, bytes) = fixture.documents.read(&id("a")).unwrap().unwrap();
    assert_eq!((document.name.as_str(), &bytes[..]), ("other name", &b"same"[..]));
    assert_eq!(fixture.files().len(), 2);
}

#[tokio::test]
async fn an_upload_that_is_never_finished_leaves_nothing() {
    let fixture = Fixture::new();
    let mut writer = fixture.documents.begin(10).await.unwrap();
    writer.write(b"half").await.unwrap();
    assert_eq!(fixture.files().len(), 1);
    drop(writer);
    assert_eq!(fixture.files(), Vec::<String>::new());
}

#[tokio::test]
async fn one_byte_over_the_limit_is_refused_and_gives_its_space_back_at_once() {
    let fixture = Fixture::new();
    let mut writer = fixture.documents.begin(4).await.unwrap();
    writer.write(b"1234").await.unwrap();
    assert!(matches!(writer.write(b"5").await, Err(StoreError::TooLarge { limit: 4 })));
    assert_eq!(fixture.files(), Vec::<String>::new());
    assert!(matches!(writer.write(b"").await, Err(StoreError::TooLarge { .. })), "a refused piece cannot be skipped");
    assert!(matches!(writer.finish(&id("a"), "a", Attributes::new()).await, Err(StoreError::TooLarge { .. })));
    let mut exact = fixture.documents.begin(4).await.unwrap();
    exact.write(b"1234").await.unwrap();
    assert!(exact.finish(&id("a"), "a", Attributes::new()).await.is_ok());
}

#[tokio::test]
async fn an_empty_upload_is_refused() {
    let fixture = Fixture::new();
    assert!(matches!(upload(&fixture.documents, "a", "").await, Err(StoreError::Empty)));
    assert_eq!(fixture.files(), Vec::<String>::new());
}

#[tokio::test]
async fn attributes_that_could_not_be_read_back_are_refused() {
    let fixture = Fixture::new();
    let mut writer = fixture.documents.begin(10).await.unwrap();
    writer.write(b"x").await.unwrap();
    let huge = Attributes::from([("a".into(), "x".repeat(2 << 20).into())]);
    assert!(matches!(writer.finish(&id("a"), "a", huge).await, Err(StoreError::Io { .. })));
    assert_eq!(fixture.files(), Vec::<String>::new());
}

#[tokio::test]
async fn names_that_a_caller_chose_never_reach_the_disk() {
    let fixture = Fixture::new();
    let names = ["uploads/x.json", "C:evil", "a\u{202e}gpj.exe", ".hidden", ".git/config", "con", &"x".repeat(500)];
    for name in names {
        let mut writer = fixture.documents.begin(10).await.unwrap();
        writer.write(b"text").await.unwrap();
        let stored = writer.finish(&id(name), "../../etc/passwd", Attributes::new()).await.unwrap();
        assert_eq!(stored.name, "../../etc/passwd", "the name is kept as data");
        assert_eq!(fixture.text(name).as_deref(), Some("text"));
    }
    let plain = |name: &String| name.bytes().all(|b| b.is_ascii_hexdigit() || b".json-".contains(&b));
    assert!(fixture.files().iter().all(plain), "{:?}", fixture.files());
    assert_eq!(fixture.files().len(), 2 * names.len());
    assert_eq!(fs::read_dir(fixture.folder()).unwrap().count(), 1);
}

#[test]
fn files_dropped_into_the_folder_are_documents_at_any_depth() {
    let fixture = Fixture::new();
    fixture.drop_in("b.md", "b");
    fixture.drop_in("guide/deep/Straße 1.txt", "deep");
    fixture.drop_in("guide/uploads/a.md", "a");
    assert_eq!(fixture.listed(), ["b.md", "guide/deep/Straße 1.txt", "guide/uploads/a.md"]);
    let (document, bytes) = fixture.documents.read(&id("guide/deep/Straße 1.txt")).unwrap().unwrap();
    assert_eq!((document.name.as_str(), document.origin), ("Straße 1.txt", Origin::Folder));
    assert_eq!((document.content_hash, &bytes[..]), (Some(ContentHash::of(b"deep")), &b"deep"[..]));
    let listed = &fixture.documents.list().unwrap()[1];
    assert_eq!((listed.bytes, listed.modified_ns, listed.content_hash), (4, document.modified_ns, None));
}

#[test]
fn what_is_hidden_linked_reserved_or_unnameable_is_no_document() {
    let fixture = Fixture::new();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret.md"), "secret").unwrap();
    fixture.drop_in(".hidden.md", "x");
    fixture.drop_in(".git/config", "x");
    fixture.drop_in("a/.b/c.md", "x");
    fixture.drop_in("uploads/by-hand.md", "x");
    fixture.drop_in("line\nbreak.md", "x");
    fixture.drop_in("back\\slash.md", "x");
    fs::write(fixture.folder().join(std::ffi::OsStr::from_bytes(b"\xff.md")), "x").unwrap();
    symlink(outside.path().join("secret.md"), fixture.folder().join("link.md")).unwrap();
    symlink(outside.path(), fixture.folder().join("linked")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, fixture.folder().join("pipe.md"), rustix::fs::Mode::RWXU).unwrap();
    assert_eq!(fixture.listed(), Vec::<String>::new());
    for name in
        [".hidden.md", ".git/config", "a/.b/c.md", "uploads/by-hand.md", "link.md", "linked/secret.md", "pipe.md"]
    {
        assert_eq!(fixture.documents.read(&id(name)).unwrap(), None, "{name}");
        assert!(!fixture.documents.remove(&id(name)).unwrap(), "{name}");
    }
    assert!(outside.path().join("secret.md").exists());
}

#[tokio::test]
async fn a_link_in_place_of_a_folder_of_ours_is_never_followed() {
    let fixture = Fixture::new();
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), fixture.folder().join("uploads")).unwrap();
    assert!(upload(&fixture.documents, "a", "x").await.is_err());
    symlink(outside.path(), fixture.root.path().join("other")).unwrap();
    assert!(fixture.store.tenant(&tenant("other")).is_err());
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn an_id_of_the_folder_is_not_overwritten_by_an_upload() {
    let fixture = Fixture::new();
    fixture.drop_in("guide/a.md", "by hand");
    let refused = upload(&fixture.documents, "guide/a.md", "uploaded").await;
    assert!(matches!(refused, Err(StoreError::InFolder(taken)) if taken == id("guide/a.md")));
    assert_eq!(fixture.text("guide/a.md").as_deref(), Some("by hand"));
    assert_eq!(fixture.files(), Vec::<String>::new());
}

#[tokio::test]
async fn a_file_dropped_over_an_upload_covers_it_and_goes_together_with_it() {
    let fixture = Fixture::new();
    upload(&fixture.documents, "a.md", "uploaded").await.unwrap();
    fixture.drop_in("a.md", "by hand");
    assert_eq!(fixture.listed(), ["a.md"]);
    assert_eq!(fixture.text("a.md").as_deref(), Some("by hand"));
    assert!(fixture.documents.remove(&id("a.md")).unwrap());
    assert_eq!(fixture.text("a.md"), None, "the upload does not come back in its place");
}

#[tokio::test]
async fn what_was_removed_is_gone_and_removing_it_again_says_so() {
    let fixture = Fixture::new();
    upload(&fixture.documents, "up", "x").await.unwrap();
    fixture.drop_in("below/file.md", "x");
    for name in ["up", "below/file.md"] {
        assert!(fixture.documents.remove(&id(name)).unwrap());
        assert!(!fixture.documents.remove(&id(name)).unwrap());
    }
    assert_eq!((fixture.listed(), fixture.files()), (Vec::new(), Vec::new()));
}

#[tokio::test]
async fn two_uploads_of_one_id_at_once_end_as_one_of_them_whole() {
    let fixture = Fixture::new();
    for round in 0..10 {
        let (one, two) = (format!("one {round}"), format!("two {round}"));
        let (a, b) = tokio::join!(upload(&fixture.documents, "a", &one), upload(&fixture.documents, "a", &two));
        assert!(a.is_ok() && b.is_ok());
        let (document, bytes) = fixture.documents.read(&id("a")).unwrap().unwrap();
        assert_eq!(document.attributes["words"].as_str().unwrap().as_bytes(), &bytes[..], "never a mix");
        assert_eq!(fixture.files().len(), 2);
    }
}

#[tokio::test]
async fn tenants_do_not_see_each_other() {
    let fixture = Fixture::new();
    let other = fixture.store.tenant(&tenant("other")).unwrap();
    upload(&fixture.documents, "a", "acme's").await.unwrap();
    upload(&other, "a", "other's").await.unwrap();
    assert!(other.remove(&id("a")).unwrap());
    assert_eq!(other.list().unwrap(), Vec::new());
    assert_eq!(fixture.text("a").as_deref(), Some("acme's"));
}

#[tokio::test]
async fn damaged_bytes_are_told_from_whole_ones_and_hurt_no_other_document() {
    let fixture = Fixture::new();
    for (name, damage) in [("changed", Some("tExt")), ("cut", Some("te")), ("lost", None)] {
        let stored = upload(&fixture.documents, name, "text").await.unwrap();
        match damage {
            Some(text) => fs::write(&stored.path, text).unwrap(),
            None => fs::remove_file(&stored.path).unwrap(),
        }
        let refused = fixture.documents.read(&id(name)).unwrap_err();
        assert!(refused.to_string().contains("damaged: upload it again"), "{name}: {refused}");
    }
    upload(&fixture.documents, "whole", "text").await.unwrap();
    assert_eq!(fixture.listed(), ["changed", "cut", "lost", "whole"], "what was acknowledged is still named");
    assert_eq!(fixture.text("whole").as_deref(), Some("text"));
    upload(&fixture.documents, "lost", "text").await.unwrap();
    assert_eq!(fixture.text("lost").as_deref(), Some("text"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_that_is_being_replaced_is_never_missing() {
    let fixture = Fixture::new();
    upload(&fixture.documents, "a", "0").await.unwrap();
    let documents = fixture.documents.clone();
    let replacing = tokio::spawn(async move {
        for n in 1..40 {
            upload(&documents, "a", &n.to_string()).await.unwrap();
        }
    });
    while !replacing.is_finished() {
        assert_eq!(fixture.listed(), ["a"]);
        assert!(fixture.text("a").is_some());
        assert!(fixture.documents.find(&id("a")).unwrap().is_some());
    }
    replacing.await.unwrap();
}

#[tokio::test]
async fn the_body_of_a_damaged_sidecar_is_kept_and_a_new_upload_heals_it() {
    let fixture = Fixture::new();
    upload(&fixture.documents, "a", "text").await.unwrap();
    upload(&fixture.documents, "b", "text").await.unwrap();
    let sidecar = fixture.folder().join("uploads").join(&fixture.files()[1]);
    assert_eq!(sidecar.extension().unwrap(), "json");
    fs::write(sidecar, "{").unwrap();
    fixture.documents.sweep().unwrap();
    assert_eq!((fixture.listed().len(), fixture.files().len()), (1, 4));
    for name in ["a", "b"] {
        upload(&fixture.documents, name, "new").await.unwrap();
    }
    fixture.documents.sweep().unwrap();
    assert_eq!((fixture.listed().len(), fixture.files().len()), (2, 4));
}

#[tokio::test]
async fn a_sidecar_under_another_name_is_not_believed() {
    let fixture = Fixture::new();
    upload(&fixture.documents, "a", "text").await.unwrap();
    let uploads = fixture.folder().join("uploads");
    fs::rename(uploads.join(&fixture.files()[1]), uploads.join(format!("{}.json", "0".repeat(32)))).unwrap();
    assert_eq!(fixture.listed(), Vec::<String>::new());
}

#[tokio::test]
async fn sweeping_takes_away_rubbish_alone() {
    let fixture = Fixture::new();
    upload(&fixture.documents, "a", "text").await.unwrap();
    let kept = fixture.files();
    fixture.drop_in("uploads/.tmp-1234", "half");
    fixture.drop_in(&format!("uploads/{}-{}", "0".repeat(32), "1".repeat(32)), "nobody's");
    fixture.drop_in(&kept[0].replace(|c: char| c != '-', "0").replace('-', "-0"), "kept: not of our form");
    fixture.documents.sweep().unwrap();
    assert_eq!(fixture.files(), kept);
    assert_eq!(fixture.text("a").as_deref(), Some("text"));
}

#[tokio::test]
async fn a_tenant_made_again_sees_nothing_of_the_one_before() {
    let fixture = Fixture::new();
    upload(&fixture.documents, "a", "text").await.unwrap();
    fixture.drop_in("b/c.md", "text");
    let mut late = fixture.documents.begin(10).await.unwrap();
    late.write(b"late").await.unwrap();
    fixture.store.destroy(&tenant("acme")).unwrap();
    fixture.store.destroy(&tenant("acme")).unwrap();
    assert!(fixture.documents.list().is_err());
    let again = fixture.store.tenant(&tenant("acme")).unwrap();
    again.begin(10).await.unwrap();
    assert!(late.finish(&id("late"), "late", Attributes::new()).await.is_err());
    assert_eq!((again.list().unwrap(), fixture.files()), (Vec::new(), Vec::new()));
    assert_eq!(fs::read_dir(fixture.root.path()).unwrap().count(), 1);
}

#[test]
fn a_removal_that_was_cut_short_is_finished_at_the_next_boot() {
    let fixture = Fixture::new();
    fixture.drop_in("a.md", "text");
    fs::create_dir(fixture.root.path().join(".removed-other")).unwrap();
    fixture.store.sweep().unwrap();
    assert!(!fixture.root.path().join(".removed-other").exists());
    assert_eq!(fixture.listed(), ["a.md"]);
    DocumentStore::new(&fixture.root.path().join("nowhere")).sweep().unwrap();
}

#[test]
fn a_removal_that_was_cut_short_leaves_nothing_for_the_next_tenant_of_that_name() {
    let fixture = Fixture::new();
    fixture.drop_in("a.md", "text");
    fs::rename(fixture.folder(), fixture.root.path().join(".removed-acme")).unwrap();
    let again = fixture.store.tenant(&tenant("acme")).unwrap();
    assert_eq!(again.list().unwrap(), Vec::new());
    assert!(!fixture.root.path().join(".removed-acme").exists());
}

#[tokio::test]
async fn a_copy_takes_files_by_hand_and_uploads_and_nothing_else() {
    let store = Fixture::new();
    store.drop_in("guide/a.md", "by hand");
    store.drop_in(".hidden", "secret");
    let mut upload = store.documents.begin(100).await.unwrap();
    upload.write(b"uploaded").await.unwrap();
    upload.finish(&id("u"), "u.txt", Attributes::new()).await.unwrap();
    fs::write(store.folder().join("uploads/.tmp-half"), "half").unwrap();
    let copies = store.documents.copies().unwrap();
    let files: Vec<_> = copies.iter().flat_map(|copied| store.documents.open_copy(copied).unwrap()).collect();
    let mut texts = Vec::new();
    for (name, mut file) in files {
        assert!(is_stored(&name), "{name}");
        let mut text = String::new();
        std::io::Read::read_to_string(&mut file, &mut text).unwrap();
        texts.push(text);
    }
    assert_eq!((texts.len(), &*texts[0], &*texts[2]), (3, "by hand", "uploaded"));
    fs::remove_file(store.folder().join("guide/a.md")).unwrap();
    assert!(store.documents.open_copy(&copies[0]).unwrap().is_empty(), "it went meanwhile");
    for strange in ["uploads/x.json", "uploads/.tmp-half", "uploads", "uploads/../a", ".hidden", "../a", ""] {
        assert!(!is_stored(strange), "{strange:?}");
    }
}

#[test]
fn a_folders_mark_tells_every_change_by_hand() {
    let store = Fixture::new();
    let mut marks = vec![store.documents.mark().unwrap()];
    store.drop_in("a.md", "one");
    marks.push(store.documents.mark().unwrap());
    store.drop_in("a.md", "longer");
    marks.push(store.documents.mark().unwrap());
    fs::rename(store.folder().join("a.md"), store.folder().join("b.md")).unwrap();
    marks.push(store.documents.mark().unwrap());
    store.drop_in(".hidden", "secret");
    assert_eq!(store.documents.mark().unwrap(), marks[3], "what is hidden is none");
    fs::remove_file(store.folder().join("b.md")).unwrap();
    assert_eq!(store.documents.mark().unwrap(), marks[0]);
    marks.sort_unstable();
    marks.dedup();
    assert_eq!(marks.len(), 4);
}
