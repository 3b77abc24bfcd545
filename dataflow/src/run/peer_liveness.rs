//! The liveness of the other processes, as the threads of this process share it: the first process
//! that was lost, why this process ends, and which threads have ended.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// Reason for which a process ends its connections, sent as its last message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goodbye {
    /// The input has ended and everything has been settled.
    Finished,
    /// The process was told to stop.
    Stopped,
    /// The process has lost the process of this number.
    Lost(usize),
}

/// The first process that was lost.
#[derive(Clone, Debug)]
pub(super) struct Lost {
    pub(super) process: usize,
    pub(super) address: String,
    pub(super) detail: String,
}

/// The threads that have ended.
#[derive(Debug, Default)]
struct Ended {
    readers: usize,
    /// Whether a reader has ended by unwinding, which timely takes for a panic.
    unwound: bool,
    writers: usize,
    workers: bool,
}

/// Liveness of the other processes. One value a process, shared by its threads.
#[derive(Debug)]
pub(super) struct PeerLiveness {
    /// Number of other processes; each has a reader and a writer.
    others: usize,
    lost: OnceLock<Lost>,
    /// Reason for which the first worker left its work undone. A process that is lost after that
    /// was lost because this one leaves, so it is no reason.
    broken_off: OnceLock<Goodbye>,
    ended: Mutex<Ended>,
    changed: Condvar,
}

impl PeerLiveness {
    pub(super) fn new(others: usize) -> PeerLiveness {
        PeerLiveness {
            others,
            lost: OnceLock::new(),
            broken_off: OnceLock::new(),
            ended: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    pub(super) fn others(&self) -> usize {
        self.others
    }

    pub(super) fn lost(&self) -> Option<&Lost> {
        self.lost.get()
    }

    /// Records that a process is lost, which ends the workers. Only the first one counts.
    pub(super) fn lose(&self, process: usize, address: &str, detail: String) {
        self.lost.get_or_init(|| Lost { process, address: address.to_owned(), detail });
    }

    /// Records that a worker leaves its work undone. Called before the worker ends.
    pub(super) fn break_off(&self) {
        self.broken_off
            .get_or_init(|| self.lost().map_or(Goodbye::Stopped, |lost| Goodbye::Lost(lost.process)));
    }

    pub(super) fn has_broken_off(&self) -> bool {
        self.broken_off.get().is_some()
    }

    /// Returns the goodbye to the other processes.
    pub(super) fn goodbye(&self) -> Goodbye {
        self.broken_off.get().copied().unwrap_or(Goodbye::Finished)
    }

    pub(super) fn reader_ended(&self, as_expected: bool) {
        let mut ended = self.ended();
        ended.readers += 1;
        ended.unwound |= !as_expected;
        self.changed.notify_all();
    }

    pub(super) fn writer_ended(&self) {
        self.ended().writers += 1;
        self.changed.notify_all();
    }

    /// Records that all workers of this process have ended.
    pub(super) fn workers_ended(&self) {
        self.ended().workers = true;
        self.changed.notify_all();
    }

    pub(super) fn wait_for_workers(&self) {
        let waited = self.changed.wait_while(self.ended(), |ended| !ended.workers);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits until all writers have sent their goodbye, for at most `limit`.
    pub(super) fn wait_for_writers(&self, limit: Duration) {
        let waits = |ended: &mut Ended| ended.writers < self.others;
        let waited = self.changed.wait_timeout_while(self.ended(), limit, waits);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits until all connections have ended, or until `stop` is set, which is checked every
    /// `poll_interval`. Returns whether all connections have ended without unwinding.
    pub(super) fn wait_for_connections(&self, stop: &AtomicBool, poll_interval: Duration) -> bool {
        let mut ended = self.ended();
        while (ended.readers, ended.writers) != (self.others, self.others) {
            if stop.load(Ordering::Relaxed) {
                return false;
            }
            ended = self.changed.wait_timeout(ended, poll_interval).unwrap_or_else(PoisonError::into_inner).0;
        }
        !ended.unwound
    }

    fn ended(&self) -> MutexGuard<'_, Ended> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
