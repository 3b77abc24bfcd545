//! Read-only connections to the database file, lent to blocking tasks.

use super::errors::sqlite;
use super::schema::open_for_reading;
use rusqlite::{Connection, ffi};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tallow_model::error::Error;
use tokio::sync::Semaphore;

/// Queries at a time. SQLite is bound by the processor here, so more would not answer sooner.
const MAX_READERS: usize = 4;

/// Heavy queries at a time, so that a cheap query need not wait for statistics over years.
const MAX_HEAVY: usize = MAX_READERS / 2;

/// SQLite steps after which a query checks whether anybody still waits for it: far less than a
/// millisecond.
const LOOK_STEPS: i32 = 4096;

/// The cost of a query: cheap, or long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    Light,
    Heavy,
}

/// A pool of [`MAX_READERS`] connections, opened on demand and kept with their compiled statements.
#[derive(Clone, Debug)]
pub(super) struct SqlitePool {
    path: Arc<PathBuf>,
    permits: Arc<Semaphore>,
    /// Permits that a heavy query needs as well.
    heavy: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl SqlitePool {
    /// Opens the file, so that an unreadable one is reported at once.
    pub(super) fn open(path: &Path) -> Result<SqlitePool, Error> {
        let first = open_for_reading(path)?;
        Ok(SqlitePool {
            path: Arc::new(path.to_path_buf()),
            permits: Arc::new(Semaphore::new(MAX_READERS)),
            heavy: Arc::new(Semaphore::new(MAX_HEAVY)),
            idle: Arc::new(Mutex::new(vec![first])),
        })
    }

    /// Runs a query on a thread for blocking work, in one transaction: all its statements see the
    /// same state. The query ends when nobody waits for it any more.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        action: &'static str,
        weight: Weight,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let interrupted = || {
            let source = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_INTERRUPT), None);
            sqlite(action, &self.path)(source)
        };
        let permit = |of: &Arc<Semaphore>| Arc::clone(of).acquire_owned();
        let heavy = match weight {
            Weight::Heavy => Some(permit(&self.heavy).await.map_err(|_| interrupted())?),
            Weight::Light => None,
        };
        let permits = (heavy, permit(&self.permits).await.map_err(|_| interrupted())?);
        let readers = self.clone();
        let abandoned = Arc::new(AtomicBool::new(false));
        let _waiting = scopeguard::guard(abandoned.clone(), |it| it.store(true, Ordering::Relaxed));
        let task = tokio::task::spawn_blocking(move || {
            let _permits = permits;
            let idle = readers.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = match idle {
                Some(connection) => connection,
                None => open_for_reading(&readers.path)?,
            };
            let failed = sqlite(action, &readers.path);
            let look = move || abandoned.load(Ordering::Relaxed);
            connection.progress_handler(LOOK_STEPS, Some(look)).map_err(&failed)?;
            let transaction = connection.unchecked_transaction().map_err(&failed)?;
            let answer = query(&transaction).map_err(&failed)?;
            transaction.finish().map_err(&failed)?;
            // After an error the connection is dropped: the next query gets a fresh one.
            readers.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            Ok(answer)
        });
        match task.await {
            Ok(answer) => answer,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime is shutting down.
            Err(_) => Err(interrupted()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;
    use crate::stores::sqlite::schema::open_for_writing;
    use std::time::Duration;
    use tokio::time::timeout;

    const PATIENCE: Duration = Duration::from_secs(60);
    const ENDLESS: &str = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers) SELECT MAX(n) FROM numbers";

    fn endless(connection: &Connection) -> rusqlite::Result<i64> {
        connection.query_row(ENDLESS, [], |row| row.get(0))
    }

    fn moment(connection: &Connection) -> rusqlite::Result<i64> {
        connection.query_row("SELECT 7", [], |row| row.get(0))
    }

    #[tokio::test]
    async fn a_query_that_nobody_waits_for_any_more_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tallow.db");
        open_for_writing(&path).unwrap();
        let readers = SqlitePool::open(&path).unwrap();
        for weight in [Weight::Heavy, Weight::Light].into_iter().cycle().take(4 * MAX_READERS) {
            let given_up = timeout(Duration::from_millis(10), readers.read("read", weight, endless)).await;
            assert!(given_up.is_err());
        }
        let all = timeout(PATIENCE, readers.permits.acquire_many(MAX_READERS as u32)).await.unwrap();
        drop(all);
        assert_eq!(readers.read("read", Weight::Heavy, moment).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn heavy_queries_leave_readers_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tallow.db");
        open_for_writing(&path).unwrap();
        let readers = SqlitePool::open(&path).unwrap();
        let heavy: Vec<_> = (0..2 * MAX_READERS)
            .map(|_| {
                let readers = readers.clone();
                tokio::spawn(async move { readers.read("read", Weight::Heavy, endless).await })
            })
            .collect();
        while readers.heavy.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let answer = timeout(PATIENCE, readers.read("read", Weight::Light, moment)).await.unwrap();
        assert_eq!(answer.unwrap(), 7);
        heavy.iter().for_each(tokio::task::JoinHandle::abort);
        let answer = timeout(PATIENCE, readers.read("read", Weight::Heavy, moment)).await.unwrap();
        assert_eq!(answer.unwrap(), 7);
    }
}
