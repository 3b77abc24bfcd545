//! Waiting for the driver from a thread that has no runtime of its own.

use std::time::Duration;
use tallow_model::error::Error;
use tokio::runtime::{Builder, Runtime};

/// A runtime on the thread that calls it. Why not the blocking driver: it can't stop waiting for a server that is
/// there and says nothing.
#[derive(Debug)]
pub(super) struct Blocking(Option<Runtime>);

impl Blocking {
    pub(super) fn start() -> Result<Blocking, Error> {
        let started = Builder::new_current_thread().enable_all().build();
        let runtime =
            started.map_err(|source| Error::Thread { name: "of PostgreSQL's driver".to_owned(), source })?;
        Ok(Blocking(Some(runtime)))
    }

    /// Waits for the answer at most so long. A wait that was given up leaves its connection in an unknown state.
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
    /// Without waiting, so that it can be dropped wherever its owner is.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
