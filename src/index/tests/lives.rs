//! Generations before they serve and text after it was deleted.

use super::*;

const ONE: &[(&str, &str)] = &[("a", "The apple harvest begins in autumn.")];

/// A generation that is being built, with `count` documents.
fn begun(generations: &Generations, count: usize) -> GenerationWriter {
    let mut writer = generations.begin(&spec(), "test").unwrap();
    for number in 0..count {
        writer.upsert(document(&format!("d{number}"), &format!("Herd {number} grazes.\n\nIt rests."))).unwrap();
    }
    writer
}

#[test]
fn what_a_build_had_is_there_after_a_restart_and_goes_when_another_has_ended() {
    let (dir, generations, _serving) = published(ONE);
    let mut writer = begun(&generations, 3);
    assert!(generations.partial().unwrap().is_none(), "nothing is kept before it is asked for");
    generations.checkpoint(&mut writer).unwrap();
    writer.upsert(document("late", "Not kept.")).unwrap();
    drop(writer);
    let generations = Generations::new(dir.path());
    generations.sweep().unwrap();
    let partial = generations.partial().unwrap().unwrap();
    assert_eq!(ids(&partial), ["d0", "d1", "d2"]);
    let whole = partial.export(&id("d1")).unwrap().unwrap();
    assert_eq!((whole.chunks.len(), whole.vectors.len()), (2, 2));
    assert_eq!(generations.serving().unwrap(), Some(1), "it does not serve");
    assert_eq!(generations.list().unwrap().len(), 1, "nor is it whole");

    let mut next = begun(&generations, 4);
    generations.publish(&mut next).unwrap();
    generations.prune(2).unwrap();
    assert!(generations.partial().unwrap().is_none());
    assert!(!dir.path().join("index/2").exists());
}

#[test]
fn the_more_of_two_builds_is_kept() {
    let (_dir, generations, _serving) = published(ONE);
    generations.checkpoint(&mut begun(&generations, 3)).unwrap();
    let mut poorer = begun(&generations, 1);
    generations.checkpoint(&mut poorer).unwrap();
    assert_eq!(ids(&generations.partial().unwrap().unwrap()).len(), 3);
    generations.discard(3).unwrap();
    generations.checkpoint(&mut begun(&generations, 5)).unwrap();
    assert_eq!(ids(&generations.partial().unwrap().unwrap()).len(), 5);
    generations.discard(4).unwrap();
    assert_eq!(generations.partial_number().unwrap(), Some(4), "what is kept is not discarded");
}

#[test]
fn a_damaged_rest_of_a_build_is_no_rest() {
    let (dir, generations, _serving) = published(ONE);
    generations.checkpoint(&mut begun(&generations, 2)).unwrap();
    std::fs::write(dir.path().join("index/2/manifest.json"), "{").unwrap();
    assert!(generations.partial().unwrap().is_none());
    assert!(!dir.path().join("index/2").exists());
}

#[test]
fn a_generation_that_is_held_back_is_whole_and_does_not_serve_until_it_is_published() {
    let (dir, generations, _serving) = published(ONE);
    generations.hold(&mut begun(&generations, 2)).unwrap();
    let generations = Generations::new(dir.path());
    generations.sweep().unwrap();
    assert_eq!(generations.serving().unwrap(), Some(1));
    assert_eq!(generations.held().unwrap().into_iter().collect::<Vec<_>>(), [2]);
    generations.hold(&mut begun(&generations, 3)).unwrap();
    assert_eq!(generations.held().unwrap().into_iter().collect::<Vec<_>>(), [3], "the newer takes its place");
    assert!(!generations.holds(2).unwrap());
    let mut open = generations.open(3).unwrap();
    generations.publish(&mut open).unwrap();
    assert_eq!((generations.serving().unwrap(), generations.held().unwrap().len()), (Some(3), 0));
}

#[test]
fn a_note_goes_with_its_generation() {
    let (_dir, generations, _serving) = published(ONE);
    assert_eq!(generations.noted::<u64>(1, "n.json").unwrap(), None);
    generations.note(1, "n.json", &7u64).unwrap();
    assert_eq!(generations.noted::<u64>(1, "n.json").unwrap(), Some(7));
    assert_eq!(ids(&generations.open(1).unwrap().snapshot()), ["a"], "it is no part of what is checked");
}

#[test]
fn deleted_text_stays_in_the_files_until_they_are_purged() {
    let (dir, generations, mut serving) = published(&[
        ("a", "The apple harvest."),
        ("b", "The quagga herd."),
        ("c", "One."),
        ("d", "Two."),
        ("e", "Three."),
        ("f", "Four."),
    ]);
    serving.remove(&id("b")).unwrap();
    let before = serving.commit().unwrap();
    assert!(serving.holds_deleted().unwrap());
    let after = serving.purge().unwrap();
    assert_eq!(found(&before, "apple"), ["The apple harvest."], "who reads the old state goes on reading it");
    drop(before);
    assert_eq!(serving.sweep().unwrap(), 0);
    assert!(!serving.holds_deleted().unwrap());
    assert_eq!(found(&after, "apple"), ["The apple harvest."]);
    assert_eq!(after.revision(), serving.snapshot().revision());
    drop((after, serving, generations));
    let reopened = reopened(dir.path());
    assert_eq!(ids(&reopened.snapshot()), ["a", "c", "d", "e", "f"], "what was written anew holds its checksums");
}
