//! Restores and clones: a backup becomes a tenant, whole or not at all.
//!
//! Everything is checked and unpacked beside its place. Then a note of what is about to happen is made durable, the folders
//! are moved into place, and the tenant's file, written last, makes it a tenant. Whatever a crash leaves is undone, or is
//! whole, at the next start. From when the file is known to be whole, a job of the tenant-to-be tells how it goes.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::backup::ASIDE;
use super::directory::{Health, Tenants};
use super::refusal::DeskError;
use super::removal::write_durably;
use super::work::{begin, blocking, desk_error, finish};
use crate::access::Operator;
use crate::backup::{self, BackupError, CURRENT, Checked, DOCUMENTS, INDEX, LEDGER, RowReader, SETTINGS};
use crate::config::{Config, TenantSettings};
use crate::domain::{Job, JobCounts, JobId, JobKind, JobProblem, JobState, StageName, TenantId};
use crate::engine::BuildError;
use crate::index::{Generations, IndexError};
use crate::ledger::Ledger;
use crate::store;

/// Begins the names of folders that are unpacked to, under `data/` and `documents/`.
const STAGED: &str = ".restoring-";
/// Names, in the staged folder, the tenant whose folders are being moved into place.
const IN_PLACE: &str = "in-place";
/// The folder, in the staged one, that becomes `data/<id>`.
const STAGED_INDEX: &str = "index-and-current";
/// How long a reply waits for the restored tenant to answer.
const OPENING: Duration = Duration::from_secs(10);

/// Where a backup comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// A file that somebody sent: nothing in it is believed unchecked.
    Outside,
    /// This process wrote it a moment ago.
    Here,
}

/// A tenant that was made of a backup.
pub struct Restored {
    /// Its id.
    pub id: TenantId,
    /// The job that made it.
    pub job_id: JobId,
}

