//! Where a partition would be read on, for every frontier at which a checkpoint may still be cut.
//!
//! Notation. *F* is the frontier of a checkpoint, a multiple of the interval. A record *belongs after F* if its logical
//! time is at or past *F*: it is not in the state as of *F*.
//!
//! Definition. The resume point for *F* is
//! 1. `offset`: that of the first record that belongs after *F*, with the watermark before it;
//! 2. `unsettled_from`: the offset of the first record read once the source had given up all time before *F*.
//!
//! Property. A record from `unsettled_from` on belongs after *F*, whatever its event time. One between `offset` and
//! there does so exactly if the partition's own watermark puts it there: what the source had given up was before *F*
//! when it was read, so it cannot have moved the record across. Hence whoever reads on from `offset` with that watermark
//! knows of each record whether it is in the state, even if time had been given up by the clock.
//!
//! State: a mark per multiple of the interval between what has settled everywhere and what has been read, so at most
//! `max_skew` and `max_future` of them. Cost per record: one comparison.

use crate::checkpoint::ResumePoint;
use std::collections::VecDeque;
use tallow_model::Counts;
use tallow_model::EventTime;

/// The first record whose logical time is at or past `time`.
#[derive(Clone, Copy, Debug)]
struct Mark {
    time: u64,
    offset: u64,
    max_event_time: Option<EventTime>,
    counts: Counts,
}

/// What was not read yet when the source gave up all time before `time`.
#[derive(Clone, Copy, Debug)]
struct Passed {
    time: u64,
    offset: u64,
    idle: bool,
}

/// How far a partition has been read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    /// The offset of the next record, or of one before it that is no record.
    pub(super) offset: u64,
    /// The largest event time accepted.
    pub(super) max_event_time: Option<EventTime>,
    /// The buckets of the records before.
    pub(super) counts: Counts,
    /// Whether it is idle.
    pub(super) idle: bool,
}

/// The marks of a partition.
#[derive(Debug)]
pub(crate) struct Marks {
    partition: u32,
    interval_ms: u64,
    /// What the source had given up when it began to read the partition.
    since: u64,
    /// The least logical time that makes a new mark.
    next: u64,
    marks: VecDeque<Mark>,
    passed: VecDeque<Passed>,
}

impl Marks {
    /// Those of a partition that is read from now on, when the source has given up all time before `since`.
    pub(super) fn new(partition: u32, interval_ms: u64, since: u64) -> Marks {
        let next = since.saturating_add(1).next_multiple_of(interval_ms);
        Marks { partition, interval_ms, since, next, marks: VecDeque::new(), passed: VecDeque::new() }
    }

    /// Whether a record of this logical time must be noted.
    #[inline]
    pub(super) fn wants(&self, logical: u64) -> bool {
        logical >= self.next
    }

    /// Notes that the record that comes next has this logical time.
    pub(super) fn note(&mut self, logical: u64, at: Position) {
        let time = logical / self.interval_ms * self.interval_ms;
        let Position { offset, max_event_time, counts, .. } = at;
        self.marks.push_back(Mark { time, offset, max_event_time, counts });
        self.next = time.saturating_add(self.interval_ms);
    }

    /// The source gives up all time before `frontier`. What has settled everywhere is not asked for any more.
    pub(super) fn pass(&mut self, frontier: u64, settled: u64, at: Position) {
        let time = frontier / self.interval_ms * self.interval_ms;
        if self.wants(time) {
            self.note(time, at);
        }
        self.passed.push_back(Passed { time, offset: at.offset, idle: at.idle });
        while self.marks.front().is_some_and(|mark| mark.time < settled) {
            self.marks.pop_front();
        }
        while self.passed.front().is_some_and(|passed| passed.time < settled) {
            self.passed.pop_front();
        }
    }

    /// Where to read on for `frontier`, which the source has passed; none for a partition that came only after that, or
    /// has had no record: it is read from its beginning, and everything in it belongs after.
    pub(crate) fn resume_point(&self, frontier: u64) -> Option<ResumePoint> {
        if frontier <= self.since {
            return None;
        }
        let mark = self.marks.iter().find(|mark| mark.time >= frontier)?;
        let passed = self.passed.iter().find(|passed| passed.time >= frontier)?;
        let started = mark.counts.records_in > 0 || passed.offset > mark.offset;
        started.then_some(ResumePoint {
            partition: self.partition,
            offset: mark.offset,
            unsettled_from: passed.offset.max(mark.offset),
            max_event_time: mark.max_event_time,
            idle: passed.idle,
            counts: mark.counts,
        })
    }
}
