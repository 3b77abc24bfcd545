//! The graph on threads of its own.

use anyhow::{Context, anyhow};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use tallow_dataflow::{Cluster, RunError, Settings, WorkerIo, run};

/// The running graph.
pub(crate) struct Graph {
    thread: JoinHandle<Result<(), RunError>>,
    stop: Arc<AtomicBool>,
    threads: usize,
    /// How many workers have been given what they read.
    started: Arc<AtomicUsize>,
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
        let started = Arc::new(AtomicUsize::new(0));
        let threads = cluster.threads;
        let thread = std::thread::Builder::new()
            .name("dataflow".to_owned())
            .spawn({
                let (stop, started) = (stop.clone(), started.clone());
                move || {
                    run(cluster, &settings, stop, move |index, peers| {
                        let io = io(index, peers);
                        started.fetch_add(1, Ordering::Relaxed);
                        io
                    })
                }
            })
            .context("start the thread of the dataflow")?;
        Ok(Graph { thread, stop, threads, started })
    }

    /// Whether all workers of this process have been given what they read. Before that they wait for the other processes.
    pub(crate) fn has_started(&self) -> bool {
        self.started.load(Ordering::Relaxed) >= self.threads
    }

    /// Whether it has ended, told or not.
    pub(crate) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Stops it where it is: what is open stays open. While it waits for other processes it can't be stopped; it has
    /// done nothing then, and ends with this process.
    ///
    /// # Errors
    /// When it had failed.
    pub(crate) fn stop(self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        if !self.has_started() && !self.has_ended() {
            return Ok(());
        }
        let ended = self.thread.join().map_err(|_| anyhow!("the dataflow has panicked"))?;
        ended.context("run the dataflow")
    }
}
