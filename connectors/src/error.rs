//! The one error of all connectors, and what a caller must do about it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What went wrong at a system outside Tallow. The text says what was tried on what.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder.
    #[error("{action} {}", path.display())]
    File {
        /// What was tried, in the infinitive: `open`, `append to`, …
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The embedded database.
    #[error("{action} {}", path.display())]
    Sqlite {
        /// What was tried.
        action: &'static str,
        /// On which database file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// Kafka.
    #[error("{action} {on}")]
    Kafka {
        /// What was tried.
        action: &'static str,
        /// On which topic, partition or broker.
        on: String,
        /// What librdkafka said.
        #[source]
        source: rdkafka::error::KafkaError,
    },
    /// PostgreSQL.
    #[error("{action} {on}")]
    Postgres {
        /// What was tried.
        action: &'static str,
        /// On which database, by host and name.
        on: String,
        /// What the driver or the server said.
        #[source]
        source: tokio_postgres::Error,
    },
    /// Redis.
    #[error("{action} {on}")]
    Redis {
        /// What was tried.
        action: &'static str,
        /// On which server.
        on: String,
        /// What the driver or the server said.
        #[source]
        source: redis::RedisError,
    },
    /// An object store.
    #[error("{action} {on}")]
    ObjectStore {
        /// What was tried.
        action: &'static str,
        /// On which object or place.
        on: String,
        /// What the store's client said.
        #[source]
        source: object_store::Error,
    },
    /// Another process of the cluster.
    #[error("{action} {on}")]
    Cluster {
        /// What was tried.
        action: &'static str,
        /// On which process and address.
        on: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A service that does not answer in time.
    #[error("{action} {on}: no answer within {limit:?}")]
    Timeout {
        /// What was tried.
        action: &'static str,
        /// On which service.
        on: String,
        /// How long was waited.
        limit: Duration,
    },
    /// Data that is there and is not what it must be.
    #[error("{what} is damaged: {detail}")]
    Damaged {
        /// Which data.
        what: String,
        /// In which way.
        detail: String,
    },
    /// A thread of our own.
    #[error("start thread {name}")]
    Thread {
        /// What it is for.
        name: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A sink that takes no more, or has not stored what it was given.
    #[error("sink {sink}: {problem}")]
    Sink {
        /// Its name.
        sink: &'static str,
        /// Why.
        problem: String,
    },
    /// What several callers have asked for together.
    #[error(transparent)]
    Shared(Arc<Error>),
    /// A request that can't be answered as it stands: the caller's mistake.
    #[error("{0}")]
    Unusable(String),
}

/// What the caller must do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Try again later: it may pass by itself (a disk that is full, a database that is locked).
    Retry,
    /// Leave this item out, count it, go on with the next.
    Skip,
    /// Stop and tell a human: trying again can't help.
    Stop,
}

impl Error {
    /// What the caller must do.
    pub fn action(&self) -> Action {
        use std::io::ErrorKind as Kind;
        match self {
            Error::File { source, .. } => match source.kind() {
                Kind::StorageFull
                | Kind::QuotaExceeded
                | Kind::Interrupted
                | Kind::WouldBlock
                | Kind::TimedOut
                | Kind::ResourceBusy => Action::Retry,
                _ => Action::Stop,
            },
            Error::Sqlite { source, .. } => match source.sqlite_error_code() {
                Some(
                    rusqlite::ErrorCode::DatabaseBusy
                    | rusqlite::ErrorCode::DatabaseLocked
                    | rusqlite::ErrorCode::DiskFull
                    | rusqlite::ErrorCode::SystemIoFailure,
                ) => Action::Retry,
                _ => Action::Stop,
            },
            // Which failures pass by themselves the modules of the services know.
            Error::Kafka { source, .. } => crate::kafka::action(source),
            Error::Postgres { source, .. } => crate::postgres::action(source),
            Error::Redis { source, .. } => crate::redis::action(source),
            Error::ObjectStore { source, .. } => crate::checkpoint::action(source),
            Error::Timeout { .. } => Action::Retry,
            Error::Shared(error) => error.action(),
            Error::Damaged { .. } => Action::Skip,
            Error::Cluster { .. } | Error::Thread { .. } | Error::Sink { .. } | Error::Unusable(_) => {
                Action::Stop
            }
        }
    }
}

/// The error and all its sources in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // SQLite's code below SQLite's message says the same once more, and so does librdkafka's.
        if cause.is::<rusqlite::ffi::Error>() || cause.is::<rdkafka::types::RDKafkaErrorCode>() {
            break;
        }
        // An object store's error says what its source says.
        let words = cause.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = cause.source();
    }
    text
}
