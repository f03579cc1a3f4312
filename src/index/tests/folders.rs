//! Which generations there are, and which serves.

use std::fs;

use super::*;

fn numbers(generations: &Generations) -> Vec<u64> {
    generations.list().unwrap().into_iter().map(|info| info.number).collect()
}

/// Another published generation of one document.
fn rebuilt(generations: &Generations, text: &str) -> GenerationWriter {
    let mut writer = generations.begin(&spec(), "reindex").unwrap();
    writer.upsert(document("a", text)).unwrap();
    generations.publish(&mut writer).unwrap();
    writer
}

#[test]
fn a_tenant_without_generations_has_none_and_no_folder_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let generations = Generations::new(&dir.path().join("acme"));
    generations.sweep().unwrap();
    assert!(generations.open_current().unwrap().is_none());
    assert_eq!((generations.list().unwrap(), generations.serving().unwrap()), (vec![], None));
    generations.prune(2).unwrap();
    generations.destroy().unwrap();
    assert!(!dir.path().join("acme").exists());
}

#[test]
fn what_is_published_serves_and_what_is_not_is_swept() {
    let (dir, generations, first) = published(&[("a", "first")]);
    let mut second = generations.begin(&spec(), "reindex").unwrap();
    second.upsert(document("a", "second")).unwrap();
    second.commit().unwrap();
    second.seal().unwrap();
    drop((first, second)); // the process dies before it publishes
    assert_eq!(found(&reopened(dir.path()).snapshot(), "first second"), ["first"]);
    assert_eq!(numbers(&generations), [1]);
    fs::write(dir.path().join("current.unfinished"), "half").unwrap();
    fs::write(dir.path().join("index/1/tantivy/.tmpAbC"), "half").unwrap();
    generations.sweep().unwrap();
    assert!(!dir.path().join("index/2").exists());
    assert!(!dir.path().join("current.unfinished").exists());
    assert!(!dir.path().join("index/1/tantivy/.tmpAbC").exists());
    assert_eq!(generations.begin(&spec(), "reindex").unwrap().snapshot().generation(), 3, "no number is given twice");
    assert_eq!(found(&reopened(dir.path()).snapshot(), "first second"), ["first"]);
}

#[test]
fn two_are_kept_readers_keep_theirs_and_a_rollback_is_a_publish() {
    let (dir, generations, first) = published(&[("a", "first")]);
    let reader = first.snapshot();
    drop(first);
    for text in ["second", "third"] {
        drop(rebuilt(&generations, text));
        generations.prune(2).unwrap();
    }
    assert_eq!(numbers(&generations), [3, 2]);
    assert!(!dir.path().join("index/1").exists());
    assert_eq!(found(&reader, "first"), ["first"], "its files are gone, its reader reads on");
    assert_eq!(reader.text(&id("a")).unwrap().unwrap().as_ref(), "first");

    let made_at = generations.list().unwrap()[1].made_at;
    let mut older = generations.open(2).unwrap();
    generations.publish(&mut older).unwrap();
    assert_eq!(generations.serving().unwrap(), Some(2));
    assert_eq!(older.snapshot().info().made_at, made_at, "a rollback does not make it anew");
    generations.prune(1).unwrap();
    assert_eq!(numbers(&generations), [2], "the one that serves is kept, though it is older");
    drop(older);
    assert_eq!(found(&reopened(dir.path()).snapshot(), "second"), ["second"]);
    assert_eq!(generations.begin(&spec(), "reindex").unwrap().snapshot().generation(), 4);
}

#[test]
fn a_quarantined_generation_stands_aside_until_another_serves() {
    let (dir, generations, first) = published(&[("a", "first")]);
    drop(first);
    generations.quarantine(1).unwrap();
    assert!(generations.open_current().unwrap().is_none());
    assert!(
        matches!(generations.open(1), Err(IndexError::Damaged { generation: 1, file, .. }) if file == "manifest.json")
    );
    generations.sweep().unwrap();
    assert!(dir.path().join("index/1.damaged").exists(), "it may tell what happened");
    let second = rebuilt(&generations, "second");
    assert_eq!(second.snapshot().generation(), 2);
    generations.prune(2).unwrap();
    assert!(!dir.path().join("index/1.damaged").exists());
}

#[test]
fn a_damaged_or_missing_current_is_said_and_never_taken_for_an_empty_tenant() {
    let (dir, generations, first) = published(&[("a", "first")]);
    drop(first);
    let current = dir.path().join("current");
    let sound = fs::read_to_string(&current).unwrap();
    for bad in
        [None, Some(String::new()), Some(sound.replace("\"serving\":1", "\"serving\":2")), Some("rubbish".into())]
    {
        match &bad {
            None => fs::remove_file(&current).unwrap(),
            Some(bad) => fs::write(&current, bad).unwrap(),
        }
        assert!(
            matches!(generations.open_current(), Err(IndexError::Damaged { generation: 0, file, .. }) if file == "current"),
            "{bad:?}"
        );
        generations.sweep().unwrap();
        assert!(dir.path().join("index/1/manifest.json").exists(), "nothing is removed while nobody knows what serves");
    }
    generations.quarantine(0).unwrap();
    assert!(generations.open_current().unwrap().is_none());
    assert_eq!(rebuilt(&generations, "again").snapshot().generation(), 2);
    assert_eq!(found(&reopened(dir.path()).snapshot(), "again"), ["again"]);
}

