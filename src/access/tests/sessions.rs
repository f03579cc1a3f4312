//! The operator's way in.

use super::*;
use crate::ledger::LedgerError;

const PASSWORD: &str = "plum tractor nine windows";
const HOUR: Duration = Duration::from_hours(1);

impl Door {
    async fn signed_in(&self) -> String {
        let link = self.sessions.make_link().await.unwrap();
        self.sessions.open_by_link(&link).await.unwrap()
    }

    async fn lives(&self, cookie: &str) -> bool {
        self.sessions.operator(cookie).await.unwrap().is_some()
    }
}

#[tokio::test]
async fn a_link_opens_one_session_within_the_hour() {
    let door = Door::new();
    let link = door.sessions.make_link().await.unwrap();
    let cookie = door.sessions.open_by_link(&link).await.unwrap();
    assert_eq!(door.sessions.operator(&cookie).await.unwrap().unwrap().subject(), "operator");
    assert!(matches!(door.sessions.open_by_link(&link).await, Err(SignInError::Refused)), "once");

    let late = door.sessions.make_link().await.unwrap();
    door.hands.forward(HOUR);
    assert!(matches!(door.sessions.open_by_link(&late).await, Err(SignInError::Refused)), "an hour");

    let (earlier, newer) = (door.sessions.make_link().await.unwrap(), door.sessions.make_link().await.unwrap());
    assert!(matches!(door.sessions.open_by_link(&earlier).await, Err(SignInError::Refused)), "the newest");
    assert!(door.sessions.open_by_link(&newer).await.is_ok());
}

#[tokio::test]
async fn secrets_are_256_bits_and_fresh_at_every_sign_in() {
    let door = Door::new();
    let (one, two) = (door.signed_in().await, door.signed_in().await);
    assert_ne!(one, two);
    assert!([&one, &two].iter().all(|secret| secret.len() == 64 && secret.bytes().all(|b| b.is_ascii_hexdigit())));
    assert!(door.lives(&one).await && door.lives(&two).await);
}

#[tokio::test]
async fn what_is_no_cookie_of_ours_is_nobody() {
    let door = Door::new();
    let link = door.sessions.make_link().await.unwrap();
    let cookie = door.signed_in().await;
    for other in ["", "x", &link, &cookie[1..], &cookie.to_uppercase(), &format!("{cookie} "), &random_secret()] {
        assert!(!door.lives(other).await, "{other}");
    }
    let hash = blake3::hash(cookie.as_bytes()).to_hex();
    assert!(!door.lives(&hash).await, "what the disk holds opens nothing");
    assert!(door.tokens.verify(&cookie).is_err(), "nor is a cookie a token");
    let token = door.mint(None, &[Permission::TenantsAdmin]).await.token;
    assert!(!door.lives(&token).await, "nor a token a cookie");
}

#[tokio::test]
async fn a_session_ends_after_eight_idle_hours_and_a_day_in_all() {
    let door = Door::new();
    let idle = door.signed_in().await;
    door.hands.forward(Duration::from_millis(8 * 3_600_000 - 1));
    assert!(door.lives(&idle).await);
    door.hands.forward(Duration::from_hours(8));
    assert!(!door.lives(&idle).await);
    door.hands.back(HOUR);
    assert!(!door.lives(&idle).await, "a clock that is set back does not revive it");

    let busy = door.signed_in().await;
    for _ in 0..23 {
        door.hands.forward(HOUR);
        assert!(door.lives(&busy).await);
    }
    door.hands.forward(HOUR);
    assert!(!door.lives(&busy).await);
}

#[tokio::test]
async fn a_session_that_is_used_within_the_same_minute_is_not_written_again() {
    let door = Door::new();
    let cookie = door.signed_in().await;
    let seen =
        async || door.ledger.session(blake3::hash(cookie.as_bytes()).to_hex().as_str()).await.unwrap().unwrap().seen_at;
    let opened = seen().await;
    door.hands.forward(Duration::from_secs(59));
    assert!(door.lives(&cookie).await);
    assert_eq!(seen().await, opened);
    door.hands.forward(Duration::from_secs(1));
    assert!(door.lives(&cookie).await);
    assert!(seen().await > opened);
}

#[tokio::test]
async fn a_closed_session_is_closed() {
    let door = Door::new();
    let (left, stays) = (door.signed_in().await, door.signed_in().await);
    door.sessions.close(&left).await.unwrap();
    assert!(!door.lives(&left).await);
    assert!(door.lives(&stays).await);
}

