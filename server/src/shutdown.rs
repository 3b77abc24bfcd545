//! Stopping: the signal that every connection listens to, and the tasks that are waited for and then cut off.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

/// Tells whether the server is stopping.
#[derive(Clone)]
pub(crate) struct Stopping(watch::Receiver<bool>);

impl Stopping {
    /// The signal and the end that gives it.
    pub(crate) fn new() -> (watch::Sender<bool>, Stopping) {
        let (sender, receiver) = watch::channel(false);
        (sender, Stopping(receiver))
    }

    /// Returns once the server is stopping, or the one who would say so is gone.
    pub(crate) async fn wait(&mut self) {
        // An error means that the sender is gone, and with it the server.
        let _ = self.0.wait_for(|stopping| *stopping).await;
    }
}

/// The tasks of connections and WebSocket clients. None once they have been finished: nothing new is started then.
pub(crate) struct Tasks(Mutex<Option<JoinSet<()>>>);

impl Tasks {
    /// No tasks yet.
    pub(crate) fn new() -> Tasks {
        Tasks(Mutex::new(Some(JoinSet::new())))
    }

    /// Starts a task, and forgets those that have ended.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(set) = self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            while let Some(ended) = set.try_join_next() {
                log_panic(ended);
            }
            set.spawn(task);
        }
    }

    /// Waits until all tasks have ended, at most for `limit`; then aborts what is left. Says how many that were.
    pub(crate) async fn finish(&self, limit: Duration) -> usize {
        let Some(mut set) = self.take() else { return 0 };
        let all_ended = async {
            while let Some(ended) = set.join_next().await {
                log_panic(ended);
            }
        };
        // Running out of time is told by what is left in the set.
        let _ = tokio::time::timeout(limit, all_ended).await;
        set.len()
    }

    /// Aborts all tasks now.
    pub(crate) fn abort(&self) {
        drop(self.take());
    }

    fn take(&self) -> Option<JoinSet<()>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn log_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "connection task panicked");
    }
}
