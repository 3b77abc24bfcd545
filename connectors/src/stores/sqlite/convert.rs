//! Numbers and times as the file keeps them.

use tallow_model::EventTime;

/// SQLite's integers are signed. What is past them is past the year 9999, or more ticks than there can be.
pub(super) fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A time as the file keeps it.
pub(super) fn millis(time: EventTime) -> i64 {
    integer(time.millis())
}