#[tokio::test]
async fn sessions_outlive_a_restart() {
    let door = Door::new();
    let cookie = door.signed_in().await;
    let restarted = Sessions::with_clock(door.ledger.clone(), door.hands.clock());
    assert!(restarted.operator(&cookie).await.unwrap().is_some());
}

#[tokio::test]
async fn a_password_opens_sessions_once_it_is_set_and_only_the_right_one() {
    let door = Door::new();
    assert!(!door.sessions.has_password().await.unwrap());
    for guess in ["", PASSWORD] {
        assert!(matches!(door.sessions.open_by_password(guess).await, Err(SignInError::Refused)));
    }
    door.sessions.set_password(&Operator::local(), PASSWORD).await.unwrap();
    assert!(door.sessions.has_password().await.unwrap());
    let cookie = door.sessions.open_by_password(PASSWORD).await.unwrap();
    assert!(door.lives(&cookie).await);
    for guess in ["", "plum tractor nine window", "Plum tractor nine windows", "plum tractor nine windows "] {
        assert!(matches!(door.sessions.open_by_password(guess).await, Err(SignInError::Refused)), "{guess:?}");
    }
}

#[tokio::test]
async fn a_new_password_ends_every_session_and_link_but_its_own() {
    let door = Door::new();
    let stolen = door.signed_in().await;
    let link = door.sessions.make_link().await.unwrap();
    let own = door.sessions.set_password(&Operator::local(), PASSWORD).await.unwrap();
    assert!(door.lives(&own).await);
    assert!(!door.lives(&stolen).await);
    assert!(matches!(door.sessions.open_by_link(&link).await, Err(SignInError::Refused)));
    let another = "eleven paper boats sailing";
    door.sessions.set_password(&Operator::local(), another).await.unwrap();
    assert!(!door.lives(&own).await);
    assert!(matches!(door.sessions.open_by_password(PASSWORD).await, Err(SignInError::Refused)));
    assert!(door.sessions.open_by_password(another).await.is_ok());
}

#[tokio::test]
async fn a_weak_password_is_refused_and_changes_nothing() {
    let door = Door::new();
    let cookie = door.sessions.set_password(&Operator::local(), PASSWORD).await.unwrap();
    assert!(matches!(door.sessions.set_password(&Operator::local(), "short").await, Err(SignInError::Weak)));
    assert!(door.lives(&cookie).await);
    assert!(door.sessions.open_by_password(PASSWORD).await.is_ok());
}

#[tokio::test]
async fn a_storm_of_guesses_is_turned_away_and_does_not_lock_the_operator_out() {
    let door = Door::new();
    door.sessions.set_password(&Operator::local(), PASSWORD).await.unwrap();
    let guesses = (0..30).map(|n| {
        let sessions = door.sessions.clone();
        async move { sessions.open_by_password(&format!("a wrong guess, number {n}")).await }
    });
    let outcomes = futures_util::future::join_all(guesses).await;
    let count = |wanted: fn(&SignInError) -> bool| outcomes.iter().filter(|o| o.as_ref().is_err_and(wanted)).count();
    let (busy, refused) = (count(|e| matches!(e, SignInError::Busy)), count(|e| matches!(e, SignInError::Refused)));
    assert_eq!(busy + refused, 30);
    assert!(busy >= 1 && refused >= 10, "{busy} turned away, {refused} tried");
    assert!(door.sessions.open_by_password(PASSWORD).await.is_ok());
}

#[tokio::test]
async fn the_words_of_a_refusal_never_tell_why() {
    let door = Door::new();
    let words = async |attempt: Result<String, SignInError>| attempt.unwrap_err().to_string();
    let unset = words(door.sessions.open_by_password(PASSWORD).await).await;
    let no_link = words(door.sessions.open_by_link("x").await).await;
    door.sessions.set_password(&Operator::local(), PASSWORD).await.unwrap();
    let wrong = words(door.sessions.open_by_password("wrong").await).await;
    assert!(unset == wrong && wrong == no_link);
}

#[tokio::test]
async fn when_the_disk_is_full_a_session_still_lives() {
    let door = Door::new();
    let cookie = door.signed_in().await;
    door.ledger.refuse_writes().await;
    door.hands.forward(HOUR);
    assert!(door.lives(&cookie).await);
    assert!(matches!(door.sessions.make_link().await, Err(LedgerError::Failed(_) | LedgerError::NoSpace)));
}
