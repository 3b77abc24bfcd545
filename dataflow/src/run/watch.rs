//! What the threads of a process tell each other about the other processes: which one is lost, and who has ended.

use super::link::{Goodbye, Remote};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// A process that is gone.
#[derive(Clone, Debug)]
pub(super) struct Lost {
    pub(super) process: usize,
    pub(super) address: String,
    pub(super) detail: String,
}

/// Which threads of the connections have ended.
#[derive(Debug, Default)]
struct Ended {
    readers: usize,
    /// Whether all of those have ended as timely expects it.
    unwound: bool,
    writers: usize,
    workers: bool,
}

/// One for the process.
#[derive(Debug)]
pub(super) struct Watch {
    /// How many other processes there are; each has a reader and a writer.
    others: usize,
    lost: OnceLock<Lost>,
    /// Why the first worker that left its work undone did so. What becomes of the other processes after that, now that
    /// this one is leaving them, is no reason.
    broken_off: OnceLock<Goodbye>,
    ended: Mutex<Ended>,
    changed: Condvar,
}

impl Watch {
    pub(super) fn new(others: usize) -> Watch {
        Watch {
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

    /// The first process that was lost.
    pub(super) fn lost(&self) -> Option<&Lost> {
        self.lost.get()
    }

    /// Tells the workers that a process is gone; the first such word counts.
    pub(super) fn lose(&self, remote: &Remote, detail: String) {
        self.lost.get_or_init(|| Lost { process: remote.process, address: remote.address.clone(), detail });
    }

    /// Says that a worker leaves its work undone; before it ends.
    pub(super) fn break_off(&self) {
        self.broken_off
            .get_or_init(|| self.lost().map_or(Goodbye::Stopped, |lost| Goodbye::Lost(lost.process)));
    }

    pub(super) fn has_broken_off(&self) -> bool {
        self.broken_off.get().is_some()
    }

    /// What the other processes are told in the end.
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

    /// Says that all workers of this process have ended.
    pub(super) fn workers_ended(&self) {
        self.ended().workers = true;
        self.changed.notify_all();
    }

    pub(super) fn wait_for_workers(&self) {
        let waited = self.changed.wait_while(self.ended(), |ended| !ended.workers);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits until everything that was to be sent has been, for so long at most.
    pub(super) fn wait_for_writers(&self, limit: Duration) {
        let waits = |ended: &mut Ended| ended.writers < self.others;
        let waited = self.changed.wait_timeout_while(self.ended(), limit, waits);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits until all connections are at their end, or `stop` is set, which is looked at this often. Says whether all
    /// have ended as timely expects it.
    pub(super) fn wait_for_connections(&self, stop: &AtomicBool, look: Duration) -> bool {
        let mut ended = self.ended();
        while (ended.readers, ended.writers) != (self.others, self.others) {
            if stop.load(Ordering::Relaxed) {
                return false;
            }
            ended = self.changed.wait_timeout(ended, look).unwrap_or_else(PoisonError::into_inner).0;
        }
        !ended.unwound
    }

    fn ended(&self) -> MutexGuard<'_, Ended> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
