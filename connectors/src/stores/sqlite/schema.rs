//! The schema: whether the file is Tallow's, its version, and the migrations to the newest.
//!
//! `application_id` marks the file as Tallow's; `user_version` is the number of applied migrations.

use super::errors::sqlite;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::path::Path;
use std::time::Duration;
use tallow_model::error::Error;

/// The mark of Tallow in the file's header, so that another program's database is never written to.
const APPLICATION_ID: i64 = 0x5441_4c57;

/// The migrations in order; the version of a file is the number of applied ones.
const MIGRATIONS: [&str; 2] = [
    include_str!("migrations/1_candles_and_alerts.sql"),
    include_str!("migrations/2_rejects_of_logs_made_anew.sql"),
];

/// The version that this program reads and writes.
const NEWEST: i64 = MIGRATIONS.len() as i64;

/// Time limit for another connection's lock. Short, because the writer retries.
const BUSY_TIMEOUT: Duration = Duration::from_millis(500);

/// Compiled statements that a connection keeps.
const CACHED_STATEMENTS: usize = 64;

/// Opens the file for writing, creates it if it is missing, and brings its tables up to the newest
/// version.
pub(super) fn open_for_writing(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let mut connection = open(path, flags)?;
    let failed = sqlite("prepare database", path);
    // SQLite silently falls back to read-only access if it may not write.
    if connection.is_readonly("main").map_err(&failed)? {
        return Err(Error::Invalid(format!("database {} is read-only", path.display())));
    }
    migrate(&mut connection, path)?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0)).map_err(&failed)?;
    if mode != "wal" {
        let why = "its file system has no shared memory, as network shares have not";
        return Err(Error::Invalid(format!(
            "database {} can't have a write-ahead log: {why}",
            path.display()
        )));
    }
    // Checkpoint SQLite's log every 16 MiB instead of 4: fewer, longer writes. The log's file
    // shrinks back.
    let settings = "PRAGMA synchronous = FULL;
        PRAGMA foreign_keys = ON;
        PRAGMA cache_size = -32768;
        PRAGMA temp_store = MEMORY;
        PRAGMA wal_autocheckpoint = 4096;
        PRAGMA journal_size_limit = 67108864;";
    connection.execute_batch(settings).map_err(&failed)?;
    Ok(connection)
}

/// Opens the file for reading only. It must exist and have exactly this program's version.
pub(super) fn open_for_reading(path: &Path) -> Result<Connection, Error> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    match version(&connection, path)? {
        Some(NEWEST) => {}
        _ => {
            let advice = "open it for writing once to bring it up to date";
            return Err(Error::Invalid(format!("database {} has an older schema: {advice}", path.display())));
        }
    }
    let settings = "PRAGMA query_only = ON; PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY;";
    connection.execute_batch(settings).map_err(sqlite("prepare database", path))?;
    Ok(connection)
}

fn open(path: &Path, flags: OpenFlags) -> Result<Connection, Error> {
    if path.is_dir() {
        return Err(Error::Invalid(format!("database {} is a directory", path.display())));
    }
    let failed = sqlite("open database", path);
    let connection =
        Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(&failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(&failed)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    Ok(connection)
}

/// Returns the number of applied migrations; `None` for an empty file.
fn version(connection: &Connection, path: &Path) -> Result<Option<i64>, Error> {
    let failed = sqlite("open database", path);
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let application_id = pragma("application_id").map_err(&failed)?;
    let user_version = pragma("user_version").map_err(&failed)?;
    let tables: i64 =
        connection.query_row("SELECT COUNT(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(&failed)?;
    if application_id != APPLICATION_ID {
        if application_id == 0 && user_version == 0 && tables == 0 {
            return Ok(None);
        }
        return Err(Error::Invalid(format!("database {} belongs to another program", path.display())));
    }
    if !(0..=NEWEST).contains(&user_version) {
        return Err(Error::Invalid(format!(
            "database {} has schema version {user_version}, this program knows versions up to {NEWEST}",
            path.display()
        )));
    }
    Ok(Some(user_version))
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Error> {
    if version(connection, path)? == Some(NEWEST) {
        return Ok(());
    }
    let failed = sqlite("migrate database", path);
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&failed)?;
    // Read again under the lock: another process may have been quicker.
    let seen = version(&transaction, path)?.unwrap_or(0);
    for (_, migration) in (1..).zip(MIGRATIONS).filter(|(number, _)| *number > seen) {
        transaction.execute_batch(migration).map_err(&failed)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(&failed)?;
    transaction.pragma_update(None, "user_version", NEWEST).map_err(&failed)?;
    transaction.commit().map_err(&failed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;
    use tallow_model::error::{Action, chain};

    fn refusal(path: &Path) -> String {
        let error = open_for_writing(path).unwrap_err();
        assert_eq!(error.action(), Action::Stop);
        chain(&error).replace(&path.display().to_string(), "FILE")
    }

    #[test]
    fn what_is_not_our_database_is_refused_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(refusal(dir.path()), "database FILE is a directory");

        let text = dir.path().join("notes.txt");
        let notes = "not a database at all, and longer than the header of one would be".repeat(30);
        std::fs::write(&text, &notes).unwrap();
        assert_eq!(refusal(&text), "open database FILE: file is not a database");
        assert_eq!(std::fs::read_to_string(&text).unwrap(), notes);

        let foreign = dir.path().join("foreign.db");
        Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE diary (day TEXT)").unwrap();
        let before = std::fs::read(&foreign).unwrap();
        assert_eq!(refusal(&foreign), "database FILE belongs to another program");
        assert_eq!(std::fs::read(&foreign).unwrap(), before);

        let nowhere = dir.path().join("missing/tallow.db");
        assert_eq!(refusal(&nowhere), "open database FILE: unable to open database file: FILE");
    }

    #[test]
    fn a_newer_schema_is_refused_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tallow.db");
        open_for_writing(&path).unwrap().pragma_update(None, "user_version", 7).unwrap();
        let newer = "database FILE has schema version 7, this program knows versions up to 2";
        assert_eq!(refusal(&path), newer);
        let reading = open_for_reading(&path).unwrap_err();
        assert_eq!(chain(&reading).replace(&path.display().to_string(), "FILE"), newer);
    }

    #[test]
    fn rejects_of_the_first_version_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tallow.db");
        let first = Connection::open(&path).unwrap();
        first.execute_batch(MIGRATIONS[0]).unwrap();
        first.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        first.pragma_update(None, "user_version", 1).unwrap();
        let row = "INSERT INTO rejects VALUES (41, 1, 7, 'malformed', 'not a tick', X'00FF', 2)";
        first.execute_batch(row).unwrap();
        drop(first);
        let migrated = open_for_writing(&path).unwrap();
        let kept = r#"SELECT COUNT(*) FROM rejects WHERE id = 41 AND partition = 1 AND "offset" = 7 AND log_time IS NULL
            AND reason = 'malformed' AND detail = 'not a tick' AND raw = X'00FF' AND raw_len = 2"#;
        assert_eq!(migrated.query_row(kept, [], |row| row.get::<_, i64>(0)).unwrap(), 1);
    }

    #[test]
    fn an_empty_file_becomes_a_database_and_opening_again_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tallow.db");
        std::fs::write(&path, b"").unwrap();
        assert!(open_for_reading(&path).is_err());
        drop(open_for_writing(&path).unwrap());
        let before = std::fs::read(&path).unwrap();
        drop(open_for_writing(&path).unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), before);
        assert!(open_for_reading(&path).is_ok());
    }
}
