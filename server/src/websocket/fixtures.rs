//! The candle that the tests of this module start from.
#![allow(clippy::expect_used, reason = "a test may fail by panicking")]

use tallow_model::rows::LatestCandle;
use tallow_model::{EventTime, Interval};

/// A one-minute candle whose window starts `window_start` seconds after the epoch.
pub(super) fn candle(symbol: &str, window_start: u64, seq: u64, is_closed: bool) -> LatestCandle {
    LatestCandle {
        symbol: symbol.parse().expect("a symbol"),
        interval: Interval::OneMinute,
        window_start,
        window_end: window_start + 60,
        open: 1.0,
        high: 1.0,
        low: 1.0,
        close: 1.0,
        volume_sum: 0.0,
        quote_volume: None,
        event_count: 1,
        is_closed,
        revision: 0,
        seq,
        event_time: EventTime(window_start * 1000),
    }
}
