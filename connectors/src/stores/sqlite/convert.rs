//! Numbers and times as the file stores them.

use tallow_model::EventTime;

/// Converts to SQLite's signed integers. A larger value would be past the year 9999, or more ticks
/// than can exist.
pub(super) fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Converts a time to the milliseconds that the file stores.
pub(super) fn millis(time: EventTime) -> i64 {
    integer(time.millis())
}
