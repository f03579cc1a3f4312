//! What a commit changes, and for whom.

use proptest::prelude::*;
use serde_json::json;

use super::*;

#[test]
fn a_change_shows_in_the_snapshot_that_its_commit_returns_and_in_no_other() {
    let (_dir, _generations, mut writer) = published(&[("a", "the cat sleeps"), ("b", "the dog barks")]);
    let before = writer.snapshot();
    writer.upsert(document("a", "the cow grazes")).unwrap();
    writer.remove(&id("b")).unwrap();
    writer.upsert(document("c", "the hen lays")).unwrap();
    assert_eq!(everything(&writer.snapshot()), everything(&before), "nothing shows before the commit");

    let after = writer.commit().unwrap();
    assert_eq!(ids(&after), ["a", "c"]);
    assert_eq!(found(&after, "cat dog cow hen"), ["the cow grazes", "the hen lays"]);
    assert!(after.revision() > before.revision());
    assert_eq!(after.generation(), before.generation());
    assert_eq!((after.info().documents, after.info().chunks), (2, 2));

    assert_eq!(ids(&before), ["a", "b"], "old readers see what they saw");
    assert_eq!(found(&before, "cat dog cow hen").len(), 2);
    assert_eq!(before.text(&id("b")).unwrap().unwrap().as_ref(), "the dog barks");
    assert_eq!(before.search_dense(&vector("the dog barks", DIMENSION), None, 1).unwrap().len(), 1);
}

#[test]
fn the_last_of_several_writings_of_one_document_stands() {
    let (dir, _, mut writer) = published(&[]);
    for text in ["first words", "second words", "third words"] {
        writer.upsert(document("a", text)).unwrap();
    }
    assert!(writer.remove(&id("a")).unwrap());
    assert!(!writer.remove(&id("a")).unwrap());
    writer.upsert(document("a", "last words")).unwrap();
    let snapshot = writer.commit().unwrap();
    assert_eq!(found(&snapshot, "words"), ["last words"]);
    assert_eq!(snapshot.search_dense(&vector("second words", DIMENSION), None, 9).unwrap().len(), 1);
    drop(writer);
    assert_eq!(everything(&reopened(dir.path()).snapshot()), everything(&snapshot));
}

#[test]
fn a_range_of_a_long_text_is_read_without_the_rest_and_never_cuts_a_character() {
    let text = "漢字 and words. ".repeat(20_000);
    let (_dir, _, writer) = published(&[("long", &text), ("short", "é")]);
    let snapshot = writer.snapshot();
    let read = |name: &str, range| snapshot.text_at(&id(name), range).unwrap();
    // Parts are 64 KiB, so these lie within one, across two, and at the end.
    for (start, end) in [(0, 3), (100_000, 100_040), (65_500, 65_600), (60_000, 200_000), (0, text.len())] {
        let (start, end) = (text.floor_char_boundary(start), text.floor_char_boundary(end));
        assert_eq!(read("long", start..end).as_deref(), Some(&text[start..end]), "{start}..{end}");
    }
    assert_eq!(read("long", 1..6), None, "half a character");
    assert_eq!(read("long", text.len() - 3..text.len() + 1), None, "past the end");
    assert_eq!((read("short", 0..2), read("short", 5..9), read("absent", 0..1)), (Some("é".into()), None, None));
}

#[test]
fn a_commit_without_changes_makes_no_new_state() {
    let (_dir, _, mut writer) = published(&[("a", "one")]);
    let before = writer.snapshot().revision();
    assert!(!writer.remove(&id("absent")).unwrap());
    assert_eq!(writer.commit().unwrap().revision(), before);
}

#[test]
fn a_document_that_contradicts_itself_is_refused_and_the_others_are_kept() {
    let (_dir, _, mut writer) = published(&[]);
    writer.upsert(document("good", "sound and whole")).unwrap();
    let whole = document("bad", "one\n\ntwo");
    let cases: [fn(&mut IndexedDocument); 7] = [
        |bad| bad.entry.chunks = 5,
        |bad| drop(bad.vectors.pop()),
        |bad| bad.vectors[1].truncate(3),
        |bad| bad.vectors[0][0] = f32::NAN,
        |bad| bad.chunks[1].start += 1,
        |bad| bad.chunks[0].ordinal = 1,
        |bad| drop(bad.entry.attributes.insert("long".into(), json!("x".repeat(70_000)))),
    ];
    for spoil in cases {
        let mut bad = whole.clone();
        spoil(&mut bad);
        assert!(matches!(writer.upsert(bad), Err(IndexError::Refused { document, .. }) if document == id("bad")));
    }
    assert_eq!(ids(&writer.commit().unwrap()), ["good"]);
}

#[test]
fn too_many_warnings_are_cut_and_the_document_is_kept() {
    let (_dir, _, mut writer) = published(&[]);
    let mut long = document("a", "text");
    long.entry.warnings = vec!["w".repeat(1000); 100];
    writer.upsert(long).unwrap();
    let kept = writer.commit().unwrap().document(&id("a")).unwrap().warnings.len();
    assert!((50..100).contains(&kept), "{kept}");
}

#[test]
fn the_same_bytes_are_found_by_their_hash_until_the_last_copy_goes() {
    let (_dir, _, mut writer) = published(&[("a", "same"), ("b", "same")]);
    let hash = ContentHash::of(b"same");
    let holder = |snapshot: &Snapshot| snapshot.document_with(&hash).map(|entry| entry.id.to_string());
    assert_eq!(holder(&writer.snapshot()).as_deref(), Some("a"));
    writer.remove(&id("a")).unwrap();
    assert_eq!(holder(&writer.commit().unwrap()).as_deref(), Some("b"));
    writer.remove(&id("b")).unwrap();
    assert_eq!(holder(&writer.commit().unwrap()), None);
}

