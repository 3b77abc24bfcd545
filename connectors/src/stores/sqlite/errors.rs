//! Classification of SQLite's failures: which of them pass by themselves.

use rusqlite::ErrorCode;
use std::path::Path;
use tallow_model::error::Leaf;
use tallow_model::{Action, Error};

/// Returns what the caller must do about a failure of SQLite.
fn action(error: &rusqlite::Error) -> Action {
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure,
        ) => Action::Retry,
        _ => Action::Stop,
    }
}

/// Turns SQLite's error into one that says what was `tried` on which file.
pub(super) fn sqlite(tried: &'static str, path: &Path) -> impl Fn(rusqlite::Error) -> Error {
    move |source| Error::External {
        tried,
        on: path.display().to_string(),
        action: action(&source),
        source: Leaf(source).into(),
    }
}
