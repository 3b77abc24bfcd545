//! The one thread that takes what all workers settle, and gives it to the export.

use super::outlet::{AllEnded, Message, Received};
use super::report::{INTERVAL, Progress};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tallow_connectors::export::Export;
use tallow_model::Counts;
use tallow_model::Error;

/// Takes the workers' messages until the last of them has ended.
pub(super) struct Collector {
    export: Export,
    received: Received,
    progress: Progress,
    /// Why partitions could not be read to their end.
    failures: BTreeMap<u32, String>,
}

/// What has come of it.
pub(super) struct Collected {
    /// The results, to be written.
    pub(super) export: Export,
    /// The buckets of all records.
    pub(super) counts: Counts,
    /// When the last result came.
    pub(super) settled_at: Instant,
    /// Why partitions could not be read to their end, in the order of the partitions.
    pub(super) failures: Vec<String>,
}

impl Collector {
    /// A collector for this export.
    pub(super) fn new(export: Export, received: Received, progress: Progress) -> Collector {
        Collector { export, received, progress, failures: BTreeMap::new() }
    }

    /// Collects; sets `stop` when it can't go on, because nobody would take what the workers settle.
    ///
    /// # Errors
    /// When rejects can't be written.
    pub(super) fn collect(mut self, stop: &AtomicBool) -> Result<Collected, Error> {
        let mut unless_done = StopUnlessDone { stop, done: false };
        loop {
            match self.received.next(INTERVAL) {
                Ok(Some(message)) => self.take(message)?,
                Ok(None) => {}
                Err(AllEnded) => break,
            }
            self.progress.show(|| self.received.counts().records_in);
        }
        unless_done.done = true;
        self.progress.clear();
        Ok(Collected {
            export: self.export,
            counts: self.received.counts(),
            settled_at: Instant::now(),
            failures: self.failures.into_values().collect(),
        })
    }

    fn take(&mut self, message: Message) -> Result<(), Error> {
        match message {
            Message::Settled(step) => self.export.settled(&step),
            Message::Rejected(rejects) => self.export.rejected(&rejects)?,
            Message::Failed { partition, message } => {
                self.failures.insert(partition, message);
            }
        }
        Ok(())
    }
}

/// Stops the workers when collecting ends in any other way than by their ending: by an error or a panic.
struct StopUnlessDone<'a> {
    stop: &'a AtomicBool,
    done: bool,
}

impl Drop for StopUnlessDone<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}
