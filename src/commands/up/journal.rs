//! The log, as the feed writes it. A failed write is retried, as on a full disk; no tick is
//! dropped.

use super::progress_log::ProgressLog;
use super::stop::Stopped;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tallow_connectors::logs::filelog::FileLogWriter;
use tallow_model::Error;
use tallow_model::EventTime;
use tallow_model::error::{Action, chain};
use tallow_model::feed::FeedTick;
use tallow_model::retry::{Backoff, BackoffSettings};

/// The waits after a failed flush. They are short, because a market that waits for its log falls
/// behind.
const FLUSH_WAITS: BackoffSettings =
    BackoffSettings { first: Duration::from_millis(50), longest: Duration::from_secs(2) };

/// The outcome of a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flushed {
    /// All appended ticks can be read.
    All,
    /// The feed was stopped before all ticks could be written.
    Stopped,
}

/// The log, and the ticks that wait for its next flush.
pub(super) struct Journal {
    log: FileLogWriter,
    progress: Arc<ProgressLog>,
    stopped: Stopped,
    /// The partitions that will get ticks.
    used: BTreeSet<u32>,
    /// The offset of the last record of each partition.
    last_offsets: Vec<Option<u64>>,
    /// The number of lines that wait for the next flush.
    waiting: u64,
    line: Vec<u8>,
}

impl Journal {
    /// Opens the journal of a log, which may have records already. The partitions in `used` will
    /// get ticks.
    ///
    /// # Errors
    /// If the log can't be read.
    pub(super) fn new(
        log: FileLogWriter,
        used: BTreeSet<u32>,
        progress: Arc<ProgressLog>,
        stopped: Stopped,
    ) -> Result<Journal, Error> {
        let reader = log.log();
        let last_offset = |partition| -> Result<Option<u64>, Error> {
            let end = reader.end_offset(partition)?;
            let line = reader.last_line(partition)?;
            Ok(line.map(|line| end.saturating_sub(line.len() as u64 + 1)))
        };
        let last_offsets = (0..reader.partitions()).map(last_offset).collect::<Result<_, _>>()?;
        Ok(Journal { log, progress, stopped, used, last_offsets, waiting: 0, line: Vec::new() })
    }

    /// Whether each partition that will get ticks has some.
    pub(super) fn is_everywhere(&self) -> bool {
        let has_records =
            |partition: &u32| matches!(self.last_offsets.get(*partition as usize), Some(Some(_)));
        self.used.iter().all(has_records)
    }

    /// The offset of the last record of each partition, appended ones included.
    pub(super) fn last_offsets(&self) -> &[Option<u64>] {
        &self.last_offsets
    }

    /// The number of bytes that wait for the next flush.
    pub(super) fn buffered_bytes(&self) -> usize {
        self.log.buffered_bytes()
    }

    /// Appends a tick to the next flush.
    ///
    /// # Errors
    /// If the tick can't be a record.
    pub(super) fn append(&mut self, tick: &FeedTick, now_ms: u64) -> Result<(), Error> {
        self.line.clear();
        tick.to_json_line(now_ms, &mut self.line);
        let partition = self.log.partition_of(tick.symbol);
        let offset = self.log.append(partition, &self.line)?;
        self.last_offsets[partition as usize] = Some(offset);
        self.waiting += 1;
        Ok(())
    }

    /// Writes the appended ticks, which are all ticks before `through`. Retries while the disk is
    /// full.
    ///
    /// # Errors
    /// If a retry can't help.
    pub(super) fn flush(&mut self, through: EventTime) -> Result<Flushed, Error> {
        let mut backoff = Backoff::new(FLUSH_WAITS);
        let mut failures = 0u64;
        loop {
            let Err(error) = self.log.flush() else {
                if failures > 0 {
                    tracing::info!(failures, "log is writable again");
                }
                self.waiting = 0;
                self.progress.written_through(through);
                return Ok(Flushed::All);
            };
            if error.action() != Action::Retry {
                return Err(error);
            }
            let problem = chain(&error);
            if failures == 0 {
                tracing::warn!(problem, "log is not writable, the feed retries");
            }
            failures += 1;
            self.progress.waits(self.waiting, problem);
            if self.stopped.within(backoff.next_wait()) {
                return Ok(Flushed::Stopped);
            }
        }
    }

    /// Writes the appended ticks, syncs the log to disk and unlocks it.
    ///
    /// # Errors
    /// If that fails; ticks that are not written are lost.
    pub(super) fn close(self) -> Result<(), Error> {
        self.log.close()
    }
}
