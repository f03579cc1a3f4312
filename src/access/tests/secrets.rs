//! The file of the signing secret, and which passwords will do.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::access::passwords::{Passwords, is_weak};

fn written(folder: &Path, text: &str, mode: u32) -> std::path::PathBuf {
    let path = folder.join(format!("secret-{}-{mode:o}", text.len()));
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}

#[test]
fn a_secret_is_made_once_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data/secret");
    let made = Secret::load_or_create(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(made.expose(), fs::read_to_string(&path).unwrap().trim().as_bytes());
    assert_eq!(made.expose().len(), 64);
    assert_eq!(Secret::load_or_create(&path).unwrap().expose(), made.expose());
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
    assert_ne!(Secret::load_or_create(&folder.path().join("other")).unwrap().expose(), made.expose());
}

#[test]
fn many_processes_that_make_it_at_once_agree() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    let made: Vec<_> = std::thread::scope(|threads| {
        let makers: Vec<_> = (0..8).map(|_| threads.spawn(|| Secret::load_or_create(&path).unwrap())).collect();
        makers.into_iter().map(|maker| maker.join().unwrap()).collect()
    });
    assert!(made.iter().all(|secret| secret.expose() == made[0].expose()));
}

#[test]
fn a_secret_written_by_hand_counts_without_the_blanks_around_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), "  a secret of at least thirty-two bytes\n\n", 0o400);
    assert_eq!(Secret::load_or_create(&path).unwrap().expose(), b"a secret of at least thirty-two bytes");
}

#[test]
fn a_secret_that_is_short_plain_or_readable_by_others_is_refused_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let good = "0123456789abcdef0123456789abcdef";
    for (text, mode) in [(good, 0o640), (good, 0o604), (good, 0o620), (good, 0o644), (good, 0o777)] {
        let path = written(folder.path(), text, mode);
        let refused = Secret::load_or_create(&path).err();
        assert!(matches!(refused, Some(SecretError::Exposed { mode: found, .. }) if found == mode), "{mode:o}");
    }
    for text in ["", "short", &good[1..], &format!("{}{}", &good[1..], " ".repeat(20))] {
        let path = written(folder.path(), text, 0o600);
        let refused = Secret::load_or_create(&path).err();
        assert!(matches!(refused, Some(SecretError::Short { found, .. }) if found < 32), "{text:?}");
    }
    let path = written(folder.path(), &"changes".repeat(9), 0o600);
    let refused = Secret::load_or_create(&path).err().unwrap();
    assert!(matches!(refused, SecretError::Plain { .. }) && refused.to_string().contains(path.to_str().unwrap()));
    assert!(matches!(Secret::load_or_create(folder.path()), Err(SecretError::Exposed { .. } | SecretError::Io { .. })));
}

#[test]
fn a_password_is_long_and_not_one_that_everybody_thinks_of() {
    for weak in [
        "",
        "short but odd!",
        "fourteen chars",
        &"a".repeat(1024),
        "abababababababab",
        "passwordpassword",
        "Password!Password!",
        "!!!!!!!!!!!!!!!!!!!!",
        "1234567890123456",
        "0987654321098765",
        "abcdefghijklmnopq",
        "QwertyuiopAsdfgh",
        "Correct Horse Battery Staple",
        "Carrel Administrator",
        "this is a password",
        &"long enough but no end ".repeat(50),
        "ааааааааааааааааа",
    ] {
        assert!(is_weak(weak), "{weak:?}");
    }
    for strong in [
        "fifteen letters",
        "plum tractor nine windows",
        "Straße über den Fluss",
        "日本語のとても長いパスワードです",
        &format!("{}end", "a phrase that goes on; ".repeat(44)),
        "1234567890 and then some",
    ] {
        assert!(!is_weak(strong), "{strong:?}");
    }
}

#[tokio::test]
async fn where_no_password_is_set_as_much_is_computed_and_nothing_is_let_in() {
    let passwords = Passwords::new();
    let real = passwords.hash("plum tractor nine windows").await.unwrap();
    let cost = |phc: &str| phc.rsplitn(3, '$').last().map(str::to_owned);
    assert_eq!(cost(crate::access::passwords::NOBODYS), cost(&real), "the same algorithm and parameters");
    assert!(passwords.verify("plum tractor nine windows", Some(&real)).await.unwrap());
    assert!(!passwords.verify("plum tractor nine window", Some(&real)).await.unwrap());
    for damaged in [None, Some(""), Some("plain text"), Some("$argon2id$v=19$m=1")] {
        assert!(!passwords.verify("", damaged).await.unwrap());
    }
    assert!(!passwords.verify(&"x".repeat(1025), Some(&real)).await.unwrap());
    assert_ne!(real, passwords.hash("plum tractor nine windows").await.unwrap(), "salted");
}
