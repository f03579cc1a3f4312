//! Files that are not what they were, and processes that died in between.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;

const DOCUMENTS: [(&str, &str); 3] =
    [("a", "the cat sleeps\n\nall the day"), ("b", "the dog barks"), ("c", "the hen lays an egg")];

/// A published generation with some history: replaced and removed documents, several segments.
fn lived_in() -> (TempDir, Generations, GenerationWriter) {
    let (dir, generations, mut writer) = published(&DOCUMENTS);
    writer.upsert(document("b", "the dog bites")).unwrap();
    writer.commit().unwrap();
    writer.remove(&id("c")).unwrap();
    writer.upsert(document("d", "the cow grazes")).unwrap();
    writer.commit().unwrap();
    (dir, generations, writer)
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.extend(files.clone().iter().filter(|path| path.is_dir()).flat_map(|path| files_of(path)));
    files.retain(|path| path.is_file());
    files.sort();
    files
}

/// Opens the generation: either it is what it was, or the damage is named.
fn sound_or_named(dir: &Path, expected: &[(IndexedDocument, Vec<Ranked>, Vec<Ranked>)], what: &str) {
    match Generations::new(dir).open_current() {
        Ok(Some(writer)) => assert_eq!(everything(&writer.snapshot()), expected, "{what}"),
        Ok(None) => panic!("{what}: taken for an empty tenant"),
        Err(IndexError::Damaged { file, .. }) => assert!(!file.is_empty(), "{what}"),
        Err(other) => panic!("{what}: {other}"),
    }
}

#[test]
fn any_flipped_byte_and_any_cut_is_named_or_harmless() {
    let (dir, _, writer) = lived_in();
    let expected = everything(&writer.snapshot());
    drop(writer);
    let mut seed = 7u64;
    for path in files_of(dir.path()) {
        let sound = fs::read(&path).unwrap();
        let steps = (sound.len() / 12).max(1);
        for place in (0..sound.len()).step_by(steps) {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let place = (place + usize::try_from(seed >> 33).unwrap() % steps).min(sound.len() - 1);
            let mut bad = sound.clone();
            bad[place] ^= 1 << (seed >> 61);
            fs::write(&path, &bad).unwrap();
            sound_or_named(dir.path(), &expected, &format!("byte {place} of {}", path.display()));
        }
        for length in [0, sound.len() / 2, sound.len().saturating_sub(1)] {
            fs::write(&path, &sound[..length]).unwrap();
            sound_or_named(dir.path(), &expected, &format!("{} cut to {length}", path.display()));
        }
        fs::remove_file(&path).unwrap();
        sound_or_named(dir.path(), &expected, &format!("{} removed", path.display()));
        fs::write(&path, &sound).unwrap();
    }
    assert_eq!(everything(&reopened(dir.path()).snapshot()), expected);
}

#[test]
fn a_damaged_file_of_tantivy_is_named() {
    let (dir, generations, writer) = published(&DOCUMENTS);
    drop(writer);
    for path in files_of(&dir.path().join("index/1/tantivy")) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.starts_with('.') {
            continue;
        }
        let sound = fs::read(&path).unwrap();
        let mut bad = sound.clone();
        *bad.last_mut().unwrap() ^= 1;
        fs::write(&path, &bad).unwrap();
        let Err(IndexError::Damaged { generation: 1, file, .. }) = generations.open_current() else { panic!("{name}") };
        assert_eq!(file, format!("tantivy/{name}"));
        fs::write(&path, &sound).unwrap();
    }
}

#[test]
fn a_process_that_died_between_a_commit_and_its_manifest_lost_nothing() {
    let (dir, _, mut writer) = published(&DOCUMENTS);
    let manifest = dir.path().join("index/1/manifest.json");
    let old = fs::read(&manifest).unwrap();
    for round in 0..10 {
        // Enough commits for a merge, after which files that the manifest knows are gone.
        writer.upsert(document("b", &format!("the dog bites {round}"))).unwrap();
        writer.remove(&id("c")).unwrap();
        writer.commit().unwrap();
        let expected = everything(&writer.snapshot());
        drop(writer);
        fs::write(&manifest, &old).unwrap();
        writer = reopened(dir.path());
        assert_eq!(everything(&writer.snapshot()), expected, "round {round}");
        fs::write(&manifest, &old).unwrap();
    }
}

