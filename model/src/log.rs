//! What the graph reads: records of a partitioned log, pulled by the source, never pushed.

use crate::time::EventTime;
use serde::{Deserialize, Serialize};

/// One record of a partition, borrowed from its reader.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Its place in the partition; grows from record to record, not necessarily by one.
    pub offset: u64,
    /// When it was written to the log, by the log's own clock, where the log keeps that.
    pub log_time: Option<EventTime>,
    /// The bytes; none for a tombstone.
    pub payload: Option<&'a [u8]>,
}

/// How a read ended.
#[derive(Debug)]
pub enum ReadStatus {
    /// There is more to read right away.
    More,
    /// Everything written so far has been read; more may come.
    CaughtUp,
    /// Nothing to give right now, and nobody knows whether that is the end: the log can't be reached, or has not answered
    /// yet. The partition is neither idle nor silent.
    Pending,
    /// Everything has been read and nothing will ever follow.
    Finished,
    /// The rest of the partition can't be read. It counts as finished; the message says what failed on what.
    Failed(String),
}

/// A reader of one partition, used by the one worker that owns the partition.
///
/// It never blocks longer than a local read takes: with nothing to give it says [`ReadStatus::CaughtUp`], or
/// [`ReadStatus::Pending`] where it can't tell that this is the end.
pub trait PartitionReader {
    /// The partition's number, the same in every run over the same log.
    fn partition(&self) -> u32;

    /// Shows up to `limit` records, in offset order, each once.
    fn read(&mut self, limit: usize, visit: &mut dyn FnMut(Record<'_>)) -> ReadStatus;
}

/// Why a record was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RejectReason {
    /// Not a tick at all.
    Malformed,
    /// A tick with a value that can't be.
    Invalid,
    /// Its timestamp is too far past the time at which it was written.
    Future,
    /// Its window is past correcting.
    TooLate,
}

impl RejectReason {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            RejectReason::Malformed => "malformed",
            RejectReason::Invalid => "invalid",
            RejectReason::Future => "future",
            RejectReason::TooLate => "too_late",
        }
    }
}

/// A record that was not accepted, with everything needed to look into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The partition it was read from.
    pub partition: u32,
    /// Its offset there.
    pub offset: u64,
    /// When it was written to the log, where the log keeps that.
    pub log_time: Option<EventTime>,
    /// Why.
    pub reason: RejectReason,
    /// What exactly, in words.
    pub detail: String,
    /// The bytes as they were read.
    pub raw: Vec<u8>,
}

/// In which bucket the records read so far ended. The buckets add up to `records_in`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Records read.
    pub records_in: u64,
    /// Accepted before their window closed.
    pub on_time: u64,
    /// Accepted as corrections.
    pub late: u64,
    /// See [`RejectReason::Malformed`].
    pub malformed: u64,
    /// See [`RejectReason::Invalid`].
    pub invalid: u64,
    /// See [`RejectReason::Future`].
    pub future: u64,
    /// See [`RejectReason::TooLate`].
    pub too_late: u64,
    /// Records without a value.
    pub tombstones: u64,
}

impl Counts {
    /// The buckets by name, in the order in which they are shown.
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

/// How far one partition has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionProgress {
    /// Which partition.
    pub partition: u32,
    /// The buckets of its records.
    pub counts: Counts,
    /// The offset of the last record read.
    pub offset: Option<u64>,
    /// The largest event time accepted.
    pub max_event_time: Option<EventTime>,
    /// Whether it is read to its end and silent, so that it does not hold the frontier back.
    pub idle: bool,
}
