//! The queue before a sink: the entries that wait to be written, and the status of the sink.

use super::settings::SinkSettings;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tallow_model::distribution::{Distribution, WRITE_SECONDS};
use tallow_model::error::Error;
use tallow_model::store::{Sink, SinkStatus};
use tallow_model::{EventTime, Reject, Step};

/// Takes steps and rejects for one sink, in order, without ever blocking.
///
/// The users of the queue keep its bound: the queue takes every entry and reports that it is full,
/// and the source stops reading until it is not. So the queue holds at most its bound and what was
/// under way in the graph.
#[derive(Debug)]
pub struct SinkQueue {
    name: &'static str,
    pub(super) settings: SinkSettings,
    /// Changes not yet stored, those being written included. Beside the lock, so that reading it is
    /// cheap.
    changes: AtomicUsize,
    /// Steps and lots of rejects not yet stored. Beside the lock too.
    entries: AtomicUsize,
    failed: AtomicBool,
    state: Mutex<QueueState>,
    /// Notified when there is something to write, or the writer must end.
    pub(super) work: Condvar,
    /// Notified when something was stored, or the sink has failed.
    stored: Condvar,
}

/// Locked only for moments: never while the sink writes.
#[derive(Debug, Default)]
pub(super) struct QueueState {
    entries: VecDeque<Entry>,
    /// The number of entries taken so far.
    taken: u64,
    /// The number of entries stored, always the first ones.
    stored: u64,
    retries: u64,
    /// The time from a batch's first attempt until it was stored.
    write_seconds: Option<Distribution>,
    stored_through: Option<EventTime>,
    /// The reason why the sink does not write at the moment.
    problem: Option<String>,
    /// The reason why the sink will never write again.
    failure: Option<String>,
    refusing: bool,
    given_up: bool,
    /// The wakers of the tasks that wait for a ticket.
    waiting: Vec<Waker>,
}

impl QueueState {
    /// Returns whether the first `entries` are stored; an error if they never will be.
    fn has_stored(&self, entries: u64) -> Result<bool, String> {
        match &self.failure {
            Some(failure) => Err(failure.clone()),
            None if self.stored >= entries => Ok(true),
            None if self.given_up => Err("it was closed before everything was stored".to_owned()),
            None => Ok(false),
        }
    }
}

/// Stands for everything that a queue had taken up to a moment. A task that must not be ahead of a
/// sink awaits it: it resolves when all of that is stored, or with an error when it never will be,
/// because the sink has failed for good or was closed before.
#[derive(Clone, Debug)]
pub struct DurabilityTicket {
    queue: Arc<SinkQueue>,
    /// The number of entries taken up to that moment.
    entries: u64,
}

impl DurabilityTicket {
    /// Returns whether everything is stored.
    ///
    /// # Errors
    /// If it never will be.
    pub fn is_stored(&self) -> Result<bool, Error> {
        self.queue.lock().has_stored(self.entries).map_err(|problem| self.queue.error(problem))
    }
}

impl Future for DurabilityTicket {
    type Output = Result<(), Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut state = self.queue.lock();
        match state.has_stored(self.entries) {
            Ok(true) => Poll::Ready(Ok(())),
            Ok(false) => {
                if !state.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                    state.waiting.push(context.waker().clone());
                }
                Poll::Pending
            }
            Err(problem) => Poll::Ready(Err(self.queue.error(problem))),
        }
    }
}

#[derive(Debug)]
enum Entry {
    Step(Step),
    Rejects(Vec<Reject>),
}

impl Entry {
    fn changes(&self) -> usize {
        match self {
            Entry::Step(step) => step.candles.len() + step.alerts.len(),
            Entry::Rejects(rejects) => rejects.len(),
        }
    }
}

/// The entries of one write.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) steps: Vec<Step>,
    pub(super) rejects: Vec<Reject>,
    entries: usize,
    changes: usize,
}

impl SinkQueue {
    pub(super) fn new(sink: &dyn Sink, settings: SinkSettings) -> SinkQueue {
        let state = QueueState { stored_through: sink.stored_through(), ..QueueState::default() };
        SinkQueue {
            name: sink.name(),
            settings,
            changes: AtomicUsize::new(0),
            entries: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
            state: Mutex::new(state),
            work: Condvar::new(),
            stored: Condvar::new(),
        }
    }

    /// Queues a step. Never blocks, and never refuses for want of room: see [`SinkQueue::is_full`].
    ///
    /// # Errors
    /// If the sink has failed for good or is being closed: the step will not be stored.
    pub fn try_send(&self, step: Step) -> Result<(), Error> {
        self.take(Entry::Step(step))
    }

    /// Queues rejects in the same way.
    ///
    /// # Errors
    /// The errors of [`SinkQueue::try_send`].
    pub fn try_send_rejects(&self, rejects: Vec<Reject>) -> Result<(), Error> {
        self.take(Entry::Rejects(rejects))
    }

