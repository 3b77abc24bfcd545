//! The feed: trades of the simulated market into the log, those of the past at full speed, then each at its time.
//!
//! Past and present are one loop, so whatever stops it for a while (a full disk, a machine that sleeps) is caught up
//! with in the same way. It holds at most the ticks of one second of the market and a few hundred kilobytes of lines.

use super::halt::Halt;
use super::journal::{Flushed, Journal};
use super::written::Written;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tallow_connectors::feeds::simulator::Simulator;
use tallow_model::Error;
use tallow_model::clock::SystemClock;
use tallow_model::{Clock, EventTime};

/// How much of the market is taken at a time, in milliseconds of event time.
const STEP_MS: u64 = 1_000;
/// How many bytes of lines the past collects before they are flushed.
const FLUSH_BYTES: usize = 256 << 10;
/// The longest rest: the log wants to be flushed so often, lines or no lines.
const LONGEST_REST_MS: u64 = 1_000;

/// What the feed works with.
pub(super) struct Feed {
    market: Simulator,
    journal: Journal,
    written: Arc<Written>,
    halt: Halt,
    /// All trades before this have been taken, in milliseconds.
    at_ms: u64,
    /// Set once the log can be read without taking a partition for an empty one.
    primed: Arc<AtomicBool>,
}

impl Feed {
    /// The feed of a market that is open from `from` on.
    pub(super) fn new(
        market: Simulator,
        from: EventTime,
        journal: Journal,
        written: Arc<Written>,
        halt: Halt,
    ) -> Feed {
        Feed { market, journal, written, halt, at_ms: from.millis(), primed: Arc::default() }
    }

    /// Whether every partition that will have ticks has some, or the log has reached the present. Reading must not
    /// start earlier: an empty partition does not hold time back, and history that comes to it later would be late.
    pub(super) fn primed(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.primed)
    }

    /// Runs until it is halted, then makes the log durable and releases it.
    ///
    /// # Errors
    /// When the log can't be written for good, or not even at the end.
    pub(super) fn run(mut self) -> Result<(), Error> {
        let outcome = self.trade();
        outcome.and(self.journal.close())
    }

    fn trade(&mut self) -> Result<(), Error> {
        let mut ticks = Vec::new();
        let mut caught_up = false;
        loop {
            let now_ms = SystemClock.now_ms();
            // Never back, whatever the clock does.
            self.at_ms = self.at_ms.max((now_ms + 1).min(self.at_ms + STEP_MS));
            self.market.ticks_until(self.at_ms, &mut ticks);
            for tick in ticks.drain(..) {
                self.journal.append(&tick, now_ms)?;
            }
            let present = self.at_ms > now_ms;
            if present || self.journal.buffered_bytes() >= FLUSH_BYTES {
                if self.journal.flush(EventTime(self.at_ms))? == Flushed::Halted {
                    return Ok(());
                }
                if present || self.journal.is_everywhere() {
                    self.primed.store(true, Ordering::Release);
                }
                if present && !caught_up {
                    caught_up = true;
                    self.written.reaches_present(self.journal.last_offsets().to_vec());
                }
            }
            let rest_ms = match present {
                true => self.market.next_ms().saturating_sub(now_ms).clamp(1, LONGEST_REST_MS),
                false => 0,
            };
            if self.halt.within(Duration::from_millis(rest_ms)) {
                return Ok(());
            }
        }
    }
}
