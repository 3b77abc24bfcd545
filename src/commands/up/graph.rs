//! The graph over the log that `tallow up` keeps.

use crate::config::Config;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use tallow_connectors::logs::filelog::{FileLog, FileLogReader};
use tallow_dataflow::{CheckpointPolicy, Restore, WorkerIo};
use tallow_model::clock::SystemClock;
use tallow_model::{PartitionReader, ReadStatus, Record};
use tallow_runtime::pipeline::{Destinations, Graph, StatusBoard, WorkerOutput, WorkerSlots};

/// The reader of a partition that is added later.
type LateReader = Box<dyn PartitionReader + Send>;

/// The point from which the log is read: its beginning, or a checkpoint.
pub(super) struct StartingPoint {
    /// The offset of each partition.
    pub(super) starts: BTreeMap<u32, u64>,
    /// The restored state of each worker.
    pub(super) restore: Vec<Restore>,
    /// The times of the next checkpoints; `None` for no checkpoints.
    pub(super) policy: Option<CheckpointPolicy>,
}

/// Runs the graph over the log, of which the partitions in `used` grow.
///
/// # Errors
/// If the log can't be read, or the system has no thread to give.
pub(super) fn start(
    config: &Config,
    log: &FileLog,
    used: &BTreeSet<u32>,
    from: StartingPoint,
    destinations: Destinations,
    board: Arc<StatusBoard>,
) -> anyhow::Result<Graph> {
    let StartingPoint { starts, restore, policy } = from;
    let open = |partition| {
        let start = starts.get(&partition).copied().unwrap_or(0);
        let reader = log.reader(partition, start)?;
        let grows = used.contains(&partition);
        Ok(LogPartition { reader, grows })
    };
    let readers = (0..log.partitions()).map(open).collect::<anyhow::Result<WorkerSlots<_>>>()?;
    let restore: WorkerSlots<_> = restore.into_iter().collect();
    let workers = config.dataflow.workers;
    // Partitions without traded symbols end, but the input of a worker must not: a worker that has
    // no other partitions still takes part in checkpoints. No reader is ever sent.
    let (senders, arrivals): (Vec<Sender<LateReader>>, Vec<_>) = (0..workers).map(|_| channel()).unzip();
    let arrivals: WorkerSlots<_> = arrivals.into_iter().collect();
    let alone = move |_: &_| Ok(Some(workers.into()));
    let graph = Graph::start(workers, alone, config.graph(), move |index, peers| {
        let _open = &senders;
        let own = (index..readers.len()).step_by(peers);
        let readers = own.filter_map(|partition| readers.take(partition));
        WorkerIo {
            readers: readers.map(|reader| Box::new(reader) as Box<dyn PartitionReader>).collect(),
            arrivals: arrivals.take(index),
            output: Box::new(WorkerOutput::new(destinations.clone(), board.clone())),
            clock: Arc::new(SystemClock),
            checkpoints: policy.clone(),
            restore: restore.take(index),
        }
    })?;
    Ok(graph)
}

/// A partition of the log, which no other process writes.
struct LogPartition {
    reader: FileLogReader,
    /// Whether a traded symbol belongs to the partition. If not, the partition is finished at its
    /// end, and need not be idle for a while before it no longer holds time back.
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
