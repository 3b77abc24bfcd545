//! The publisher's queue: settled changes in order, up to a bound, and the newest open candle of
//! each series.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tallow_model::error::Error;
use tallow_model::rows::LatestCandle;
use tallow_model::store::SinkStatus;
use tallow_model::{Interval, LiveCandle, SettledAlert, Step, Symbol};

/// Name of the sink.
pub(super) const NAME: &str = "redis";

/// Most settled changes that may wait; beyond it the oldest are dropped. Some five megabytes: an
/// hour of a hundred symbols, with room for a log that is being caught up with.
const MAX_SETTLED: usize = 32_768;

/// Settled changes that are published at a time.
const BATCH_SETTLED: usize = 4_096;

/// A settled change to publish.
#[derive(Debug)]
pub(super) enum SettledUpdate {
    Candle(LatestCandle),
    Alert(SettledAlert),
}

/// The changes that are published at a time.
#[derive(Debug, Default)]
pub(super) struct PublishBatch {
    pub(super) settled: VecDeque<SettledUpdate>,
    /// The newest open candle of each series.
    pub(super) open: BTreeMap<(Symbol, Interval), LatestCandle>,
    /// Number of settled changes before these that were dropped.
    pub(super) dropped: u64,
}

impl PublishBatch {
    fn len(&self) -> usize {
        self.settled.len() + self.open.len()
    }
}

/// The next task of the publisher's thread.
pub(super) enum Work {
    Publish(PublishBatch),
    /// Nothing has arrived for a while.
    Idle,
    End,
}

/// A queue that never blocks its producers, whatever the server does.
#[derive(Debug, Default)]
pub(super) struct PublishQueue {
    state: Mutex<QueueState>,
    /// Signals that there is something to publish, or that the thread must end.
    work: Condvar,
    /// Signals that something was published, or that the thread has ended.
    published: Condvar,
}

/// Locked only for moments, never during a call to the server.
#[derive(Debug, Default)]
struct QueueState {
    waiting: PublishBatch,
    /// Number of updates that the thread has taken and not yet published.
    taken: usize,
    retries: u64,
    problem: Option<String>,
    refusing: bool,
    given_up: bool,
    ended: bool,
}

impl PublishQueue {
    /// Queues open candles; each replaces an older one of its series.
    pub(super) fn push_live(&self, candles: &[LiveCandle]) {
        if candles.is_empty() {
            return;
        }
        let mut state = self.lock();
        if state.refusing {
            return;
        }
        for live in candles {
            let candle = LatestCandle::from(live);
            match state.waiting.open.entry((candle.symbol, candle.interval)) {
                Entry::Vacant(place) => drop(place.insert(candle)),
                Entry::Occupied(mut older) if candle.is_newer_than(older.get()) => drop(older.insert(candle)),
                Entry::Occupied(_) => {}
            }
        }
        drop(state);
        self.work.notify_one();
    }

    /// Queues settled changes: every candle, then every alert.
    pub(super) fn push_settled(&self, step: &Step) {
        if step.candles.is_empty() && step.alerts.is_empty() {
            return;
        }
        let mut state = self.lock();
        if state.refusing {
            return;
        }
        let candles = step.candles.iter().map(|settled| SettledUpdate::Candle(LatestCandle::from(settled)));
        state.waiting.settled.extend(candles.chain(step.alerts.iter().copied().map(SettledUpdate::Alert)));
        let excess = state.waiting.settled.len().saturating_sub(MAX_SETTLED);
        state.waiting.settled.drain(..excess);
        let first = state.waiting.dropped == 0 && excess > 0;
        state.waiting.dropped += excess as u64;
        drop(state);
        if first {
            tracing::warn!(most = MAX_SETTLED, "too many updates wait for Redis, dropping the oldest");
        }
        self.work.notify_one();
    }

    /// Returns the state of the publisher.
    pub(super) fn status(&self) -> SinkStatus {
        let state = self.lock();
        SinkStatus {
            name: NAME.to_owned(),
            queue: (state.waiting.len() + state.taken) as u64,
            retries: state.retries,
            stored_through: None,
            problem: state.problem.clone(),
            write_seconds: None,
        }
    }

    /// Refuses further changes, and waits until those taken are published.
    pub(super) fn drain(&self, within: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + within;
        let mut state = self.lock();
        state.refusing = true;
        loop {
            let left = state.waiting.len() + state.taken;
            if left == 0 {
                return Ok(());
            }
            let time_left = deadline.saturating_duration_since(Instant::now());
            if time_left.is_zero() || state.ended {
                let problem = state.problem.as_deref().unwrap_or("it is still publishing");
                let problem = format!("{left} updates not published within {within:?}: {problem}");
                return Err(Error::Sink { sink: NAME, problem });
            }
            state = self.published.wait_timeout(state, time_left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Refuses further changes; the thread ends after its current command.
    pub(super) fn give_up(&self) {
        let mut state = self.lock();
        state.refusing = true;
        state.given_up = true;
        drop(state);
        self.work.notify_one();
    }

    /// Waits for work, at most `idle`.
    pub(super) fn next_work(&self, idle: Duration) -> Work {
        let state = self.lock();
        let nothing = |state: &mut QueueState| state.waiting.len() == 0 && !state.given_up;
        let waited = self.work.wait_timeout_while(state, idle, nothing);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        if state.given_up {
            return Work::End;
        }
        if state.waiting.len() == 0 {
            return Work::Idle;
        }
        let count = state.waiting.settled.len().min(BATCH_SETTLED);
        let batch = PublishBatch {
            settled: state.waiting.settled.drain(..count).collect(),
            open: std::mem::take(&mut state.waiting.open),
            dropped: std::mem::take(&mut state.waiting.dropped),
        };
        state.taken += batch.len();
        Work::Publish(batch)
    }

    /// Records that the changes taken have been published.
    pub(super) fn acknowledge(&self) {
        self.lock().taken = 0;
        self.published.notify_all();
    }

    /// Records why nothing can be published at the moment; `None` if it can again.
    pub(super) fn set_problem(&self, problem: Option<String>) {
        self.lock().problem = problem;
    }

    /// Waits before another attempt; returns false if the thread must end instead.
    pub(super) fn wait_to_retry(&self, wait: Duration) -> bool {
        let mut state = self.lock();
        state.retries += 1;
        let waited = self.work.wait_timeout_while(state, wait, |state| !state.given_up);
        !waited.unwrap_or_else(PoisonError::into_inner).0.given_up
    }

    /// Records that the thread has ended.
    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.published.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
