//! A disk that is full, at every write there is.

use super::faults::{full_after, make_room};
use super::*;

/// What happens to an index between two starts.
fn work(generations: &Generations, writer: &mut GenerationWriter) -> Result<(), IndexError> {
    writer.upsert(document("b", "the dog bites"))?;
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
    let before = vec![("a", "the cat sleeps"), ("b", "the dog barks")];
    let states = [before.clone(), vec![("b", "the dog bites")], vec![("z", "entirely new")]];
    let is_one_of = |snapshot: &Snapshot, states: &[Vec<(&str, &str)>], when: &str| {
        let text = |entry: &Arc<DocumentEntry>| snapshot.text(&entry.id).unwrap().unwrap().to_string();
        let found: Vec<(String, String)> =
            snapshot.documents().map(|entry| (entry.id.to_string(), text(&entry))).collect();
        let found: Vec<(&str, &str)> = found.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        assert!(states.contains(&found), "{when}: {found:?}");
    };
    for writes in 0.. {
        let (dir, generations, mut writer) = published(&before);
        full_after(writes);
        let result = work(&generations, &mut writer);
        if !make_room() {
            result.unwrap();
            assert!(writes > 40, "only {writes} writes were tried");
            break;
        }
        if let Err(error) = result {
            assert!(error.is_disk_full(), "write {writes}: {error}");
        }
        is_one_of(&writer.snapshot(), &states[..2], &format!("write {writes}, at once"));
        drop(writer);
        let mut writer = reopened(dir.path());
        is_one_of(&writer.snapshot(), &states, &format!("write {writes}, after a restart"));
        work(&generations, &mut writer).unwrap();
        drop(writer);
        is_one_of(&reopened(dir.path()).snapshot(), &states[2..], &format!("write {writes}, with room again"));
    }
}

#[test]
fn the_same_writer_goes_on_after_the_disk_had_been_full() {
    for writes in (0..60).step_by(3) {
        let (dir, _, mut writer) = published(&[("a", "the cat sleeps")]);
        full_after(writes);
        let failed = writer.upsert(document("b", "the dog barks")).and_then(|()| writer.commit().map(drop));
        make_room();
        if failed.is_err() {
            // What failed as a whole may be committed as nothing, but not as a part.
            drop(writer.commit());
            writer.upsert(document("b", "the dog barks")).unwrap();
        }
        let snapshot = writer.commit().unwrap();
        assert_eq!(ids(&snapshot), ["a", "b"], "write {writes}");
        drop(writer);
        assert_eq!(everything(&reopened(dir.path()).snapshot()), everything(&snapshot), "write {writes}");
    }
}