impl Tenants {
    /// A file that a backup can be received in, gone when it is dropped.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn receive(&self, _operator: &Operator) -> Result<File, DeskError> {
        let data = self.0.shared.config.data_dir();
        blocking(move || Ok(tempfile::tempfile_in(data)?)).await.map_err(desk_error)
    }

    /// Makes a tenant of a backup, under `id` or the id it had. Nothing is embedded again.
    ///
    /// # Errors
    /// [`DeskError::Backup`], [`DeskError::TenantExists`], [`DeskError::Quota`], [`DeskError::Settings`], or the disk's
    /// refusal; then nothing has changed.
    pub async fn restore(&self, operator: &Operator, file: File, id: Option<TenantId>) -> Result<Restored, DeskError> {
        self.restore_from(Origin::Outside, operator, file, id).await
    }

    async fn restore_from(
        &self,
        origin: Origin,
        operator: &Operator,
        file: File,
        id: Option<TenantId>,
    ) -> Result<Restored, DeskError> {
        // A task of its own: a caller who leaves now does not stop it half-way.
        let tenants = self.clone();
        let by = operator.subject().to_owned();
        let restoring = tokio::spawn(async move { tenants.bring_in(origin, file, id, &by).await });
        restoring.await.map_err(|_| DeskError::Unresponsive)?
    }

    /// Makes a tenant `to` that is what `from` is now. Nothing is embedded again.
    ///
    /// # Errors
    /// As [`Tenants::restore`], and [`DeskError::NoTenant`].
    pub async fn duplicate(&self, operator: &Operator, from: &TenantId, to: TenantId) -> Result<Restored, DeskError> {
        self.must_be_free(&to).await?;
        let source = self.desk_for(operator, from)?.gather().await?;
        let file = self.receive(operator).await?;
        let file = blocking(move || Ok(source.write(file))).await.map_err(desk_error)??;
        self.restore_from(Origin::Here, operator, file, Some(to)).await
    }

    async fn bring_in(
        &self,
        origin: Origin,
        file: File,
        id: Option<TenantId>,
        by: &str,
    ) -> Result<Restored, DeskError> {
        let checked = blocking(move || Ok(backup::verify(file, store::is_stored))).await.map_err(desk_error)??;
        let id = id.unwrap_or_else(|| checked.header.tenant.clone());
        self.must_be_free(&id).await?;
        let mut job = Job::queued(JobKind::Restore, None, by);
        begin(&mut job);
        let outcome = self.unpack_and_adopt(origin, &id, checked, &mut job).await;
        match &outcome {
            Ok(()) => finish(&mut job, JobState::Done, None),
            Err(error) => finish(&mut job, JobState::Failed, Some(JobProblem::new(code(error), error.to_string()))),
        }
        let job_id = job.id;
        if let Err(error) = self.0.shared.ledger.save_job(&id, job).await {
            // What became of it stands; the next start ends the job.
            tracing::error!(tenant.id = %id, error = %error, "the end of a restore could not be written down");
        }
        outcome.map(|()| Restored { id, job_id })
    }

    async fn unpack_and_adopt(
        &self,
        origin: Origin,
        id: &TenantId,
        checked: Checked,
        job: &mut Job,
    ) -> Result<(), DeskError> {
        let ledger = &self.0.shared.ledger;
        let (documents_total, bytes) = documents_of(&checked);
        job.counts = JobCounts { documents_total, bytes, ..JobCounts::default() };
        job.stage = Some(StageName::Check);
        ledger.save_job(id, job.clone()).await?;
        let config = self.0.shared.config.clone();
        let unpacked = blocking(move || Ok(Unpacked::new(origin, checked, &config))).await.map_err(desk_error)?;
        let unpacked = Arc::new(unpacked?);
        let _changing = self.0.changing.lock().await;
        self.must_be_free(id).await?;
        job.stage = Some(StageName::Publish);
        ledger.save_job(id, job.clone()).await?;
        if let Err(error) = self.put_in_place(id, &unpacked).await {
            self.undo_restore(id).await?;
            return Err(error);
        }
        self.adopt(id, unpacked.settings.clone()).await?;
        // The note of what was to happen goes last: it is what finds a half at the next start.
        drop(unpacked);
        tracing::info!(tenant.id = %id, "restored {id} from a backup");
        let Some(cell) = self.0.living.load().get(id).cloned() else { return Ok(()) };
        let mut health = cell.watch();
        let open = health.wait_for(|health| !matches!(health, Health::Building { .. }));
        // A large index opens while the reply is on its way already.
        let _ = tokio::time::timeout(OPENING, open).await;
        if let Some(snapshot) = cell.snapshot() {
            job.generation = Some(snapshot.generation());
            job.counts.chunks = snapshot.chunks();
        }
        job.counts.documents_done = job.counts.documents_total;
        job.counts.documents_reused = job.counts.documents_total;
        Ok(())
    }

    /// Refuses an id that is taken, be it by folders alone.
    async fn must_be_free(&self, id: &TenantId) -> Result<(), DeskError> {
        let config = self.0.shared.config.clone();
        let taken = [config.data_dir().join(id.as_str()), config.documents_dir().join(id.as_str())];
        let file = self.file(id);
        let taken = blocking(move || {
            let filled = |folder: &PathBuf| fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
            Ok(file.exists() || taken.iter().any(filled))
        });
        if taken.await.map_err(desk_error)? || self.0.living.load().contains_key(id) {
            return Err(DeskError::TenantExists(id.clone()));
        }
        Ok(())
    }

    /// Moves what was unpacked to where it belongs; the tenant's file comes last.
    async fn put_in_place(&self, id: &TenantId, unpacked: &Arc<Unpacked>) -> Result<(), DeskError> {
        let (config, to, folders) = (self.0.shared.config.clone(), id.clone(), Arc::clone(unpacked));
        blocking(move || folders.put(&config, &to)).await.map_err(desk_error)?;
        for name in &unpacked.sections {
            self.save_section(id, unpacked, name).await?;
        }
        let (file, settings) = (self.file(id), Arc::clone(unpacked));
        blocking(move || Ok(write_durably(&file, settings.file.as_bytes())?)).await.map_err(desk_error)
    }

    /// Writes what the ledger is to know, a few rows at a time.
    async fn save_section(&self, id: &TenantId, unpacked: &Unpacked, name: &str) -> Result<(), DeskError> {
        let mut rows = unpacked.rows(name)?;
        loop {
            let next = blocking(move || Ok(rows.next(Ledger::ROWS_AT_ONCE).map(|batch| (batch, rows))));
            let batch;
            (batch, rows) = next.await.map_err(desk_error)??;
            if batch.is_empty() {
                return Ok(());
            }
            self.0.shared.ledger.save_rows(id, name, batch).await?;
        }
    }

    /// Takes away what a restore that did not come to its end has put in place.
    async fn undo_restore(&self, id: &TenantId) -> Result<(), DeskError> {
        self.0.shared.ledger.forget_tenant(id).await?;
        let generations = Generations::new(&self.0.shared.config.data_dir().join(id.as_str()));
        let (store, id) = (self.0.store.clone(), id.clone());
        blocking(move || {
            generations.destroy()?;
            Ok(store.destroy(&id)?)
        })
        .await
        .map_err(desk_error)
    }

    /// Ends what a dead process left of backups and restores; before any tenant is started.
    pub(super) async fn finish_restores(&self) -> Result<(), DeskError> {
        let (config, ledger) = (self.0.shared.config.clone(), &self.0.shared.ledger);
        let begun = ledger.unfinished_restores().await?;
        let data = config.data_dir();
        for staged in blocking(move || Ok(named(&data, STAGED)?)).await.map_err(desk_error)? {
            let note = fs::read_to_string(staged.join(IN_PLACE)).ok();
            if let Some(id) = note.and_then(|id| TenantId::parse(id.trim()).ok())
                && !self.file(&id).exists()
            {
                tracing::warn!(tenant.id = %id, "a restore of {id} did not come to its end and is undone");
                self.undo_restore(&id).await?;
            }
            blocking(move || Ok(fs::remove_dir_all(staged)?)).await.map_err(desk_error)?;
        }
        // Those that came to their end end with the opening of their tenants.
        for (id, mut job) in begun.into_iter().filter(|(id, _)| !self.file(id).exists()) {
            let why = JobProblem::new("interrupted", "Carrel stopped in the middle of it and undid it: send it again");
            finish(&mut job, JobState::Failed, Some(why));
            ledger.save_job(&id, job).await?;
        }
        blocking(move || {
            for staged in named(&config.documents_dir(), STAGED)?.into_iter().chain(named(&config.data_dir(), ASIDE)?) {
                fs::remove_dir_all(staged)?;
            }
            Ok(())
        })
        .await
        .map_err(desk_error)
    }
}

