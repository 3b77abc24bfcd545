//! Stopping: the tasks that a server waits for and then cuts off.

use futures_util::FutureExt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The tasks of connections and WebSocket clients.
#[derive(Clone, Default)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    /// Cancelled when the tasks that still run are cut off; a task that is spawned later ends at
    /// once.
    cut_off: CancellationToken,
}

impl Tasks {
    /// Starts a task. A panic of the task is logged and ends that task alone.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let task = self.cut_off.clone().run_until_cancelled_owned(task);
        self.tracker.spawn(async {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                tracing::error!("connection task panicked");
            }
        });
    }

    /// The token that cuts off the tasks.
    pub(crate) fn cut_off(&self) -> &CancellationToken {
        &self.cut_off
    }

    /// Waits at most `limit` until all tasks have ended, then cuts off the others. Returns how many
    /// were cut off.
    pub(crate) async fn finish(&self, limit: Duration) -> usize {
        self.tracker.close();
        // Running out of time shows in what the tracker still has.
        let _ = tokio::time::timeout(limit, self.tracker.wait()).await;
        let left = self.tracker.len();
        self.cut_off.cancel();
        left
    }
}
