//! The graph on threads of its own.

use anyhow::{Context, anyhow};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use tallow_dataflow::{Cluster, RunError, Settings, WorkerIo, run};

/// The running graph.
pub(crate) struct Graph {
    thread: JoinHandle<Result<(), RunError>>,
    stop: Arc<AtomicBool>,
}

impl Graph {
    /// Runs it on the workers of this process; `io` is called once for each, on its thread.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub(crate) fn start(
        cluster: Cluster,
        settings: Settings,
        io: impl Fn(usize, usize) -> WorkerIo + Send + Sync + 'static,
    ) -> anyhow::Result<Graph> {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::Builder::new()
            .name("dataflow".to_owned())
            .spawn({
                let stop = stop.clone();
                move || run(cluster, &settings, stop, io)
            })
            .context("start the thread of the dataflow")?;
        Ok(Graph { thread, stop })
    }

    /// Whether it has ended, told or not.
    pub(crate) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Stops it where it is: what is open stays open.
    ///
    /// # Errors
    /// When it had failed.
    pub(crate) fn stop(self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.join().map_err(|_| anyhow!("the dataflow has panicked"))?;
        ended.context("run the dataflow")
    }
}