/// The stable code of why a restore failed; those of refusals are the ones of the reply.
fn code(error: &DeskError) -> &'static str {
    match error {
        DeskError::Backup(BackupError::Foreign) => "backup_foreign",
        DeskError::Backup(BackupError::Damaged { .. }) => "backup_damaged",
        DeskError::Backup(BackupError::Newer { .. }) => "backup_newer",
        DeskError::TenantExists(_) => "tenant_exists",
        DeskError::Quota(_) => "quota_exceeded",
        DeskError::Settings(_) => "invalid_settings",
        DeskError::Index(_) => "index_failed",
        DeskError::Ledger(_) => "ledger_failed",
        _ => "storage_failed",
    }
}

/// Folders in `folder` whose names begin with `prefix`.
fn named(folder: &Path, prefix: &str) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(prefix)) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// A backup beside its place, checked; gone when it is dropped, but for what was put in place.
struct Unpacked {
    /// Under `data/`: the index, and a note once folders are moved.
    staged: tempfile::TempDir,
    /// Under `documents/`, which may be another disk.
    documents: tempfile::TempDir,
    settings: TenantSettings,
    /// The tenant's file.
    file: String,
    /// The names of the ledger's sections, whose rows were unpacked beside the index.
    sections: Vec<String>,
}

impl Unpacked {
    fn new(origin: Origin, mut checked: Checked, config: &Config) -> Result<Self, DeskError> {
        let failed = |error: io::Error| DeskError::from(BackupError::io("unpack")(error));
        let file = std::mem::take(&mut checked.settings);
        let settings =
            TenantSettings::parse(SETTINGS, &file, config).map_err(|error| DeskError::Settings(error.to_string()))?;
        within_quota(&checked, &settings)?;
        let sections = sections_of(&checked)?;
        fs::create_dir_all(config.documents_dir()).map_err(failed)?;
        let folder = |parent: &Path| tempfile::Builder::new().prefix(STAGED).tempdir_in(parent);
        let staged = folder(&config.data_dir()).map_err(failed)?;
        let documents = folder(&config.documents_dir()).map_err(failed)?;
        let index = staged.path().join(STAGED_INDEX);
        fs::create_dir(&index).map_err(failed)?;
        checked.unpack(|path| match path.strip_prefix(DOCUMENTS) {
            Some(document) => Some(documents.path().join(document)),
            None if origin == Origin::Outside && path.starts_with(INDEX) && Generations::is_graph(path) => None,
            None if path == CURRENT || path.starts_with(INDEX) => Some(index.join(path)),
            None => path.starts_with(LEDGER).then(|| staged.path().join(path)),
        })?;
        let unpacked = Self { staged, documents, settings, file, sections };
        for name in &unpacked.sections {
            check_rows(unpacked.rows(name)?, name)?;
        }
        opens(&index)?;
        for folder in [unpacked.staged.path(), unpacked.documents.path()] {
            sync_all(folder).map_err(failed)?;
        }
        Ok(unpacked)
    }

