//! A disk that is full, at every write there is.

use super::faults::{full_after, make_room};
use super::*;

/// What happens to an index between two starts.
fn work(generations: &Generations, writer: &mut GenerationWriter) -> Result<(), IndexError> {
    writer.upsert(document("b", "the dog bites"))?;
    writer.upsert(document("c", "the hen lays"))?;
    writer.commit()?;
    writer.remove(&id("a"))?;
    writer.commit()?;
    writer.seal()?;
    let mut next = generations.begin(&spec(), "reindex")?;
    next.upsert(document("z", "entirely new"))?;
    generations.publish(&mut next)?;
    Ok(())
}

#[test]
fn a_full_disk_is_named_changes_nothing_half_way_and_is_over_once_there_is_room() {
    let mut steps = 0;
    loop {
        let (dir, generations, mut writer) = published(&[("a", "the cat sleeps"), ("b", "the dog barks")]);
        let states = [
            vec![("a", "the cat sleeps"), ("b", "the dog barks")],
            vec![("a", "the cat sleeps"), ("b", "the dog bites"), ("c", "the hen lays")],
            vec![("b", "the dog bites"), ("c", "the hen lays")],
            vec![("z", "entirely new")],
        ];
        full_after(steps);
        let result = work(&generations, &mut writer);
        let was_full = make_room();
        if let Err(error) = &result {
            assert!(error.is_disk_full(), "write {steps}: {error}");
        }
        let is_one_of = |snapshot: &Snapshot, states: &[Vec<(&str, &str)>], when: &str| {
            let texts: Vec<(String, String)> = snapshot
                .documents()
                .map(|entry| (entry.id.to_string(), snapshot.text(&entry.id).unwrap().unwrap().to_string()))
                .collect();
            let same = |state: &Vec<(&str, &str)>| {
                state.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).eq(texts.iter().cloned())
            };
            assert!(states.iter().any(same), "write {steps}, {when}: {texts:?}");
        };
        is_one_of(&writer.snapshot(), &states[..3], "at once");
        drop(writer);
        is_one_of(&reopened(dir.path()).snapshot(), &states, "after a restart");

        // With room again, all of it goes through.
        let mut writer = reopened(dir.path());
        work(&generations, &mut writer).unwrap();
        assert_eq!(ids(&reopened(dir.path()).snapshot()), ["z"]);
        if !was_full {
            assert!(result.is_ok());
            break;
        }
        steps += 1;
    }
    assert!(steps > 40, "only {steps} writes were tried");
}

#[test]
fn the_same_writer_goes_on_after_the_disk_had_been_full() {
    for steps in 0..60 {
        let (dir, _, mut writer) = published(&[("a", "the cat sleeps")]);
        full_after(steps);
        let failed = writer.upsert(document("b", "the dog barks")).and_then(|()| writer.commit().map(drop));
        make_room();
        if failed.is_err() {
            // What failed as a whole may be committed as nothing, but not as a part.
            drop(writer.commit());
            writer.upsert(document("b", "the dog barks")).unwrap();
        }
        let snapshot = writer.commit().unwrap();
        assert_eq!(ids(&snapshot), ["a", "b"], "write {steps}");
        drop(writer);
        assert_eq!(everything(&reopened(dir.path()).snapshot()), everything(&snapshot), "write {steps}");
    }
}
