//! Jobs.

use rusqlite::{Connection, OptionalExtension, Rows, params};
use tokio::sync::watch;

use super::{Ledger, Listed, Page, Result, lists};

use crate::domain::{Job, JobId, JobKind, JobState, TenantId, Timestamp};

impl Ledger {
    /// Writes a job, new or changed.
    pub async fn save_job(&self, tenant: &TenantId, job: Job) -> Result<()> {
        let (tenant, entry) = (tenant.clone(), serde_json::to_string(&job)?);
        let (id, state) = (job.id.to_string(), job.state.as_str());
        let sql = "INSERT OR REPLACE INTO jobs VALUES (?1, ?2, ?3, ?4)";
        self.writer.write(move |db| db.execute(sql, params![tenant.as_str(), id, state, entry]).map(drop)).await?;
        self.jobs_written.send_modify(|written| *written += 1);
        Ok(())
    }

    /// Changes whenever a job of any tenant was written.
    #[must_use]
    pub fn jobs_written(&self) -> watch::Receiver<u64> {
        self.jobs_written.subscribe()
    }

    /// Jobs that run and have not got on for a minute, all tenants.
    pub async fn stalled_jobs(&self) -> Result<u64> {
        let running = |db: &Connection| {
            let mut statement = db.prepare("SELECT entry FROM jobs WHERE state = 'running'")?;
            let jobs = statement.query_map([], |row| lists::entry::<Job>(row, 0))?;
            let now = Timestamp::now();
            jobs.map(|job| job.map(|job| u64::from(job.is_stalled(now)))).sum()
        };
        self.readers.read(running).await
    }

    /// One job.
    pub async fn job(&self, tenant: &TenantId, id: JobId) -> Result<Option<Job>> {
        let key = [tenant.to_string(), id.to_string()];
        let sql = "SELECT entry FROM jobs WHERE tenant = ?1 AND id = ?2";
        self.readers.read(move |db| db.query_row(sql, key, |row| lists::entry(row, 0)).optional()).await
    }

    /// A page of jobs, of one state, one kind, or all; ids order by time.
    pub async fn jobs(
        &self,
        tenant: &TenantId,
        page: Page<JobId>,
        state: Option<JobState>,
        kind: Option<JobKind>,
    ) -> Result<Listed<Job>> {
        let (tenant, page) = (tenant.clone(), page.by_text());
        let (state, kind) = (state.map(JobState::as_str), kind.map(JobKind::as_str));
        let wanted = move |db: &Connection| {
            let wanted = [("state = ?", state), ("json_extract(entry, '$.kind') = ?", kind)];
            lists::list(db, "jobs", &tenant, &wanted, &page)
        };
        self.readers.read(wanted).await
    }

    /// Jobs that a dead process left queued or running, oldest first.
    pub async fn unfinished_jobs(&self, tenant: &TenantId) -> Result<Vec<Job>> {
        let tenant = tenant.to_string();
        let unfinished = move |db: &Connection| {
            // `+id` makes SQLite look for the few of these states instead of walking through all jobs in order.
            let mut statement =
                db.prepare("SELECT entry FROM jobs WHERE state IN ('queued', 'running') AND tenant = ?1 ORDER BY +id")?;
            statement.query_map([tenant], |row| lists::entry(row, 0))?.collect()
        };
        self.readers.read(unfinished).await
    }

    /// Restores that a dead process left, all tenants.
    pub async fn unfinished_restores(&self) -> Result<Vec<(TenantId, Job)>> {
        let unfinished = move |db: &Connection| {
            let mut statement = db.prepare(
                "SELECT tenant, entry FROM jobs WHERE state IN ('queued', 'running') AND json_extract(entry, '$.kind') = ?1",
            )?;
            with_tenants(statement.query([JobKind::Restore.as_str()])?)
        };
        self.readers.read(unfinished).await
    }

    /// The newest jobs of all tenants, newest first, for the operator's overview.
    pub async fn recent_jobs(&self, limit: usize) -> Result<Vec<(TenantId, Job)>> {
        let recent = move |db: &Connection| {
            let mut statement = db.prepare("SELECT tenant, entry FROM jobs ORDER BY id DESC LIMIT ?1")?;
            with_tenants(statement.query([i64::try_from(limit).unwrap_or(i64::MAX)])?)
        };
        self.readers.read(recent).await
    }

    /// Jobs by state, all tenants; every state is there, in the order of [`JobState::ALL`].
    pub async fn job_counts(&self) -> Result<Vec<(JobState, u64)>> {
        self.readers.read(counts).await
    }
}

/// Rows of a tenant and a job.
fn with_tenants(rows: Rows) -> rusqlite::Result<Vec<(TenantId, Job)>> {
    let rows = rows.mapped(|row| Ok((lists::tenant(row, 0)?, lists::entry(row, 1)?)));
    rows.filter_map(|row| row.map(|(tenant, job)| Some((tenant?, job))).transpose()).collect()
}

fn counts(db: &Connection) -> rusqlite::Result<Vec<(JobState, u64)>> {
    let mut statement = db.prepare("SELECT COUNT(*) FROM jobs WHERE state = ?1")?;
    let count = |state: JobState| {
        let jobs = statement.query_row([state.as_str()], |row| lists::count(row, 0))?;
        Ok((state, jobs))
    };
    JobState::ALL.into_iter().map(count).collect()
}