#[test]
fn damage_in_a_commit_that_is_newer_than_the_manifest_is_found_too() {
    let (dir, _, mut writer) = published(&DOCUMENTS);
    let manifest = dir.path().join("index/1/manifest.json");
    let old = fs::read(&manifest).unwrap();
    let before: Vec<PathBuf> = files_of(dir.path());
    writer.upsert(document("d", "the cow grazes")).unwrap();
    writer.commit().unwrap();
    let expected = everything(&writer.snapshot());
    drop(writer);
    fs::write(&manifest, &old).unwrap();
    let meta = dir.path().join("index/1/tantivy/meta.json");
    for path in files_of(dir.path()).into_iter().filter(|path| !before.contains(path) || *path == meta) {
        let sound = fs::read(&path).unwrap();
        for place in 0..sound.len() {
            if place % 7 != 0 && path != meta {
                continue;
            }
            let mut bad = sound.clone();
            bad[place] ^= 1;
            fs::write(&path, &bad).unwrap();
            sound_or_named(dir.path(), &expected, &format!("byte {place} of {}", path.display()));
        }
        fs::write(&path, &sound).unwrap();
    }
}

#[test]
fn an_older_commit_record_under_a_newer_manifest_is_damage() {
    // A record restored from a backup, say: what was deleted since would be found again.
    let (dir, generations, mut writer) = published(&DOCUMENTS);
    let meta = dir.path().join("index/1/tantivy/meta.json");
    let old = fs::read(&meta).unwrap();
    writer.remove(&id("a")).unwrap();
    writer.commit().unwrap();
    drop(writer);
    fs::write(&meta, old).unwrap();
    assert!(matches!(generations.open_current(), Err(IndexError::Damaged { file, .. }) if file == "tantivy/meta.json"));
}

#[test]
fn the_graph_alone_may_be_lost_or_damaged_without_loss() {
    let dir = tempfile::tempdir().unwrap();
    let generations = Generations::new(dir.path());
    let mut writer = generations.begin(&spec(), "boot").unwrap();
    let text: Vec<String> = (0..1_200).map(|at| format!("paragraph number{at}")).collect();
    writer.upsert(document("a", &text.join("\n\n"))).unwrap();
    generations.publish(&mut writer).unwrap();
    drop(writer);
    let path = dir.path().join("index/1/vectors.usearch");
    let sound = fs::read(&path).unwrap();
    let mut flipped = sound.clone();
    flipped[100] ^= 16;
    for bad in [Vec::new(), sound[..sound.len() / 2].to_vec(), flipped, b"rubbish".to_vec()] {
        fs::write(&path, bad).unwrap();
        let mut writer = reopened(dir.path());
        let best = writer.snapshot().search_dense(&vector("paragraph number77", DIMENSION), None, 1).unwrap();
        assert_eq!(texts(&writer.snapshot(), &best), ["paragraph number77"]);
        writer.seal().unwrap();
        assert!(!fs::read(&path).unwrap().is_empty(), "sealing saves the graph that was made anew");
        drop(writer);
        assert!(generations.open_current().is_ok());
    }
}

#[test]
fn foreign_files_in_the_folder_are_left_alone() {
    let (dir, _, writer) = lived_in();
    let expected = everything(&writer.snapshot());
    drop(writer);
    fs::write(dir.path().join("index/1/notes.txt"), "mine").unwrap();
    fs::write(dir.path().join("index/1/tantivy/notes.txt"), "mine").unwrap();
    let mut writer = reopened(dir.path());
    assert_eq!(everything(&writer.snapshot()), expected);
    writer.upsert(document("e", "one more")).unwrap();
    writer.commit().unwrap();
    assert!(dir.path().join("index/1/tantivy/notes.txt").exists());
}
