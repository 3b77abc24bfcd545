//! The graph over the log that `tallow up` keeps, from the beginning of the log on.

use crate::config::Config;
use crate::pipeline::{Board, Destinations, Graph, WorkerOutlet, told};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use tallow_connectors::clock::SystemClock;
use tallow_connectors::filelog::{FileLog, FileLogReader};
use tallow_dataflow::{PartitionReader, ReadStatus, Record, WorkerIo};

/// Runs the graph over the whole log, in which the partitions of `used` will grow.
///
/// # Errors
/// When the log can't be read, or the system has no thread to give.
pub(super) fn start(
    config: &Config,
    log: &FileLog,
    used: &BTreeSet<u32>,
    destinations: Destinations,
    board: Arc<Board>,
) -> anyhow::Result<Graph> {
    let open = |partition| {
        let reader = log.reader(partition, 0).map_err(told)?;
        let grows = used.contains(&partition);
        Ok(Mutex::new(Some(LogPartition { reader, grows })))
    };
    let readers = (0..log.partitions()).map(open).collect::<anyhow::Result<Vec<_>>>()?;
    let workers = config.dataflow.workers;
    Graph::start(
        workers,
        move |_| Ok(Some(workers.into())),
        config.graph(),
        move |index, peers| {
            let own = readers.iter().skip(index).step_by(peers);
            let readers =
                own.filter_map(|reader| reader.lock().unwrap_or_else(PoisonError::into_inner).take());
            WorkerIo {
                readers: readers.map(|reader| Box::new(reader) as Box<dyn PartitionReader>).collect(),
                arrivals: None,
                outlet: Box::new(WorkerOutlet::new(destinations.clone(), board.clone())),
                clock: Arc::new(SystemClock),
                checkpoints: None,
                restore: None,
            }
        },
    )
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
