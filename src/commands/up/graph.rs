//! The dataflow on threads of its own, from the beginning of the log on.

use super::board::Board;
use super::outlet::WorkerOutlet;
use super::told;
use crate::config::Config;
use anyhow::{Context, anyhow};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tallow_connectors::clock::SystemClock;
use tallow_connectors::filelog::{FileLog, FileLogReader};
use tallow_connectors::memory::MemoryCache;
use tallow_connectors::sinks::SinkQueue;
use tallow_dataflow::{PartitionReader, RunError, WorkerIo, run};

/// The running dataflow.
pub(super) struct Graph {
    thread: JoinHandle<Result<(), RunError>>,
    stop: Arc<AtomicBool>,
}

impl Graph {
    /// Runs the graph over the whole log.
    ///
    /// # Errors
    /// When the log can't be read, or the system has no thread to give.
    pub(super) fn start(
        config: &Config,
        log: &FileLog,
        store: Arc<SinkQueue>,
        cache: Arc<MemoryCache>,
        board: Arc<Board>,
    ) -> anyhow::Result<Graph> {
        let readers = (0..log.partitions())
            .map(|partition| log.reader(partition, 0))
            .collect::<Result<Vec<_>, _>>()
            .map_err(told)?;
        let readers: Vec<Mutex<Option<FileLogReader>>> =
            readers.into_iter().map(|reader| Mutex::new(Some(reader))).collect();
        let io = move |index: usize, peers: usize| {
            let own = readers.iter().skip(index).step_by(peers);
            let readers =
                own.filter_map(|reader| reader.lock().unwrap_or_else(PoisonError::into_inner).take());
            WorkerIo {
                readers: readers.map(|reader| Box::new(reader) as Box<dyn PartitionReader>).collect(),
                outlet: Box::new(WorkerOutlet::new(store.clone(), cache.clone(), board.clone())),
                clock: Arc::new(SystemClock),
            }
        };
        let (workers, settings) = (config.dataflow.workers, config.graph());
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::Builder::new()
            .name("dataflow".to_owned())
            .spawn({
                let stop = stop.clone();
                move || run(workers, &settings, stop, io)
            })
            .context("start the thread of the dataflow")?;
        Ok(Graph { thread, stop })
    }

    /// Whether it has ended, told or not.
    pub(super) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Stops it where it is: what is open stays open.
    ///
    /// # Errors
    /// When it had failed.
    pub(super) fn stop(self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.join().map_err(|_| anyhow!("the dataflow has panicked"))?;
        ended.context("run the dataflow")
    }
}