    /// The rows of a section.
    fn rows(&self, name: &str) -> Result<RowReader, BackupError> {
        let entry = format!("{LEDGER}{name}.jsonl");
        RowReader::open(&self.staged.path().join(&entry), &entry)
    }

    /// Notes what is about to happen, then moves the folders.
    fn put(&self, config: &Config, id: &TenantId) -> Result<(), BuildError> {
        let mut note = File::create(self.staged.path().join(IN_PLACE))?;
        note.write_all(id.as_str().as_bytes())?;
        note.sync_all()?;
        for folder in [self.staged.path().to_owned(), config.data_dir(), config.documents_dir()] {
            File::open(folder)?.sync_all()?;
        }
        let (data, documents) = (config.data_dir().join(id.as_str()), config.documents_dir().join(id.as_str()));
        fs::rename(self.staged.path().join(STAGED_INDEX), data)?;
        fs::rename(self.documents.path(), documents)?;
        for folder in [config.data_dir(), config.documents_dir()] {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }
}

/// The names of a backup's sections, all of which must be known.
fn sections_of(checked: &Checked) -> Result<Vec<String>, BackupError> {
    let paths = checked.entries.iter().map(|mark| mark.path.as_str());
    let names = paths.filter_map(|path| path.strip_prefix(LEDGER)?.strip_suffix(".jsonl"));
    let known = |name: &str| {
        let unknown = || BackupError::damaged("the ledger", format!("there is no section `{name}`"));
        Ledger::knows_section(name).then(|| name.to_owned()).ok_or_else(unknown)
    };
    names.map(known).collect()
}

/// Refuses rows that the ledger could not keep.
fn check_rows(mut rows: RowReader, name: &str) -> Result<(), BackupError> {
    loop {
        let batch = rows.next(Ledger::ROWS_AT_ONCE)?;
        if batch.is_empty() {
            return Ok(());
        }
        let checked = batch.iter().try_for_each(|row| Ledger::check_row(name, row));
        checked.map_err(|reason| BackupError::damaged("the ledger", reason))?;
    }
}

/// Refuses a tenant that would keep more than its own settings allow.
fn within_quota(checked: &Checked, settings: &TenantSettings) -> Result<(), DeskError> {
    let (limits, (documents, bytes)) = (&settings.limits, documents_of(checked));
    if documents > limits.max_documents {
        return Err(DeskError::Quota(format!("{documents} documents of {}", limits.max_documents)));
    }
    if bytes > limits.max_bytes {
        return Err(DeskError::Quota(format!("{bytes} bytes of {}", limits.max_bytes)));
    }
    Ok(())
}

/// How many documents a backup holds, and their bytes.
fn documents_of(checked: &Checked) -> (u64, u64) {
    let uploads = format!("{DOCUMENTS}uploads/");
    let (mut documents, mut bytes) = (0, 0);
    for mark in checked.entries.iter().filter(|mark| mark.path.starts_with(DOCUMENTS)) {
        // An upload is two files: its record, and its bytes.
        let record = mark.path.strip_prefix(&uploads).map(|name| name.contains('.'));
        documents += u64::from(record != Some(false));
        bytes += if record == Some(true) { 0 } else { mark.bytes };
    }
    (documents, bytes)
}

/// Opens the index as a start would, so that one that does not is refused before it is anybody's, and makes its graphs.
fn opens(index: &Path) -> Result<(), DeskError> {
    match Generations::new(index).complete() {
        Ok(()) => Ok(()),
        Err(IndexError::Damaged { file, reason, .. }) => Err(BackupError::damaged(&file, reason).into()),
        Err(IndexError::Newer { found, known, .. }) => Err(BackupError::Newer { found, known }.into()),
        Err(error) => Err(error.into()),
    }
}

/// Makes the names in a folder and all below it durable.
fn sync_all(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_all(&entry.path())?;
        }
    }
    File::open(folder)?.sync_all()
}
