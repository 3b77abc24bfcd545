//! Read-only connections to the database file, lent to blocking tasks.

use super::schema::{open_for_reading, sqlite};
use crate::error::Error;
use rusqlite::{Connection, ffi};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// How many queries run at a time. SQLite is bound by the processor here, so more would not answer sooner.
const MAX_READERS: usize = 4;

/// Up to [`MAX_READERS`] connections, opened when first needed and kept with their compiled statements.
#[derive(Clone, Debug)]
pub(super) struct Readers {
    path: Arc<PathBuf>,
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    /// Opens the file, so that one that can't be read is known at once.
    pub(super) fn open(path: &Path) -> Result<Readers, Error> {
        let first = open_for_reading(path)?;
        Ok(Readers {
            path: Arc::new(path.to_path_buf()),
            permits: Arc::new(Semaphore::new(MAX_READERS)),
            idle: Arc::new(Mutex::new(vec![first])),
        })
    }

    /// Runs a query on a thread for blocking work, in one transaction: all its statements see the same state.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        action: &'static str,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let interrupted = || {
            let source = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_INTERRUPT), None);
            sqlite(action, &self.path)(source)
        };
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| interrupted())?;
        let readers = self.clone();
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let idle = readers.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = match idle {
                Some(connection) => connection,
                None => open_for_reading(&readers.path)?,
            };
            let failed = sqlite(action, &readers.path);
            let transaction = connection.unchecked_transaction().map_err(&failed)?;
            let answer = query(&transaction).map_err(&failed)?;
            transaction.finish().map_err(&failed)?;
            // After an error the connection is not put back: the next query gets a fresh one.
            readers.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            Ok(answer)
        });
        match task.await {
            Ok(answer) => answer,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime is being shut down.
            Err(_) => Err(interrupted()),
        }
    }
}
