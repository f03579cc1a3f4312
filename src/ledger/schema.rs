//! The tables, and how an older database becomes a newer one.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{LedgerError, Result};

/// Marks a database as Carrel's: `Carl` in ASCII.
const APPLICATION: i32 = 0x4361_726c;

/// How long a connection waits for another process (a backup, `sqlite3`) before it gives up.
const PATIENCE: Duration = Duration::from_secs(5);

/// Step `n` leads from schema `n` to `n + 1`; a step that was released never changes.
const MIGRATIONS: [&str; 2] = [
    "
    CREATE TABLE documents (
        tenant TEXT NOT NULL,
        id TEXT NOT NULL,
        state TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        modified_ns TEXT NOT NULL, -- decimal: 128 bits
        entry TEXT NOT NULL, -- DocumentStatus as JSON
        PRIMARY KEY (tenant, id)
    ) STRICT;
    CREATE INDEX documents_by_state ON documents (tenant, state, id, bytes);

    CREATE TABLE jobs (
        tenant TEXT NOT NULL,
        id TEXT NOT NULL,
        state TEXT NOT NULL,
        entry TEXT NOT NULL, -- Job as JSON
        PRIMARY KEY (tenant, id)
    ) STRICT;
    CREATE INDEX jobs_by_state ON jobs (state, tenant, id);
    CREATE INDEX jobs_by_id ON jobs (id);

    CREATE TABLE tokens (
        jti TEXT NOT NULL PRIMARY KEY,
        tenant TEXT,
        subject TEXT NOT NULL,
        scope TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        revoked_at INTEGER
    ) STRICT;
    CREATE INDEX tokens_by_tenant ON tokens (tenant);
    -- Outlives the tokens of a tenant that is forgotten.
    CREATE TABLE revoked (jti TEXT NOT NULL PRIMARY KEY, expires_at INTEGER NOT NULL) STRICT;

    CREATE TABLE audit (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        actor TEXT NOT NULL,
        action TEXT NOT NULL,
        tenant TEXT,
        target TEXT NOT NULL,
        request_id TEXT NOT NULL
    ) STRICT;

    CREATE TABLE password (one INTEGER PRIMARY KEY CHECK (one = 1), phc TEXT NOT NULL) STRICT;
    CREATE TABLE links (secret_hash TEXT NOT NULL PRIMARY KEY, expires_at INTEGER NOT NULL) STRICT;
    CREATE TABLE sessions (
        secret_hash TEXT NOT NULL PRIMARY KEY,
        created_at INTEGER NOT NULL,
        seen_at INTEGER NOT NULL
    ) STRICT;
",
    "
    CREATE TABLE golden (
        tenant TEXT NOT NULL,
        id TEXT NOT NULL,
        entry TEXT NOT NULL, -- Golden as JSON
        PRIMARY KEY (tenant, id)
    ) STRICT;
    CREATE INDEX jobs_by_kind ON jobs (tenant, json_extract(entry, '$.kind'), id);
",
];

/// Opens the writing connection; makes the file, readable by Carrel alone, when it is not there.
pub(super) fn open(path: &Path) -> Result<Connection> {
    make(path).map_err(|error| refused(path, &error))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = connect(path, flags)?;
    let version = version(&db, path)?;
    let mode: String = db.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(refused(path, &"its file system cannot keep a write-ahead log; put `data/` on a local disk"));
    }
    // What is deleted is overwritten, so that a purge leaves nothing of it.
    // Every commit reaches the disk before it is acknowledged; WAL alone would only do so at a checkpoint.
    db.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON;")?;
    migrate(&mut db, version)?;
    Ok(db)
}

/// Opens a connection that can only read.
pub(super) fn open_reader(path: &Path) -> Result<Connection> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

/// Opens a connection that folds the log into the database.
pub(super) fn connect_to_fold(path: &Path) -> Result<Connection> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection> {
    let db = Connection::open_with_flags(path, flags).map_err(|error| refused(path, &error))?;
    db.busy_timeout(PATIENCE)?;
    Ok(db)
}

fn make(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// The schema of a database, once it is known to be ours and one that this Carrel understands. Changes nothing.
fn version(db: &Connection, path: &Path) -> Result<usize> {
    let number = |pragma: &str| db.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    let read = || Ok((number("application_id")?, number("user_version")?, number("schema_version")?));
    let (application, found, changes) = read().map_err(|error: rusqlite::Error| {
        refused(path, &format_args!("{error}; restore a backup, or move it away to start with an empty ledger"))
    })?;
    let fresh = (application, found, changes) == (0, 0, 0);
    if !fresh && application != APPLICATION {
        return Err(refused(path, &"it is another program's; move it away and start again"));
    }
    let (found, known) = (u32::try_from(found).unwrap_or(u32::MAX), MIGRATIONS.len());
    usize::try_from(found)
        .ok()
        .filter(|found| *found <= known)
        .ok_or(LedgerError::Newer { found, known: u32::try_from(known).unwrap_or(u32::MAX) })
}

fn migrate(db: &mut Connection, from: usize) -> Result<()> {
    for (step, sql) in MIGRATIONS.iter().enumerate().skip(from) {
        let change = db.transaction()?;
        change.execute_batch(sql)?;
        change.pragma_update(None, "application_id", APPLICATION)?;
        change.pragma_update(None, "user_version", i64::try_from(step + 1).unwrap_or(i64::MAX))?;
        change.commit()?;
    }
    Ok(())
}

fn refused(path: &Path, why: &dyn std::fmt::Display) -> LedgerError {
    LedgerError::Failed(format!("{}: {why}", path.display()))
}
