//! A blocking wait for the driver, on a thread that has no runtime of its own.

use std::time::Duration;
use tallow_model::error::Error;
use tokio::runtime::{Builder, Runtime};

/// A tokio runtime on the calling thread. Why not the blocking driver: it can't give up on a server
/// that accepts connections and never answers.
#[derive(Debug)]
pub(super) struct Blocking(Option<Runtime>);

impl Blocking {
    pub(super) fn start() -> Result<Blocking, Error> {
        let started = Builder::new_current_thread().enable_all().build();
        let runtime =
            started.map_err(|source| Error::Thread { name: "of PostgreSQL's driver".to_owned(), source })?;
        Ok(Blocking(Some(runtime)))
    }

    /// Waits at most `limit` for the result. A wait that timed out leaves its connection in an
    /// unknown state.
    pub(super) fn wait<T>(
        &self,
        action: &'static str,
        on: &str,
        limit: Duration,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let late = || Error::Timeout { tried: action, on: on.to_owned(), limit };
        match &self.0 {
            Some(runtime) => runtime.block_on(async {
                tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| Err(late()))
            }),
            None => Err(late()),
        }
    }
}

impl Drop for Blocking {
    /// Drops the runtime without waiting for its tasks: the owner may be dropped on any thread.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
