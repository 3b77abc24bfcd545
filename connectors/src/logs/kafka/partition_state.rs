//! The state of each partition, shared by its reader, the monitor and librdkafka's callbacks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Age up to which a reply about a partition's end proves that this is its end.
const MAX_REPLY_AGE: Duration = Duration::from_secs(5);

/// The value for "unknown".
const NONE: u64 = u64::MAX;

/// The state of one partition.
#[derive(Debug)]
pub(super) struct FetchState {
    partition: u32,
    /// Offset that is read next; unknown if this process does not read the partition.
    position: AtomicU64,
    /// First offset that the brokers still have.
    low: AtomicU64,
    /// Offset past the last readable record, by the newest reply.
    end: AtomicU64,
    /// Time of that request, in milliseconds since the states were created.
    asked_ms: AtomicU64,
    /// An end up to which librdkafka has fetched: every record below it has been put into the
    /// queue. If only markers of transactions or compacted records follow, it lies past the last
    /// record.
    fetched: AtomicU64,
    failure: OnceLock<String>,
}

impl FetchState {
    fn new(partition: u32) -> FetchState {
        let none = || AtomicU64::new(NONE);
        FetchState {
            partition,
            position: none(),
            low: none(),
            end: none(),
            asked_ms: none(),
            fetched: AtomicU64::new(0),
            failure: OnceLock::new(),
        }
    }

    pub(super) fn partition(&self) -> u32 {
        self.partition
    }

    pub(super) fn position(&self) -> Option<u64> {
        number(&self.position)
    }

    pub(super) fn move_to(&self, position: u64) {
        self.position.store(position, Ordering::Relaxed);
    }

    pub(super) fn low(&self) -> Option<u64> {
        number(&self.low)
    }

    pub(super) fn end(&self) -> Option<u64> {
        number(&self.end)
    }

    pub(super) fn fetched(&self) -> u64 {
        self.fetched.load(Ordering::Acquire)
    }

    pub(super) fn fetched_to_end(&self, end: u64) {
        self.fetched.fetch_max(end, Ordering::Release);
    }

    pub(super) fn keep_low(&self, low: u64) {
        self.low.store(low, Ordering::Relaxed);
    }

    /// Returns why the partition will never be read on, if so.
    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    pub(super) fn fail(&self, problem: String) {
        // The first reason stays.
        let _ = self.failure.set(problem);
    }
}

fn number(atomic: &AtomicU64) -> Option<u64> {
    Some(atomic.load(Ordering::Acquire)).filter(|value| *value != NONE)
}

/// The states of all partitions of a topic, by number.
#[derive(Debug)]
pub(super) struct FetchStates {
    topic: String,
    made: Instant,
    list: RwLock<Vec<Arc<FetchState>>>,
}

impl FetchStates {
    pub(super) fn new(topic: String, partitions: u32) -> FetchStates {
        let list = (0..partitions).map(|partition| Arc::new(FetchState::new(partition))).collect();
        FetchStates { topic, made: Instant::now(), list: RwLock::new(list) }
    }

    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    pub(super) fn get(&self, partition: u32) -> Option<Arc<FetchState>> {
        self.list.read().unwrap_or_else(PoisonError::into_inner).get(partition as usize).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<FetchState>> {
        self.list.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds the partitions up to `count`; returns how many are new.
    pub(super) fn grow(&self, count: u32) -> usize {
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        let known = list.len();
        list.extend((0..count).skip(known).map(|partition| Arc::new(FetchState::new(partition))));
        list.len() - known
    }

    /// Stores the reply to a request made at `asked`: the offset past the partition's last readable
    /// record.
    pub(super) fn keep_end(&self, fetch_state: &FetchState, end: u64, asked: Instant) {
        fetch_state.end.store(end, Ordering::Relaxed);
        // Stored after the end, so that whoever sees this time sees no older end.
        fetch_state.asked_ms.store(self.millis(asked), Ordering::Release);
    }

    /// Returns whether nothing readable lies at or past `position`, by a fresh reply.
    pub(super) fn is_end(&self, fetch_state: &FetchState, position: u64) -> bool {
        let Some(asked_ms) = number(&fetch_state.asked_ms) else { return false };
        let fresh = self.millis(Instant::now()).saturating_sub(asked_ms) <= MAX_REPLY_AGE.as_millis() as u64;
        fresh && fetch_state.end().is_some_and(|end| position >= end)
    }

    /// Returns the partition's first offset and its end, by a reply to a request made after
    /// `since`.
    pub(super) fn asked_since(&self, fetch_state: &FetchState, since: Instant) -> Option<(u64, u64)> {
        let asked_ms = number(&fetch_state.asked_ms)?;
        if asked_ms <= self.millis(since) {
            return None;
        }
        Some((fetch_state.low()?, fetch_state.end()?))
    }

    fn millis(&self, at: Instant) -> u64 {
        u64::try_from(at.duration_since(self.made).as_millis()).unwrap_or(NONE - 1)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;

    #[test]
    fn the_end_is_only_what_a_fresh_answer_says() {
        let fetch_states = FetchStates::new("ticks".to_owned(), 1);
        let fetch_state = fetch_states.get(0).unwrap();
        assert!(!fetch_states.is_end(&fetch_state, 0), "nobody has answered yet");
        fetch_states.keep_end(&fetch_state, 7, Instant::now());
        assert!(fetch_states.is_end(&fetch_state, 7));
        assert!(!fetch_states.is_end(&fetch_state, 6));
        let aged =
            FetchStates { made: fetch_states.made.checked_sub(MAX_REPLY_AGE * 2).unwrap(), ..fetch_states };
        assert!(!aged.is_end(&fetch_state, 7), "the answer is as old as that");
    }

    #[test]
    fn partitions_are_added_and_never_taken_away() {
        let fetch_states = FetchStates::new("ticks".to_owned(), 2);
        assert_eq!([4, 4, 1].map(|count| fetch_states.grow(count)), [2, 0, 0]);
        let numbers: Vec<u32> =
            fetch_states.all().iter().map(|fetch_state| fetch_state.partition()).collect();
        assert_eq!(numbers, [0, 1, 2, 3]);
    }
}
