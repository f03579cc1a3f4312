//! Actors that die, hang and come back, and what readers saw meanwhile.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use carrel::actors::{Fault, Faults, Health, Place};
use serde_json::json;

use crate::harness::{Root, TestApp, eventually};

const APPLES: &[(&str, &str)] = &[("a.md", "# A\n\nThe apple harvest begins in autumn.\n")];

/// Faults that a test sets while the app runs: for the tenant `acme`, at one place, so many times.
#[derive(Clone, Default)]
struct Wanted(Arc<Mutex<Option<(Place, Fault, usize)>>>);

impl Wanted {
    fn want(&self, place: Place, fault: Fault, times: usize) {
        *self.0.lock().unwrap() = Some((place, fault, times));
    }

    /// Whether all that was wanted has happened.
    fn happened(&self) -> bool {
        self.0.lock().unwrap().is_some_and(|(_, _, times)| times == 0)
    }

    fn hook(&self) -> Faults {
        let wanted = self.clone();
        Faults::new(move |tenant, at| {
            let mut wanted = wanted.0.lock().unwrap();
            let (place, fault, times) = wanted.as_mut()?;
            if tenant.as_str() != "acme" || *place != at || *times == 0 {
                return None;
            }
            *times -= 1;
            Some(*fault)
        })
    }
}

async fn start() -> (TestApp, Wanted) {
    let wanted = Wanted::default();
    let root = Root::new().tenant("acme", "", APPLES).tenant("other", "", APPLES);
    (root.start_with(|_| {}, wanted.hook()).await, wanted)
}

/// Asks `acme` until `until` holds; every single answer must be whole.
async fn asking_until(app: &TestApp, until: impl Fn() -> bool) -> usize {
    let acme = app.tenant("acme").await;
    let asked = AtomicUsize::new(0);
    eventually(|| async {
        let answer = acme.ask("When does the apple harvest begin?").await.ok();
        assert!(answer["answer"].as_str().unwrap().contains("autumn"));
        asked.fetch_add(1, Ordering::Relaxed);
        until().then_some(())
    })
    .await;
    asked.into_inner()
}

#[tokio::test]
async fn a_writer_that_panics_once_comes_back_and_readers_notice_nothing() {
    let (app, wanted) = start().await;
    wanted.want(Place::Handle, Fault::Panic, 1);
    let _ = app.tenant("acme").await.post("/api/v1/reindex", json!({})).await;
    let desk = app.desk("acme");
    asking_until(&app, || desk.status().restarts == 1 && desk.status().health == Health::Ready).await;
    assert_eq!(app.tenant("acme").await.reindex().await["state"], "done");
    assert_eq!(app.desk("other").status().restarts, 0);
}

#[tokio::test]
async fn a_writer_that_panics_at_every_message_is_left_alone_and_its_last_index_answers() {
    let (app, wanted) = start().await;
    wanted.want(Place::Handle, Fault::Panic, usize::MAX);
    let _ = app.tenant("acme").await.post("/api/v1/reindex", json!({})).await;
    let desk = app.desk("acme");
    // Each new life hears that the disk is open, and dies of it.
    asking_until(&app, || matches!(desk.status().health, Health::Quarantined { .. })).await;
    assert_eq!(desk.status().restarts, 6, "five deaths are borne, the sixth is not");
    assert!(app.anonymous().get("/readyz").await.status.is_success());
    wanted.want(Place::Handle, Fault::Panic, 0);
    assert_eq!(
        app.tenant("acme").await.reindex().await["state"],
        "done",
        "an operator's command gives it another chance"
    );
    assert_eq!(app.desk("other").status().restarts, 0);
}

#[tokio::test]
async fn a_writer_that_cannot_start_is_tried_again() {
    let (app, wanted) = start().await;
    wanted.want(Place::Spawn, Fault::Panic, 2);
    app.desk("acme").kill_writer();
    let desk = app.desk("acme");
    asking_until(&app, || desk.status().restarts == 3 && desk.status().health == Health::Ready).await;
}

#[tokio::test]
async fn a_killed_writer_comes_back_and_takes_its_work_up_again() {
    let (app, wanted) = start().await;
    wanted.want(Place::DuringBuild, Fault::Hang, 1);
    let acme = app.tenant("acme").await;
    let ticket = acme.post("/api/v1/reindex", json!({})).await.ok();
    let id = ticket["job_id"].as_str().unwrap();
    eventually(|| async { wanted.happened().then_some(()) }).await;
    app.desk("acme").kill_writer();
    let desk = app.desk("acme");
    asking_until(&app, || desk.status().generation > 1).await;
    let job = acme.job(id).await;
    assert_eq!((&job["state"], &job["attempts"]), (&json!("done"), &json!(2)));
}

#[tokio::test]
async fn a_build_that_dies_before_publishing_leaves_the_old_generation_serving() {
    let (app, wanted) = start().await;
    wanted.want(Place::BeforePublish, Fault::Panic, 1);
    let acme = app.tenant("acme").await;
    let job = acme.reindex().await;
    assert_eq!((&job["state"], &job["error"]["code"]), (&json!("failed"), &json!("internal")));
    assert_eq!(app.desk("acme").status().generation, 1);
    asking_until(&app, || true).await;
    assert_eq!(acme.reindex().await["state"], "done");
}

#[tokio::test]
async fn a_writer_that_hangs_is_replaced_and_readers_notice_nothing() {
    let (app, wanted) = start().await;
    wanted.want(Place::Handle, Fault::Hang, 1);
    let desk = app.desk("acme");
    let asked = asking_until(&app, || desk.status().restarts >= 1 && desk.status().health == Health::Ready).await;
    assert!(asked > 1);
}

#[tokio::test]
async fn ten_rebuilds_asked_for_at_once_are_one_build_and_at_most_one_more() {
    let (app, _) = start().await;
    let acme = app.tenant("acme").await;
    let tickets = futures_util::future::join_all((0..10).map(|_| acme.post("/api/v1/reindex", json!({})))).await;
    let mut jobs: Vec<String> =
        tickets.into_iter().map(|ticket| ticket.ok()["job_id"].as_str().unwrap().to_owned()).collect();
    jobs.sort();
    jobs.dedup();
    assert!(jobs.len() <= 2, "{jobs:?}");
    for job in &jobs {
        acme.job(job).await;
    }
    assert_eq!(app.desk("acme").status().generation, 1 + jobs.len() as u64);
}

#[tokio::test]
async fn one_tenant_that_cannot_be_built_among_twenty_leaves_the_others_ready() {
    let faults =
        Faults::new(|tenant, place| (tenant.as_str() == "t7" && place == Place::DuringBuild).then_some(Fault::Panic));
    let root = (0..20).fold(Root::new(), |root, at| root.tenant(&format!("t{at}"), "", APPLES));
    let app = root.start_with(|_| {}, faults).await;
    assert_eq!(app.state.tenants.ready(), (19, 20));
    let answer = app.tenant("t7").await.ask("apple").await.ok();
    assert_eq!(answer["degraded"][0]["code"], "index_incomplete", "{answer}");
    app.tenant("t8").await.ask("apple harvest").await.ok();
    assert!(app.anonymous().get("/readyz").await.status.is_success());
}
