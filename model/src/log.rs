//! The log as the graph reads it: records of numbered partitions, pulled by the source, never
//! pushed.

use crate::time::EventTime;
use serde::{Deserialize, Serialize};

/// One record of a partition, borrowed from its reader.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The record's position in the partition. Offsets grow, not necessarily by one.
    pub offset: u64,
    /// The time at which the record was written, by the log's own clock; `None` if the log keeps
    /// none.
    pub log_time: Option<EventTime>,
    /// The payload bytes; `None` for a tombstone.
    pub payload: Option<&'a [u8]>,
}

/// The end of a read.
#[derive(Debug)]
pub enum ReadStatus {
    /// More records can be read right away.
    More,
    /// Everything written so far has been read; more may come.
    CaughtUp,
    /// No record can be read now, and whether this is the end is unknown: the log can't be reached,
    /// or has not answered yet. The partition is neither idle nor silent.
    Pending,
    /// Everything has been read, and nothing will ever follow.
    Finished,
    /// The rest of the partition can't be read. The partition counts as finished; the message says
    /// what failed on what.
    Failed(String),
}

/// A reader of one partition, used by the one worker that owns the partition.
///
/// A read never blocks longer than a local read takes. Without a record to give it returns
/// [`ReadStatus::CaughtUp`], or [`ReadStatus::Pending`] if it can't tell that this is the end.
pub trait PartitionReader {
    /// Returns the partition's number, the same in every run over the same log.
    fn partition(&self) -> u32;

    /// Shows up to `limit` records, in offset order, each once.
    fn read(&mut self, limit: usize, visit: &mut dyn FnMut(Record<'_>)) -> ReadStatus;
}

/// The reason why a record was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RejectReason {
    /// The payload is no tick at all.
    Malformed,
    /// The payload is a tick with an impossible value.
    Invalid,
    /// The tick's timestamp is too far after the time at which it was written.
    Future,
    /// The tick's window can't be corrected any more.
    TooLate,
}

impl RejectReason {
    /// Returns the name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            RejectReason::Malformed => "malformed",
            RejectReason::Invalid => "invalid",
            RejectReason::Future => "future",
            RejectReason::TooLate => "too_late",
        }
    }
}

/// A rejected record, with everything needed to look into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The partition of the record.
    pub partition: u32,
    /// The offset in that partition.
    pub offset: u64,
    /// The time at which the record was written; `None` if the log keeps none.
    pub log_time: Option<EventTime>,
    /// The reason for the rejection.
    pub reason: RejectReason,
    /// A description of the defect.
    pub detail: String,
    /// The bytes as they were read.
    pub raw: Vec<u8>,
}

/// The number of records by outcome. The buckets add up to `records_in`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// The number of records read.
    pub records_in: u64,
    /// Records accepted before their window closed.
    pub on_time: u64,
    /// Records accepted as corrections.
    pub late: u64,
    /// Records rejected as [`RejectReason::Malformed`].
    pub malformed: u64,
    /// Records rejected as [`RejectReason::Invalid`].
    pub invalid: u64,
    /// Records rejected as [`RejectReason::Future`].
    pub future: u64,
    /// Records rejected as [`RejectReason::TooLate`].
    pub too_late: u64,
    /// Records without a value.
    pub tombstones: u64,
}

impl Counts {
    /// Returns the buckets by name, in the order in which they are shown.
    pub fn buckets(&self) -> [(&'static str, u64); 7] {
        [
            ("on_time", self.on_time),
            ("late", self.late),
            ("malformed", self.malformed),
            ("invalid", self.invalid),
            ("future", self.future),
            ("too_late", self.too_late),
            ("tombstones", self.tombstones),
        ]
    }

    /// Adds the counts of other records.
    pub fn add(&mut self, other: &Counts) {
        self.records_in += other.records_in;
        self.on_time += other.on_time;
        self.late += other.late;
        self.malformed += other.malformed;
        self.invalid += other.invalid;
        self.future += other.future;
        self.too_late += other.too_late;
        self.tombstones += other.tombstones;
    }

    /// Counts one record that was rejected for `reason`.
    pub fn reject(&mut self, reason: RejectReason) {
        match reason {
            RejectReason::Malformed => self.malformed += 1,
            RejectReason::Invalid => self.invalid += 1,
            RejectReason::Future => self.future += 1,
            RejectReason::TooLate => self.too_late += 1,
        }
    }
}

/// The progress of reading one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionProgress {
    /// The partition's number.
    pub partition: u32,
    /// The outcomes of the partition's records.
    pub counts: Counts,
    /// The offset of the last record read.
    pub offset: Option<u64>,
    /// The largest event time accepted.
    pub max_event_time: Option<EventTime>,
    /// Whether the partition is read to its end and silent, so that it does not hold the frontier
    /// back.
    pub idle: bool,
}
