//! The one error of everything that talks to an outside system, and what its caller must do.
//!
//! An error says what was tried on what. It names no driver: the connector that raised it has
//! classified it, because only the connector knows which of its driver's failures pass.

use std::error::Error as StdError;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The error of a driver or of the system, below an [`Error`].
pub type Source = Box<dyn StdError + Send + Sync>;

/// A failure at a system outside Tallow. The text says what was tried on what.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An outside system failed or refused: a file, a database, a broker, another process.
    #[error("{tried} {on}")]
    External {
        /// The attempt, in the infinitive: `open`, `append to`, …
        tried: &'static str,
        /// The object of the attempt: a path, a topic, a database by host and name.
        on: String,
        /// The caller's next action, as the connector that failed has decided.
        action: Action,
        /// The error of the driver or of the system.
        source: Source,
    },
    /// A service did not answer in time.
    #[error("{tried} {on}: no answer within {limit:?}")]
    Timeout {
        /// The attempt, in the infinitive.
        tried: &'static str,
        /// The service.
        on: String,
        /// The time that the caller waited.
        limit: Duration,
    },
    /// Data that is present and not what it must be.
    #[error("{what} is damaged: {detail}")]
    Damaged {
        /// The damaged data.
        what: String,
        /// The defect.
        detail: String,
    },
    /// The system gave no thread.
    #[error("start thread {name}")]
    Thread {
        /// The name of the thread.
        name: String,
        /// The error of the system.
        source: std::io::Error,
    },
    /// A sink takes no more, or has not stored what it was given.
    #[error("sink {sink}: {problem}")]
    Sink {
        /// The name of the sink.
        sink: &'static str,
        /// The reason.
        problem: String,
    },
    /// One failure of a query that several callers share.
    #[error(transparent)]
    Shared(Arc<Error>),
    /// The pipeline has failed, or can't start: what happened, with its causes.
    #[error("{0}")]
    Pipeline(String),
    /// A setting or a query that can't be: the caller's mistake.
    #[error("{0}")]
    Invalid(String),
}

/// The caller's next action after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Try again later: the failure may pass (a full disk, a locked database).
    Retry,
    /// Leave this item out, count it, and continue with the next.
    Skip,
    /// Stop and report: another attempt can't help.
    Stop,
}

impl Error {
    /// Returns the error of having `tried` something on a file or a folder.
    pub fn file(tried: &'static str, path: &Path, source: std::io::Error) -> Error {
        use std::io::ErrorKind as Kind;
        let action = match source.kind() {
            Kind::StorageFull
            | Kind::QuotaExceeded
            | Kind::Interrupted
            | Kind::WouldBlock
            | Kind::TimedOut
            | Kind::ResourceBusy => Action::Retry,
            _ => Action::Stop,
        };
        Error::External { tried, on: path.display().to_string(), action, source: source.into() }
    }

    /// Returns the caller's next action.
    pub fn action(&self) -> Action {
        match self {
            Error::External { action, .. } => *action,
            Error::Timeout { .. } => Action::Retry,
            Error::Shared(error) => error.action(),
            Error::Damaged { .. } => Action::Skip,
            Error::Thread { .. } | Error::Sink { .. } | Error::Pipeline(_) | Error::Invalid(_) => {
                Action::Stop
            }
        }
    }
}

/// A driver's error whose own sources say nothing new: its text stands for them.
///
/// SQLite's and librdkafka's errors repeat their code as a source.
#[derive(Debug)]
pub struct Leaf<E>(pub E);

impl<E: fmt::Display> fmt::Display for Leaf<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<E: fmt::Debug + fmt::Display> StdError for Leaf<E> {}

/// Returns the error and its sources in one line.
pub fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // An object store's error ends with the text of its source.
        let words = cause.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = cause.source();
    }
    text
}
