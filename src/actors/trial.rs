//! A new generation on trial: asked the tenant's golden questions before it serves, and held back if it got worse.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cell::Cell;
use super::desk::Desk;
use super::refusal::DeskError;
use super::work::{Shared, blocking};
use crate::domain::{Checks, Expected, Golden, GoldenCheck, Job, JobProblem, StageName, Timestamp};
use crate::engine::{BuildError, SearchError};
use crate::index::Snapshot;
use crate::telemetry;

/// The note of a generation's checks, beside its files.
const CHECKS: &str = "checks.json";
/// Golden questions a tenant may have: each is asked twice a build.
const MOST_GOLDEN: usize = 1_000;
/// The longest excerpt, characters.
const LONGEST_EXCERPT: usize = 4_096;
/// Things that one question may expect.
const MOST_EXPECTED: usize = 50;
/// How long to wait for the new generation's embedder before it is asked again.
const ASKED_AGAIN: Duration = Duration::from_secs(2);

impl Desk {
    /// The tenant's golden questions, by id.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn golden(&self) -> Result<Vec<Golden>, DeskError> {
        Ok(self.shared.ledger.golden(self.tenant()).await?)
    }

    /// Keeps a golden question, in place of the same one.
    ///
    /// # Errors
    /// [`DeskError::Golden`] when it expects nothing, too much, or a document that is not there.
    pub async fn keep_golden(&self, question: &str, expect: Vec<Expected>, by: &str) -> Result<Golden, DeskError> {
        let ledger = &self.shared.ledger;
        let most = self.shared.config.http.max_query_chars;
        let golden = Golden::new(question, expect, by);
        let length = golden.question.chars().count();
        if length == 0 || length > most {
            return Err(DeskError::Golden(format!("`question` must have 1 to {most} characters")));
        }
        if golden.expect.is_empty() || golden.expect.len() > MOST_EXPECTED {
            return Err(DeskError::Golden(format!("`expect` must name 1 to {MOST_EXPECTED} documents or excerpts")));
        }
        for Expected { document_id, excerpt } in &golden.expect {
            if excerpt.as_ref().is_some_and(|words| words.trim().is_empty() || words.chars().count() > LONGEST_EXCERPT)
            {
                return Err(DeskError::Golden(format!("an excerpt must have 1 to {LONGEST_EXCERPT} characters")));
            }
            if ledger.document(self.tenant(), document_id).await?.is_none() {
                return Err(DeskError::GoldenUnknown(document_id.clone()));
            }
        }
        let known = ledger.golden(self.tenant()).await?;
        if known.len() >= MOST_GOLDEN && known.iter().all(|known| known.id != golden.id) {
            return Err(DeskError::Quota(format!("{MOST_GOLDEN} golden questions of {MOST_GOLDEN}")));
        }
        ledger.save_golden(self.tenant(), golden.clone()).await?;
        Ok(golden)
    }

    /// Deletes a golden question.
    ///
    /// # Errors
    /// [`DeskError::NotFound`].
    pub async fn forget_golden(&self, id: &str) -> Result<(), DeskError> {
        let known = self.shared.ledger.forget_golden(self.tenant(), id).await?;
        if known { Ok(()) } else { Err(DeskError::NotFound("golden question")) }
    }
}

/// What was checked of generation `number` before it was to serve; nothing where there was nothing to check.
pub(super) fn checks_of(cell: &Cell, number: u64) -> Result<Option<Checks>, BuildError> {
    Ok(cell.generations.noted(number, CHECKS)?)
}

/// Checks a generation that is built but does not serve yet, notes what was found, and tells whether it is to be held back.
///
/// Questions are asked one after the other by the build's own task, so those of callers are never queued behind them.
pub(super) async fn check(
    cell: &Arc<Cell>,
    shared: &Shared,
    job: &mut Job,
    built: &Snapshot,
) -> Result<bool, BuildError> {
    let golden = shared.ledger.golden(&cell.id).await?;
    let asked = cell.asked();
    let serving = cell.snapshot();
    let replayed = golden.is_empty() && !asked.is_empty() && serving.is_some();
    if golden.is_empty() && !replayed {
        return Ok(false);
    }
    let begun = Instant::now();
    job.stage = Some(StageName::Check);
    job.progressed_at = Some(Timestamp::now());
    shared.ledger.save_job(&cell.id, job.clone()).await?;
    let checks = loop {
        match checked(cell, shared, built, &golden, &asked).await {
            Err(SearchError::Embed(error)) if error.may_pass() && begun.elapsed() < shared.config.builds.patience => {
                let waits = format!("it waits and asks the golden questions again: {}", error.in_full());
                job.problem = Some(JobProblem::new(error.code(), waits));
                shared.ledger.save_job(&cell.id, job.clone()).await?;
                tokio::time::sleep(ASKED_AGAIN).await;
            }
            other => break other?,
        }
    };
    job.problem = checks.golden.as_ref().and_then(|check| problem(built.generation(), check));
    let (generations, number, hold) = (cell.generations.clone(), built.generation(), checks.hold());
    blocking(move || Ok(generations.note(number, CHECKS, &checks)?)).await?;
    telemetry::job_stage(StageName::Check, begun.elapsed());
    Ok(hold)
}

async fn checked(
    cell: &Cell,
    shared: &Shared,
    built: &Snapshot,
    golden: &[Golden],
    asked: &[String],
) -> Result<Checks, SearchError> {
    let (settings, serving) = (cell.settings.load_full(), cell.snapshot());
    let mut checks = Checks::default();
    if !golden.is_empty() {
        checks.golden = Some(shared.engine.check_golden(built, serving.as_deref(), &settings, golden).await?);
    } else if let Some(serving) = &serving {
        checks.replay = shared.engine.check_replay(built, serving, &settings, asked).await?;
    }
    Ok(checks)
}

/// What the job says of the golden questions; nothing when all went well.
fn problem(number: u64, check: &GoldenCheck) -> Option<JobProblem> {
    let unasked = |why| {
        let what = "the golden questions could not be asked of the generation that served, so nothing was compared";
        JobProblem::new("golden_not_compared", format!("{what}: {why}"))
    };
    let held = || JobProblem::new("generation_held", in_words(number, check));
    if check.held { Some(held()) } else { check.unasked.as_ref().map(unasked) }
}

fn in_words(number: u64, check: &GoldenCheck) -> String {
    let before = check.serving.unwrap_or_default();
    format!(
        "generation {number} is held back: on {} golden questions recall@10 went from {:.3} to {:.3} and nDCG@10 from \
         {:.3} to {:.3}, more than the margin of {}. What served goes on serving; the generation's checks name what got worse",
        check.questions, before.recall_10, check.built.recall_10, before.ndcg_10, check.built.ndcg_10, check.margin,
    )
}

impl From<SearchError> for BuildError {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::Embed(error) => error.into(),
            SearchError::Index(error) => error.into(),
        }
    }
}
