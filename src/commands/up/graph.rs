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

/// A reader of a partition that comes later.
type Reader = Box<dyn PartitionReader + Send>;

/// Where the log is read from: its beginning, or a checkpoint.
pub(super) struct From {
    /// The offset of each partition.
    pub(super) starts: BTreeMap<u32, u64>,
    /// What each worker takes up.
    pub(super) restore: Vec<Restore>,
    /// When it takes checkpoints itself.
    pub(super) policy: Option<CheckpointPolicy>,
}

/// Runs the graph over the log, in which the partitions of `used` will grow.
///
/// # Errors
/// When the log can't be read, or the system has no thread to give.
pub(super) fn start(
    config: &Config,
    log: &FileLog,
    used: &BTreeSet<u32>,
    from: From,
    destinations: Destinations,
    board: Arc<StatusBoard>,
) -> anyhow::Result<Graph> {
    let From { starts, restore, policy } = from;
    let open = |partition| {
        let start = starts.get(&partition).copied().unwrap_or(0);
        let reader = log.reader(partition, start)?;
        let grows = used.contains(&partition);
        Ok(LogPartition { reader, grows })
    };
    let readers = (0..log.partitions()).map(open).collect::<anyhow::Result<WorkerSlots<_>>>()?;
    let restore: WorkerSlots<_> = restore.into_iter().collect();
    let workers = config.dataflow.workers;
    // Partitions that nothing is traded in end, but a worker's input must not: one that has none but those still takes
    // part in checkpoints. Nothing is ever sent.
    let (senders, arrivals): (Vec<Sender<Reader>>, Vec<_>) = (0..workers).map(|_| channel()).unzip();
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
