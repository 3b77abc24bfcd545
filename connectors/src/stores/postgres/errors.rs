//! Classification of PostgreSQL's failures: which pass by themselves, and which end the connection.

use std::io;
use tallow_model::error::{Action, Error};
use tokio_postgres::error::SqlState;

/// Turns the driver's error into one that says what was `tried` on which database.
pub(super) fn postgres(tried: &'static str, on: &str) -> impl Fn(tokio_postgres::Error) -> Error {
    move |source| Error::External { tried, on: on.to_owned(), action: action(&source), source: source.into() }
}

/// Returns what the caller must do about a failure.
pub(crate) fn action(error: &tokio_postgres::Error) -> Action {
    match error.code() {
        Some(code) if passes(code) => Action::Retry,
        Some(_) => Action::Stop,
        None if error.is_closed() || network(error) => Action::Retry,
        // The driver and the server disagree on the protocol, or the password is missing.
        None => Action::Stop,
    }
}

/// Returns whether the connection is lost and a new one may succeed.
pub(super) fn is_lost(error: &tokio_postgres::Error) -> bool {
    match error.code() {
        Some(code) => {
            class(code) == "08" || [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN].contains(code)
        }
        None => error.is_closed() || network(error),
    }
}

/// Returns whether a failure passes by itself, or after a human has mended the server, without a
/// change here.
fn passes(code: &SqlState) -> bool {
    match class(code) {
        // Connections; rollbacks for the sake of another transaction; operator intervention; input
        // and output.
        "08" | "40" => true,
        "57" => *code != SqlState::DATABASE_DROPPED,
        "58" => *code != SqlState::DUPLICATE_FILE,
        // Disk, memory, connections.
        "53" => *code != SqlState::CONFIGURATION_LIMIT_EXCEEDED,
        _ => [
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::OBJECT_IN_USE,
            // A standby server. It may be promoted, or replaced under the same name.
            SqlState::READ_ONLY_SQL_TRANSACTION,
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        ]
        .contains(code),
    }
}

fn class(code: &SqlState) -> &str {
    code.code().get(..2).unwrap_or_default()
}

/// Returns whether the network has failed. A message that is too large to be sent is not a network
/// failure.
fn network(error: &tokio_postgres::Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    source.is_some_and(|source| source.kind() != io::ErrorKind::InvalidInput)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_told_from_what_does_not() {
        for code in [
            "08006", "25006", "40001", "40P01", "53100", "53300", "55P03", "57P01", "57P03", "57014", "58030",
        ] {
            assert!(passes(&SqlState::from_code(code)), "{code}");
        }
        for code in ["0A000", "22021", "23503", "28P01", "3D000", "42501", "42P01", "53400", "57P04", "XX001"]
        {
            assert!(!passes(&SqlState::from_code(code)), "{code}");
        }
    }
}