#[test]
fn a_newer_schema_is_refused_by_name() {
    let (dir, generations, first) = published(&[("a", "first")]);
    drop(first);
    let manifest = dir.path().join("index/1/manifest.json");
    let sealed = fs::read(&manifest).unwrap();
    let newer = files::unseal(&sealed).unwrap().replacen("\"schema\":1", "\"schema\":7", 1);
    let newer: serde_json::Value = serde_json::from_str(&newer).unwrap();
    fs::write(&manifest, files::seal(&newer).unwrap()).unwrap();
    assert!(matches!(generations.open_current(), Err(IndexError::Newer { generation: 1, found: 7, known: 1 })));
}

#[test]
fn destroying_leaves_what_is_not_ours() {
    let (dir, generations, first) = published(&[("a", "first")]);
    fs::write(dir.path().join("other"), "kept").unwrap();
    drop(first);
    generations.destroy().unwrap();
    assert_eq!(files::names(dir.path()).unwrap(), ["other"]);
    assert!(generations.open_current().unwrap().is_none());
}

#[test]
fn a_generation_under_another_number_is_not_opened() {
    let (dir, generations, first) = published(&[("a", "first")]);
    drop(first);
    fs::rename(dir.path().join("index/1"), dir.path().join("index/9")).unwrap();
    assert!(matches!(generations.open(9), Err(IndexError::Damaged { generation: 9, .. })));
}

#[test]
fn the_generation_that_served_before_is_kept_whatever_its_number() {
    let (_dir, generations, mut first) = published(&[("a", "first")]);
    rebuilt(&generations, "second");
    generations.publish(&mut first).unwrap();
    rebuilt(&generations, "third");
    generations.prune(2).unwrap();
    assert_eq!(numbers(&generations), [3, 1]);
}

#[test]
fn a_pinned_generation_is_not_pruned_and_one_that_serves_is_not_deleted() {
    let (_dir, generations, _first) = published(&[("a", "first")]);
    assert!(generations.pin(1, true).unwrap());
    assert!(!generations.pin(9, true).unwrap());
    for text in ["second", "third", "fourth"] {
        rebuilt(&generations, text);
    }
    generations.prune(2).unwrap();
    assert_eq!(numbers(&generations), [4, 3, 1]);
    assert!(!generations.delete(4).unwrap() && !generations.delete(2).unwrap());
    assert!(generations.delete(1).unwrap());
    assert!(!generations.holds(1).unwrap() && generations.pinned().unwrap().is_empty());
    assert_eq!(numbers(&generations), [4, 3]);
}

#[test]
fn a_copy_holds_what_was_whole_and_stays_as_it_was() {
    let (_dir, generations, first) = published(&[("a", "first")]);
    drop(first);
    let mut serving = rebuilt(&generations, "second");
    serving.upsert(document("b", "third")).unwrap();
    serving.commit().unwrap();
    let copied = tempfile::tempdir().unwrap();
    generations.copy(Some(&mut serving), copied.path()).unwrap();
    // Whatever happens to the original from here on is none of the copy's.
    serving.remove(&id("b")).unwrap();
    serving.upsert(document("a", "fourth")).unwrap();
    generations.publish(&mut serving).unwrap();
    drop(rebuilt(&generations, "fifth"));
    generations.prune(1).unwrap();
    let copy = Generations::new(copied.path());
    let names = copy.copied().unwrap();
    assert!(names.contains(&"current".to_owned()) && names.contains(&"index/2/manifest.json".to_owned()), "{names:?}");
    assert!(names.iter().all(|name| !name.split('/').any(|part| part.starts_with('.'))), "{names:?}");
    assert_eq!(numbers(&copy), [2, 1]);
    assert_eq!(found(&copy.open(1).unwrap().snapshot(), "first"), ["first"]);
    let open = copy.open_current().unwrap().unwrap();
    assert_eq!(open.snapshot().generation(), 2);
    let mut texts = found(&open.snapshot(), "second third fourth fifth");
    texts.sort();
    assert_eq!(texts, ["second", "third"]);
    let empty = tempfile::tempdir().unwrap();
    Generations::new(&empty.path().join("nobody")).copy(None, &empty.path().join("copy")).unwrap();
    assert!(!empty.path().join("copy").exists(), "nothing comes of nothing");
}
