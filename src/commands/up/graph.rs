//! The dataflow on threads of its own, from the beginning of the log on.

use super::board::Board;
use super::outlet::WorkerOutlet;
use super::told;
use crate::config::Config;
use anyhow::{Context, anyhow};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tallow_connectors::clock::SystemClock;
use tallow_connectors::filelog::{FileLog, FileLogReader};
use tallow_connectors::memory::MemoryCache;
use tallow_connectors::sinks::SinkQueue;
use tallow_dataflow::{PartitionReader, ReadStatus, Record, RunError, WorkerIo, run};

/// The running dataflow.
pub(super) struct Graph {
    thread: JoinHandle<Result<(), RunError>>,
    stop: Arc<AtomicBool>,
}

impl Graph {
    /// Runs the graph over the whole log, in which the partitions of `used` will grow.
    ///
    /// # Errors
    /// When the log can't be read, or the system has no thread to give.
    pub(super) fn start(
        config: &Config,
        log: &FileLog,
        used: &BTreeSet<u32>,
        store: Arc<SinkQueue>,
        cache: Arc<MemoryCache>,
        board: Arc<Board>,
    ) -> anyhow::Result<Graph> {
        let open = |partition| {
            let reader = log.reader(partition, 0).map_err(told)?;
            let grows = used.contains(&partition);
            Ok(Mutex::new(Some(LogPartition { reader, grows })))
        };
        let readers = (0..log.partitions()).map(open).collect::<anyhow::Result<Vec<_>>>()?;
        let io = move |index: usize, peers: usize| {
            let own = readers.iter().skip(index).step_by(peers);
            let readers =
                own.filter_map(|reader| reader.lock().unwrap_or_else(PoisonError::into_inner).take());
            WorkerIo {
                readers: readers.map(|reader| Box::new(reader) as Box<dyn PartitionReader>).collect(),
                arrivals: None,
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

/// A partition of the log, which only this process writes.
struct LogPartition {
    reader: FileLogReader,
    /// Whether any of the symbols that are traded belongs here. If not, its end is the end: it need not be silent for a
    /// while before it stops holding time back.
    grows: bool,
}

impl PartitionReader for LogPartition {
    fn partition(&self) -> u32 {
        self.reader.partition()
    }

    fn read(&mut self, limit: usize, visit: &mut dyn FnMut(Record<'_>)) -> ReadStatus {
        match self.reader.read(limit, visit) {
            ReadStatus::CaughtUp if !self.grows => ReadStatus::Finished,
            status => status,
        }
    }
}
