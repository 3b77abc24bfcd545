//! Resume points of a partition, for every frontier at which a checkpoint may still be taken.
//!
//! Notation. *F* is the frontier of a checkpoint, a multiple of the interval. A record *belongs
//! after F* if its logical time is at or past *F*: it is not in the state as of *F*.
//!
//! Definition. The resume point for *F* is
//! 1. `offset`: the offset of the first record that belongs after *F*, with the watermark before
//!    that record;
//! 2. `unsettled_from`: the offset of the first record that was read once the source had given up
//!    all time before *F*.
//!
//! Property. A record from `unsettled_from` on belongs after *F*, whatever its event time. A record
//! between `offset` and `unsettled_from` belongs after *F* exactly if the partition's own watermark
//! puts it there.
//!
//! Argument. A logical time is the later of the partition's own and the source's floor (step 3 in
//! `watermark.rs`). From `unsettled_from` on the floor is at or past *F*. Before it the floor was
//! below *F*, so the floor cannot have moved a record across *F*.
//!
//! Consequence. A reader that resumes at `offset` with that watermark knows of each record whether
//! the state holds it, even where the clock had made the source give up time.
//!
//! Law: `tests/checkpoints.rs::a_run_stopped_anywhere_puts_out_what_an_unbroken_one_does`, and for
//! the floor `a_tick_that_ended_a_silence_is_not_taken_for_one_that_the_checkpoint_has`.
//!
//! State: one entry of each kind per multiple of the interval between the settled time and the read
//! time, so at most as many as fit `max_skew` and `max_future`. Cost per record: one comparison.

use crate::state::checkpoint::ResumePoint;
use std::collections::VecDeque;
use tallow_model::{Counts, EventTime};

/// The first record whose logical time is at or past `time`.
#[derive(Clone, Copy, Debug)]
struct FirstAfter {
    time: u64,
    offset: u64,
    max_event_time: Option<EventTime>,
    counts: Counts,
}

/// The first offset that had not been read when the source gave up all time before `time`.
#[derive(Clone, Copy, Debug)]
struct GivenUp {
    time: u64,
    offset: u64,
    idle: bool,
}

/// Progress of a partition's reader.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    /// The offset of the next record, or a lower one past the last record.
    pub(crate) offset: u64,
    /// The largest event time accepted.
    pub(crate) max_event_time: Option<EventTime>,
    /// Counts of the records before `offset`.
    pub(crate) counts: Counts,
    pub(crate) idle: bool,
}

/// Map from a frontier to the partition's resume point.
#[derive(Debug)]
pub(crate) struct ResumeIndex {
    partition: u32,
    interval_ms: u64,
    /// The time that the source had given up when it began to read the partition.
    since: u64,
    /// The least logical time that makes a new entry of `first_after`.
    next: u64,
    first_after: VecDeque<FirstAfter>,
    given_up: VecDeque<GivenUp>,
}

impl ResumeIndex {
    /// Creates the index of a partition whose reading begins after the source has given up all time
    /// before `since`.
    pub(crate) fn new(partition: u32, interval_ms: u64, since: u64) -> ResumeIndex {
        let next = since.saturating_add(1).next_multiple_of(interval_ms);
        ResumeIndex {
            partition,
            interval_ms,
            since,
            next,
            first_after: VecDeque::new(),
            given_up: VecDeque::new(),
        }
    }

    /// Whether a record of this logical time must be noted.
    #[inline]
    pub(crate) fn wants(&self, logical: u64) -> bool {
        logical >= self.next
    }

    /// Notes that the next record has this logical time: step 1.
    pub(crate) fn note(&mut self, logical: u64, at: Position) {
        let time = logical / self.interval_ms * self.interval_ms;
        let Position { offset, max_event_time, counts, .. } = at;
        self.first_after.push_back(FirstAfter { time, offset, max_event_time, counts });
        self.next = time.saturating_add(self.interval_ms);
    }

    /// Notes that the source gives up all time before `frontier`, and forgets everything before
    /// `settled`, the time that has settled on all workers: no checkpoint begins there any more.
    pub(crate) fn give_up(&mut self, frontier: u64, settled: u64, at: Position) {
        let time = frontier / self.interval_ms * self.interval_ms;
        // Step 1. No record read so far belongs after `time`, so the next one is the first.
        if self.wants(time) {
            self.note(time, at);
        }
        // Step 2.
        self.given_up.push_back(GivenUp { time, offset: at.offset, idle: at.idle });
        while self.first_after.front().is_some_and(|first| first.time < settled) {
            self.first_after.pop_front();
        }
        while self.given_up.front().is_some_and(|given_up| given_up.time < settled) {
            self.given_up.pop_front();
        }
    }

    /// Returns the resume point for `frontier`, which the source has passed.
    ///
    /// `None` for a partition that came after that, or has had no record: reading starts at its
    /// beginning, and every record in it belongs after `frontier`.
    pub(crate) fn resume_point(&self, frontier: u64) -> Option<ResumePoint> {
        if frontier <= self.since {
            return None;
        }
        // Step 1.
        let first = self.first_after.iter().find(|first| first.time >= frontier)?;
        // Step 2.
        let given_up = self.given_up.iter().find(|given_up| given_up.time >= frontier)?;
        let started = first.counts.records_in > 0 || given_up.offset > first.offset;
        started.then_some(ResumePoint {
            partition: self.partition,
            offset: first.offset,
            unsettled_from: given_up.offset.max(first.offset),
            max_event_time: first.max_event_time,
            idle: given_up.idle,
            counts: first.counts,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: u64) -> Position {
        let counts = Counts { records_in: offset, ..Counts::default() };
        Position { offset, max_event_time: None, counts, idle: false }
    }

    #[test]
    fn a_record_behind_the_first_one_after_the_frontier_is_read_again() {
        let mut index = ResumeIndex::new(0, 60_000, 0);
        // The record at offset 3 belongs after one minute, and the source reads up to offset 7
        // before it gives up that minute.
        index.note(61_000, at(3));
        index.give_up(62_000, 0, at(7));
        let point = index.resume_point(60_000).expect("a resume point");
        assert_eq!((point.offset, point.unsettled_from), (3, 7));
    }

    #[test]
    fn a_partition_without_a_record_has_no_resume_point() {
        let mut index = ResumeIndex::new(0, 60_000, 0);
        index.give_up(60_000, 0, at(0));
        assert_eq!(index.resume_point(60_000), None);
    }
}