#[test]
fn a_document_without_text_is_kept_without_chunks() {
    let (dir, _, writer) = published(&[("empty", "")]);
    drop(writer);
    let snapshot = reopened(dir.path()).snapshot();
    assert_eq!(snapshot.text(&id("empty")).unwrap().unwrap().as_ref(), "");
    assert_eq!((snapshot.info().documents, snapshot.info().chunks), (1, 0));
    assert_eq!(snapshot.search_words("anything", None, 5).unwrap(), []);
    assert_eq!(snapshot.search_dense(&vector("x", DIMENSION), None, 5).unwrap(), []);
}

#[test]
fn an_exported_document_is_the_same_in_another_generation() {
    let (_dir, generations, old) =
        published(&[("a", "the cat sleeps\n\nall day"), ("b", "un chien aboie"), ("c", "猫が寝る")]);
    let mut new = generations.begin(&spec(), "reindex").unwrap();
    for entry in old.snapshot().documents() {
        new.upsert(old.snapshot().export(&entry.id).unwrap().unwrap()).unwrap();
    }
    let published = generations.publish(&mut new).unwrap();
    // Keys differ between generations, and with them the order of equal scores.
    let plain = |snapshot: &Snapshot| -> Vec<_> {
        let ranks = |hits: Vec<Ranked>| {
            let mut ranks: Vec<(u32, String)> =
                hits.iter().map(|hit| hit.score.to_bits()).zip(texts(snapshot, &hits)).collect();
            ranks.sort();
            ranks
        };
        let all = everything(snapshot).into_iter();
        all.map(|(document, words, dense)| (document, ranks(words), ranks(dense))).collect()
    };
    assert_eq!(plain(&published), plain(&old.snapshot()));
}

#[test]
fn many_small_commits_leave_few_files_and_the_same_answers() {
    let (dir, _, mut writer) = published(&[]);
    for round in 0..30 {
        writer.upsert(document(&format!("doc-{}", round % 20), &format!("common words and number{round}"))).unwrap();
        writer.commit().unwrap();
    }
    let snapshot = writer.snapshot();
    assert_eq!(snapshot.info().documents, 20);
    assert_eq!(found(&snapshot, "number29"), ["common words and number29"]);
    assert!(found(&snapshot, "number5").is_empty(), "it was replaced by number25");
    let segments = std::fs::read_dir(dir.path().join("index/1/tantivy")).unwrap();
    let stores =
        segments.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|e| e == "store")).count();
    assert!(stores <= 10, "{stores} segments are left");
    drop(writer);
    assert_eq!(everything(&reopened(dir.path()).snapshot()), everything(&snapshot));
}

/// What a test does to an index.
#[derive(Debug, Clone)]
enum Step {
    Upsert(u8, String),
    Remove(u8),
    Commit,
    Seal,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let text = prop::collection::vec("([a-e猫犬é]{1,4}| |\n\n){1,6}", 0..4).prop_map(|parts| parts.concat());
    let step = prop_oneof![
        4 => (0u8..5, text).prop_map(|(name, text)| Step::Upsert(name, text)),
        2 => (0u8..5).prop_map(Step::Remove),
        2 => Just(Step::Commit),
        1 => Just(Step::Seal),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..14)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// The law of the whole module: an index is what was committed, whatever happened on the way there.
    #[test]
    fn an_index_holds_what_was_committed_and_texts_hold_their_chunks(steps in steps()) {
        let (dir, generations, mut writer) = published(&[]);
        let mut committed = std::collections::BTreeMap::new();
        let mut staged = committed.clone();
        for step in steps {
            match step {
                Step::Upsert(name, text) => {
                    writer.upsert(document(&name.to_string(), &text)).unwrap();
                    staged.insert(name.to_string(), text);
                }
                Step::Remove(name) => {
                    let was_there = staged.remove(&name.to_string()).is_some();
                    prop_assert_eq!(writer.remove(&id(&name.to_string())).unwrap(), was_there);
                }
                Step::Commit | Step::Seal => {
                    if matches!(step, Step::Seal) { writer.seal().unwrap() } else { drop(writer.commit().unwrap()) }
                    committed = staged.clone();
                }
                Step::Reopen => {
                    drop(writer);
                    writer = generations.open_current().unwrap().unwrap();
                    staged = committed.clone();
                }
            }
            let snapshot = writer.snapshot();
            let mut chunks = 0;
            for (name, text) in &committed {
                prop_assert_eq!(&*snapshot.text(&id(name)).unwrap().unwrap(), text.as_str());
                let whole = snapshot.export(&id(name)).unwrap().unwrap();
                prop_assert!(whole.chunks.iter().all(|chunk| text[chunk.start..chunk.end] == chunk.text));
                chunks += whole.chunks.len();
                for chunk in &whole.chunks {
                    let best = snapshot.search_dense(&vector(&chunk.text, DIMENSION), None, 1).unwrap();
                    prop_assert_eq!(&texts(&snapshot, &best)[0], &chunk.text);
                }
            }
            prop_assert_eq!(ids(&snapshot), committed.keys().cloned().collect::<Vec<_>>());
            prop_assert_eq!(snapshot.search_dense(&vector("q", DIMENSION), None, 1000).unwrap().len(), chunks);
        }
        drop(dir);
    }
}
