//! Scans: a folder that stirred is compared with the index, and what changed gets a job.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::task::AbortOnDropHandle;

use super::cell::Cell;
use super::sync::{self, STILL, Sightings};
use super::work::{Shared, begin, finish, save_jobs};
use crate::domain::{DocumentId, Job, JobCounts, JobId, JobKind, JobState};
use crate::engine::BuildError;

/// Part of the time that scanning may take while files do not stand still: one in five.
const SPARE: u32 = 4;

/// What an index actor knows of its scans: at most one runs, and at most one more follows it.
#[derive(Default)]
pub(super) struct Scans {
    pub running: Option<AbortOnDropHandle<()>>,
    /// Whether another must follow.
    pub again: bool,
    sightings: Arc<Mutex<Sightings>>,
}

/// What a scan found.
pub(super) struct Scanned {
    /// Documents to read, each with its job.
    pub changed: Vec<(DocumentId, JobId)>,
    /// When to look again, where files were still being written.
    pub look_again: Option<Duration>,
}

impl Scans {
    /// The work of one scan.
    pub(super) fn scan(
        &self,
        cell: Arc<Cell>,
        shared: Shared,
    ) -> impl Future<Output = Result<Scanned, BuildError>> + Send + 'static {
        run(cell, shared, Arc::clone(&self.sightings))
    }
}

async fn run(cell: Arc<Cell>, shared: Shared, seen: Arc<Mutex<Sightings>>) -> Result<Scanned, BuildError> {
    let begun = Instant::now();
    let earlier = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
    let (compared, sightings) = sync::rescan(&cell, &shared, earlier).await?;
    let look_again = (!sightings.is_empty()).then(|| STILL.max(begun.elapsed() * SPARE));
    *seen.lock().unwrap_or_else(PoisonError::into_inner) = sightings;
    let generation = cell.snapshot().map(|snapshot| snapshot.generation());
    let moved = compared.moved.into_iter().map(|(id, chunks)| {
        let mut job = job_for(id);
        begin(&mut job);
        finish(&mut job, JobState::Done, None);
        let counts = JobCounts { documents_total: 1, documents_done: 1, documents_reused: 1, ..job.counts };
        Job { counts: JobCounts { chunks: chunks.into(), ..counts }, generation, ..job }
    });
    save_jobs(&cell, &shared, moved.collect()).await?;
    let jobs: Vec<Job> = compared.changed.into_iter().map(job_for).collect();
    let changed = jobs.iter().filter_map(|job| Some((job.document_id.clone()?, job.id))).collect();
    save_jobs(&cell, &shared, jobs).await?;
    Ok(Scanned { changed, look_again })
}

fn job_for(id: DocumentId) -> Job {
    Job::queued(JobKind::Ingest, Some(id), "folder")
}
