//! The checkpoints of a process that are under way, and the last one that was stored.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tallow_dataflow::CheckpointId;
use tallow_model::Clock;
use tallow_model::clock::SystemClock;

/// The time that a worker may take to give its part. After it the next checkpoint begins without
/// that part.
const PART_TIMEOUT: Duration = Duration::from_secs(30);

/// The number of newest checkpoints that are remembered once none of their parts is under way.
const MAX_REMEMBERED: usize = 4;

/// The checkpoints of this process. One counts as stored once all parts of this process are;
/// whether the parts of other processes are stored too, only the store can tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckpointStatus {
    /// The newest stored checkpoint.
    pub last: Option<CheckpointId>,
    /// The time at which it was stored, by the clock, in milliseconds.
    pub completed_at_ms: Option<u64>,
    /// The bytes of this process's parts of it.
    pub bytes: u64,
    /// The time that encoding its parts took, summed.
    pub encoding: Duration,
    /// The time from its first part until its last one was stored, waits for the sinks included.
    pub duration: Duration,
    /// The number of stored checkpoints.
    pub written: u64,
    /// The number of parts that were not stored, because a newer one came first or because they
    /// could not be.
    pub given_up: u64,
    /// The number of parts that wait for the sinks to store what came before them.
    pub waiting_for_sinks: usize,
    /// The reason why a part can't be stored at the moment.
    pub problem: Option<String>,
}

/// The state that all threads share. Locked only for moments.
#[derive(Debug)]
pub(super) struct InFlight {
    workers: usize,
    min_pause: Duration,
    state: Mutex<Parts>,
    /// Notified when a part was stored or given up, or old checkpoints were removed.
    settled: Condvar,
}

#[derive(Debug, Default)]
struct Parts {
    status: CheckpointStatus,
    /// The checkpoints with parts under way, and some of the newest.
    begun: BTreeMap<CheckpointId, BegunCheckpoint>,
    /// The problem of each worker's part.
    problems: BTreeMap<usize, String>,
    /// The number of removals of old checkpoints that are running.
    collecting: usize,
    closed: bool,
}

#[derive(Debug)]
struct BegunCheckpoint {
    since: Instant,
    given: usize,
    stored: usize,
    given_up: usize,
    bytes: u64,
    encoding: Duration,
}

impl BegunCheckpoint {
    fn under_way(&self) -> usize {
        self.given.saturating_sub(self.stored + self.given_up)
    }
}

impl InFlight {
    /// Returns the state of a process with this many workers.
    pub(super) fn new(workers: usize, min_pause: Duration) -> InFlight {
        InFlight { workers, min_pause, state: Mutex::default(), settled: Condvar::new() }
    }

    /// Returns whether another checkpoint may begin.
    pub(super) fn may_begin(&self) -> bool {
        let state = self.lock();
        if state.closed || state.begun.values().any(|progress| progress.under_way() > 0) {
            return false;
        }
        state.begun.values().next_back().is_none_or(|last| {
            let pause =
                if last.given < self.workers { self.min_pause.max(PART_TIMEOUT) } else { self.min_pause };
            last.since.elapsed() >= pause
        })
    }

    /// Notes that a worker has given its part. Returns false if no part is taken any more.
    pub(super) fn given(&self, id: CheckpointId) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        let since = Instant::now();
        let progress = state.begun.entry(id).or_insert(BegunCheckpoint {
            since,
            given: 0,
            stored: 0,
            given_up: 0,
            bytes: 0,
            encoding: Duration::ZERO,
        });
        progress.given += 1;
        true
    }

    /// Notes that a part begins to wait for the sinks.
    pub(super) fn waits(&self) {
        self.lock().status.waiting_for_sinks += 1;
    }

    /// Notes that a part no longer waits for the sinks.
    pub(super) fn waited(&self) {
        self.lock().status.waiting_for_sinks -= 1;
    }

    /// Notes that a part is stored. Returns true for the last part of this process: then the caller
    /// removes old checkpoints and calls [`InFlight::collected`].
    pub(super) fn stored(&self, id: CheckpointId, worker: usize, bytes: u64, encoding: Duration) -> bool {
        let mut guard = self.lock();
        let state = &mut *guard;
        state.problems.remove(&worker);
        let mut whole = false;
        if let Some(progress) = state.begun.get_mut(&id) {
            progress.stored += 1;
            progress.bytes += bytes;
            progress.encoding += encoding;
            whole = progress.stored == self.workers;
            if whole {
                state.status.written += 1;
                state.collecting += 1;
            }
            if whole && state.status.last < Some(id) {
                state.status.last = Some(id);
                state.status.completed_at_ms = Some(SystemClock.now_ms());
                state.status.bytes = progress.bytes;
                state.status.encoding = progress.encoding;
                state.status.duration = progress.since.elapsed();
            }
        }
        self.forget(guard);
        whole
    }

    /// Notes that old checkpoints have been removed.
    pub(super) fn collected(&self) {
        self.lock().collecting -= 1;
        self.settled.notify_all();
    }

    /// Notes that a part will not be stored.
    pub(super) fn given_up(&self, id: CheckpointId) {
        let mut state = self.lock();
        state.status.given_up += 1;
        if let Some(progress) = state.begun.get_mut(&id) {
            progress.given_up += 1;
        }
        self.forget(state);
    }

    /// Notes that a worker's part can't be stored at the moment. Returns whether the problem is
    /// new.
    pub(super) fn trouble(&self, worker: usize, problem: String) -> bool {
        self.lock().problems.insert(worker, problem).is_none()
    }

    pub(super) fn status(&self) -> CheckpointStatus {
        let state = self.lock();
        let problem = state.problems.values().next().cloned();
        CheckpointStatus { problem, ..state.status.clone() }
    }

    /// Takes no more parts from now on.
    pub(super) fn close(&self) {
        self.lock().closed = true;
    }

    /// Waits until no part is under way and nothing is being removed, at most until the deadline.
    /// Returns the number of parts still under way.
    pub(super) fn wait_settled(&self, deadline: Instant) -> usize {
        let mut state = self.lock();
        loop {
            let under_way: usize = state.begun.values().map(BegunCheckpoint::under_way).sum();
            let left = deadline.saturating_duration_since(Instant::now());
            if under_way + state.collecting == 0 || left.is_zero() {
                return under_way;
            }
            state = self.settled.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Forgets the checkpoints that can't change any more.
    fn forget(&self, mut state: MutexGuard<'_, Parts>) {
        // Some of the newest stay: a worker may be late with its part.
        if let Some(oldest) = state.begun.keys().rev().nth(MAX_REMEMBERED - 1).copied() {
            state.begun.retain(|id, progress| progress.under_way() > 0 || *id >= oldest);
        }
        drop(state);
        self.settled.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Parts> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
