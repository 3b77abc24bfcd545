//! The log as the feed writes it: what a full disk does not take waits and is tried again; nothing is left out.

use super::halt::Halt;
use super::written::Written;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tallow_connectors::logs::filelog::FileLogWriter;
use tallow_model::Error;
use tallow_model::EventTime;
use tallow_model::error::{Action, chain};
use tallow_model::feed::FeedTick;
use tallow_model::retry::{Backoff, BackoffSettings};

/// The waits after a flush that failed. Short: a market that waits for its log falls behind.
const BACKOFF: BackoffSettings =
    BackoffSettings { first: Duration::from_millis(50), longest: Duration::from_secs(2) };

/// How a flush ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flushed {
    /// Everything appended can be read.
    All,
    /// The feed was halted before everything could be written.
    Halted,
}

/// The log, and how far it has been written.
pub(super) struct Journal {
    log: FileLogWriter,
    written: Arc<Written>,
    halt: Halt,
    /// The partitions that ticks will come to.
    used: BTreeSet<u32>,
    /// The offset of the last record of each partition.
    last_offsets: Vec<Option<u64>>,
    /// Lines that wait for the next flush.
    waiting: u64,
    line: Vec<u8>,
}

impl Journal {
    /// The journal of a log, which may have records already. Ticks will come to the partitions of `used`.
    ///
    /// # Errors
    /// When the log can't be read.
    pub(super) fn new(
        log: FileLogWriter,
        used: BTreeSet<u32>,
        written: Arc<Written>,
        halt: Halt,
    ) -> Result<Journal, Error> {
        let reader = log.log();
        let last_offset = |partition| -> Result<Option<u64>, Error> {
            let end = reader.end_offset(partition)?;
            let line = reader.last_line(partition)?;
            Ok(line.map(|line| end.saturating_sub(line.len() as u64 + 1)))
        };
        let last_offsets = (0..reader.partitions()).map(last_offset).collect::<Result<_, _>>()?;
        Ok(Journal { log, written, halt, used, last_offsets, waiting: 0, line: Vec::new() })
    }

    /// Whether every partition that ticks will come to has some.
    pub(super) fn is_everywhere(&self) -> bool {
        let has_records =
            |partition: &u32| matches!(self.last_offsets.get(*partition as usize), Some(Some(_)));
        self.used.iter().all(has_records)
    }

    /// The offset of the last record of each partition, appended ones included.
    pub(super) fn last_offsets(&self) -> &[Option<u64>] {
        &self.last_offsets
    }

    /// Bytes that wait for the next flush.
    pub(super) fn buffered_bytes(&self) -> usize {
        self.log.buffered_bytes()
    }

    /// Takes a tick for the next flush.
    ///
    /// # Errors
    /// When the tick can't be a record.
    pub(super) fn append(&mut self, tick: &FeedTick, now_ms: u64) -> Result<(), Error> {
        self.line.clear();
        tick.to_json_line(now_ms, &mut self.line);
        let partition = self.log.partition_of(tick.symbol);
        let offset = self.log.append(partition, &self.line)?;
        self.last_offsets[partition as usize] = Some(offset);
        self.waiting += 1;
        Ok(())
    }

    /// Writes what has been appended: all ticks before `through`. While the disk is full it waits and tries again.
    ///
    /// # Errors
    /// When trying again can't help.
    pub(super) fn flush(&mut self, through: EventTime) -> Result<Flushed, Error> {
        let mut backoff = Backoff::new(BACKOFF);
        let mut failures = 0u64;
        loop {
            let Err(error) = self.log.flush() else {
                if failures > 0 {
                    tracing::info!(failures, "log can be written again");
                }
                self.waiting = 0;
                self.written.through(through);
                return Ok(Flushed::All);
            };
            if error.action() != Action::Retry {
                return Err(error);
            }
            let problem = chain(&error);
            if failures == 0 {
                tracing::warn!(problem, "log can't be written, the feed waits and tries again");
            }
            failures += 1;
            self.written.waits(self.waiting, problem);
            if self.halt.within(backoff.next_wait()) {
                return Ok(Flushed::Halted);
            }
        }
    }

    /// Writes what has been appended, makes everything durable, and releases the log.
    ///
    /// # Errors
    /// When that fails; what could not be written is lost.
    pub(super) fn close(self) -> Result<(), Error> {
        self.log.close()
    }
}
