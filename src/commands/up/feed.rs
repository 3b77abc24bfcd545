//! The feed: writes trades of the simulated market to the log, past ones at full speed, then each
//! at its time.
//!
//! Past and present are one loop: after any pause (a full disk, a machine that sleeps) the feed
//! catches up in the same way. It holds the ticks of one second of the market and a few hundred
//! kilobytes of lines at most.

use super::journal::{Flushed, Journal};
use super::progress_log::ProgressLog;
use super::stop::Stopped;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tallow_connectors::feeds::simulator::Simulator;
use tallow_model::Error;
use tallow_model::clock::SystemClock;
use tallow_model::{Clock, EventTime};

/// The length of one step of the market, in milliseconds of event time.
const STEP_MS: u64 = 1_000;
/// The number of bytes that are flushed at a time while the feed catches up.
const FLUSH_BYTES: usize = 256 << 10;
/// The maximum time between two flushes, in milliseconds. The log needs them even without lines,
/// for its sync to disk.
const MAX_REST_MS: u64 = 1_000;

/// The market, and the log that it is written to.
pub(super) struct Feed {
    market: Simulator,
    journal: Journal,
    progress: Arc<ProgressLog>,
    stopped: Stopped,
    /// The event time in milliseconds before which all trades have been taken.
    at_ms: u64,
    /// Set once no partition that will get ticks can be mistaken for an empty one.
    primed: Arc<AtomicBool>,
}

impl Feed {
    /// Creates the feed of a market that opens at `from`.
    pub(super) fn new(
        market: Simulator,
        from: EventTime,
        journal: Journal,
        progress: Arc<ProgressLog>,
        stopped: Stopped,
    ) -> Feed {
        Feed { market, journal, progress, stopped, at_ms: from.millis(), primed: Arc::default() }
    }

    /// The flag that is set once each partition that will get ticks has some, or the log has
    /// reached the present. Reading must not start earlier: an empty partition does not hold time
    /// back, so history that is written to it later would be late.
    pub(super) fn primed(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.primed)
    }

    /// Runs until the stop signal, then syncs the log to disk and unlocks it.
    ///
    /// # Errors
    /// If the log can't be written and a retry can't help, or can't be written at the end.
    pub(super) fn run(mut self) -> Result<(), Error> {
        let outcome = self.trade();
        outcome.and(self.journal.close())
    }

    fn trade(&mut self) -> Result<(), Error> {
        let mut ticks = Vec::new();
        let mut caught_up = false;
        loop {
            let now_ms = SystemClock.now_ms();
            // Never backwards, even if the clock is set back.
            self.at_ms = self.at_ms.max((now_ms + 1).min(self.at_ms + STEP_MS));
            self.market.ticks_until(self.at_ms, &mut ticks);
            for tick in ticks.drain(..) {
                self.journal.append(&tick, now_ms)?;
            }
            let present = self.at_ms > now_ms;
            if present || self.journal.buffered_bytes() >= FLUSH_BYTES {
                if self.journal.flush(EventTime(self.at_ms))? == Flushed::Stopped {
                    return Ok(());
                }
                if present || self.journal.is_everywhere() {
                    self.primed.store(true, Ordering::Release);
                }
                if present && !caught_up {
                    caught_up = true;
                    self.progress.reaches_present(self.journal.last_offsets().to_vec());
                }
            }
            let rest_ms = match present {
                true => self.market.next_ms().saturating_sub(now_ms).clamp(1, MAX_REST_MS),
                false => 0,
            };
            if self.stopped.within(Duration::from_millis(rest_ms)) {
                return Ok(());
            }
        }
    }
}