    /// Returns whether the queue is full or the sink has failed: then nothing more should be read.
    pub fn is_full(&self) -> bool {
        self.changes.load(Ordering::Relaxed) >= self.settings.max_changes
            || self.entries.load(Ordering::Relaxed) >= self.settings.max_entries
            || self.failed.load(Ordering::Relaxed)
    }

    /// Returns the status of the sink.
    pub fn status(&self) -> SinkStatus {
        let state = self.lock();
        SinkStatus {
            name: self.name.to_owned(),
            queue: state.taken - state.stored,
            retries: state.retries,
            stored_through: state.stored_through,
            problem: state.failure.clone().or_else(|| state.problem.clone()),
            write_seconds: state.write_seconds.clone(),
        }
    }

    /// Returns the reason why the sink has failed for good, if it has.
    pub fn failure(&self) -> Option<String> {
        self.lock().failure.clone()
    }

    /// Returns a ticket for everything that was queued before this call.
    pub fn ticket(self: &Arc<SinkQueue>) -> DurabilityTicket {
        let entries = self.lock().taken;
        DurabilityTicket { queue: Arc::clone(self), entries }
    }

    /// Waits until everything that was queued before this call is stored.
    ///
    /// # Errors
    /// If the sink has failed for good or was closed before, or not everything is stored in time.
    pub fn wait_stored(&self, within: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + within;
        let mut state = self.lock();
        let wanted = state.taken;
        loop {
            if state.has_stored(wanted).map_err(|problem| self.error(problem))? {
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let problem = state.problem.as_deref().unwrap_or("it is still writing");
                let waiting = wanted - state.stored;
                return Err(self.error(format!(
                    "not everything was stored within {within:?}, {waiting} waiting: {problem}"
                )));
            }
            state = self.stored.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn take(&self, entry: Entry) -> Result<(), Error> {
        let mut state = self.lock();
        if let Some(failure) = &state.failure {
            return Err(self.error(failure.clone()));
        }
        if state.refusing {
            return Err(self.error("it is being closed".to_owned()));
        }
        self.changes.fetch_add(entry.changes(), Ordering::Relaxed);
        self.entries.fetch_add(1, Ordering::Relaxed);
        state.taken += 1;
        state.entries.push_back(entry);
        drop(state);
        self.work.notify_one();
        Ok(())
    }

    fn error(&self, problem: String) -> Error {
        Error::Sink { sink: self.name, problem }
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes nothing more from now on.
    pub(super) fn refuse(&self) {
        self.lock().refusing = true;
    }

    /// Ends the writer as soon as it is not in the middle of a write.
    pub(super) fn give_up(&self) {
        let mut state = self.lock();
        state.given_up = true;
        self.work.notify_one();
        self.tell(state);
    }

    /// Wakes the tasks that wait for something to be stored.
    fn tell(&self, mut state: MutexGuard<'_, QueueState>) {
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.stored.notify_all();
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Waits for the next entries to write; `None` when the writer must end.
    pub(super) fn next_batch(&self) -> Option<Batch> {
        let mut state = self.lock();
        while state.entries.is_empty() && !state.given_up {
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.given_up {
            return None;
        }
        let mut batch = Batch::default();
        while let Some(entry) = state.entries.front() {
            let changes = entry.changes();
            if batch.entries > 0 && batch.changes + changes > self.settings.batch_changes {
                break;
            }
            batch.entries += 1;
            batch.changes += changes;
            match state.entries.pop_front() {
                Some(Entry::Step(step)) => batch.steps.push(step),
                Some(Entry::Rejects(rejects)) => batch.rejects.extend(rejects),
                None => break,
            }
        }
        Some(batch)
    }

    /// Notes that the batch is stored.
    pub(super) fn acknowledge(&self, batch: &Batch, stored_through: Option<EventTime>, took: Duration) {
        let mut state = self.lock();
        let distribution = state.write_seconds.get_or_insert_with(|| Distribution::new(WRITE_SECONDS));
        distribution.observe(took.as_secs_f64());
        state.stored += batch.entries as u64;
        state.stored_through = stored_through;
        state.problem = None;
        self.changes.fetch_sub(batch.changes, Ordering::Relaxed);
        self.entries.fetch_sub(batch.entries, Ordering::Relaxed);
        self.tell(state);
    }

    /// Notes that a write has failed, and waits before the next attempt. Returns false if the
    /// writer must end instead.
    pub(super) fn wait_to_retry(&self, problem: String, wait: Duration) -> bool {
        let deadline = Instant::now() + wait;
        let mut state = self.lock();
        state.retries += 1;
        state.problem = Some(problem);
        while !state.given_up {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            state = self.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        false
    }

    /// Notes that the sink will never write again.
    pub(super) fn fail(&self, failure: String) {
        let mut state = self.lock();
        state.failure = Some(failure);
        state.entries.clear();
        self.failed.store(true, Ordering::Relaxed);
        self.tell(state);
    }
}
