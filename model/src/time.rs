//! Event time, windows and logical time: the three notions that every other file uses.
//!
//! Event time is the tick's own `timestamp`. It is compared with arrival time in one rule only, the
//! rejection of timestamps from the future. Windows are half-open, `[start, end)`, and aligned to
//! the Unix epoch.

use serde::{Deserialize, Serialize};

/// Milliseconds in a second: the grain of logical time.
pub const SECOND_MS: u64 = 1_000;
/// Milliseconds in a minute: the shortest window.
pub const MINUTE_MS: u64 = 60_000;

/// The latest event time that is accepted at all: the last millisecond of the year 9999.
///
/// Later instants can't be written in RFC 3339, so they could be stored but never shown.
pub const MAX_EVENT_TIME: EventTime = EventTime(253_402_300_799_999);

/// A point in event time: milliseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventTime(pub u64);

impl EventTime {
    /// Returns the number of milliseconds since the Unix epoch.
    pub fn millis(self) -> u64 {
        self.0
    }

    /// Returns the RFC 3339 form in UTC, with milliseconds only if there are any.
    pub fn rfc3339(self) -> String {
        let precision = if self.0.is_multiple_of(SECOND_MS) { None } else { Some(3) };
        let printer = jiff::fmt::temporal::DateTimePrinter::new().precision(precision);
        match jiff::Timestamp::from_millisecond(i64::try_from(self.0).unwrap_or(i64::MAX)) {
            Ok(instant) => printer.timestamp_to_string(&instant),
            Err(_) => format!("{} ms", self.0),
        }
    }
}

/// The length of a candle's window. Ordered from short to long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Interval {
    /// One minute: folded from ticks.
    #[serde(rename = "1m")]
    OneMinute,
    /// Five minutes: rolled up from one-minute candles.
    #[serde(rename = "5m")]
    FiveMinutes,
    /// Fifteen minutes: rolled up from five-minute candles.
    #[serde(rename = "15m")]
    FifteenMinutes,
}

impl Interval {
    /// Every interval that the graph settles, shortest first.
    pub const ALL: [Interval; 3] = [Interval::OneMinute, Interval::FiveMinutes, Interval::FifteenMinutes];

    /// Returns the window's length in milliseconds.
    pub const fn millis(self) -> u64 {
        match self {
            Interval::OneMinute => MINUTE_MS,
            Interval::FiveMinutes => 5 * MINUTE_MS,
            Interval::FifteenMinutes => 15 * MINUTE_MS,
        }
    }

    /// Returns the name used in files, on the wire and in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Interval::OneMinute => "1m",
            Interval::FiveMinutes => "5m",
            Interval::FifteenMinutes => "15m",
        }
    }

    /// Returns the interval of this name, if the graph settles it.
    pub fn parse(name: &str) -> Option<Interval> {
        Interval::ALL.into_iter().find(|interval| interval.name() == name)
    }

    /// Returns the start of the window that contains `time`.
    pub const fn window_start(self, time: EventTime) -> EventTime {
        EventTime(time.0 - time.0 % self.millis())
    }

    /// Returns the end, not itself included, of the window that contains `time`.
    pub const fn window_end(self, time: EventTime) -> EventTime {
        EventTime(self.window_start(time).0 + self.millis())
    }
}

impl std::fmt::Display for Interval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Returns the first whole second strictly after `ms`.
///
/// Every logical time is a whole second: window ends are, and corrections are put on one. For a
/// watermark `w`, `next_second(w)` is therefore the least logical time that any later record can
/// get. So it is the frontier that `w` stands for: a window is closed exactly when its end is below
/// `next_second(w)`, that is, when `w` has reached the end. It also keeps the frontier from moving
/// more than once a second of event time.
pub const fn next_second(ms: u64) -> u64 {
    (ms / SECOND_MS + 1) * SECOND_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_half_open_and_aligned_to_the_epoch() {
        let end = Interval::OneMinute.window_end(EventTime(59_999));
        assert_eq!(end, EventTime(60_000));
        assert_eq!(Interval::OneMinute.window_start(end), EventTime(60_000));
        assert_eq!(Interval::FifteenMinutes.window_end(EventTime(900_000)), EventTime(1_800_000));
    }

    #[test]
    fn a_window_is_closed_exactly_when_the_watermark_has_reached_its_end() {
        let end = 60_000;
        assert!(next_second(59_999) <= end);
        assert!(next_second(60_000) > end);
    }

    #[test]
    fn milliseconds_are_printed_only_where_there_are_any() {
        assert_eq!(EventTime(1_763_271_030_000).rfc3339(), "2025-11-16T05:30:30Z");
        assert_eq!(EventTime(1_763_271_031_120).rfc3339(), "2025-11-16T05:30:31.120Z");
    }
}
