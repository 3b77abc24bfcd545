//! The progress of the log: the feed reports it, and the status board reads it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tallow_model::EventTime;
use tallow_model::store::SinkStatus;
use tallow_runtime::pipeline::{LogStatus, Partitions};

/// The progress of the log.
#[derive(Default)]
pub(super) struct ProgressLog(Mutex<Progress>);

#[derive(Default)]
struct Progress {
    queue: u64,
    retries: u64,
    through: Option<EventTime>,
    problem: Option<String>,
    /// The offset of the last record of each partition at the time when the log reached the
    /// present.
    present: Option<Vec<Option<u64>>>,
}

impl ProgressLog {
    /// Reports that all ticks before `through` are in the log.
    pub(super) fn written_through(&self, through: EventTime) {
        let mut progress = self.lock();
        (progress.queue, progress.through, progress.problem) = (0, Some(through), None);
    }

    /// Reports that `lines` lines wait, because the log can't be written.
    pub(super) fn waits(&self, lines: u64, problem: String) {
        let mut progress = self.lock();
        (progress.queue, progress.retries, progress.problem) = (lines, progress.retries + 1, Some(problem));
    }

    /// Reports that the log has reached the present, with the offset of the last record of each
    /// partition.
    pub(super) fn reaches_present(&self, last_offsets: Vec<Option<u64>>) {
        self.lock().present = Some(last_offsets);
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogStatus for ProgressLog {
    fn service(&self) -> SinkStatus {
        let progress = self.lock();
        SinkStatus {
            name: "log".to_owned(),
            queue: progress.queue,
            retries: progress.retries,
            stored_through: progress.through,
            problem: progress.problem.clone(),
            write_seconds: None,
        }
    }

    fn is_read(&self, partitions: &Partitions) -> bool {
        let progress = self.lock();
        let Some(last_offsets) = &progress.present else { return false };
        (0..).zip(last_offsets).all(|(partition, last)| {
            let read = partitions.get(&partition);
            *last <= read.and_then(|read| read.offset)
        })
    }

    /// Always empty: offsets of this log count bytes and not records.
    fn pending(&self) -> BTreeMap<u32, u64> {
        BTreeMap::new()
    }
}
