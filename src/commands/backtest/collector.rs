//! The thread that collects the results of all workers and passes them to the export.

use super::channel::{AllEnded, Message, Received};
use super::report::{PROGRESS_INTERVAL, ProgressLine};
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
    progress: ProgressLine,
    /// The reason for each partition that could not be read to its end.
    failures: BTreeMap<u32, String>,
}

/// The collected results.
pub(super) struct Collected {
    /// The results, not yet written.
    pub(super) export: Export,
    /// The counts of all records by bucket.
    pub(super) counts: Counts,
    /// The time of the last result.
    pub(super) settled_at: Instant,
    /// The reasons for partitions that could not be read to their end, ordered by partition.
    pub(super) failures: Vec<String>,
}

impl Collector {
    /// Creates a collector for an export.
    pub(super) fn new(export: Export, received: Received, progress: ProgressLine) -> Collector {
        Collector { export, received, progress, failures: BTreeMap::new() }
    }

    /// Collects until all workers have ended. Sets `stop` on a failure, because nobody receives the
    /// results of the workers then.
    ///
    /// # Errors
    /// If rejects can't be written.
    pub(super) fn collect(mut self, stop: &AtomicBool) -> Result<Collected, Error> {
        let mut unless_done = StopUnlessDone { stop, done: false };
        loop {
            match self.received.next(PROGRESS_INTERVAL) {
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

/// Stops the workers if collecting ends before they do, by an error or a panic.
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
