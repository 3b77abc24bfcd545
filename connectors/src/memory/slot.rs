//! What the cache keeps of one symbol and interval, and the rules by which a candle is newer than another.

use crate::model::LatestCandle;
use std::sync::Arc;

/// The newest candle of one symbol and interval.
#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) newest: Option<Arc<LatestCandle>>,
    /// Start of the newest closed window, in seconds: an open candle up to there is out of date.
    closed_through: Option<u64>,
    /// That of the last candle published.
    seq: u64,
}

impl Slot {
    /// Gives the candle its number and keeps it if it is the newest; none where it is out of date and must not be
    /// published.
    ///
    /// A closed candle is always published, as a correction of an old window is. An open one is not if its window
    /// has closed, or if the newest candle is of the same window and as many ticks.
    pub(super) fn admit(&mut self, mut candle: LatestCandle) -> Option<Arc<LatestCandle>> {
        let newer = self.newest.as_deref().is_none_or(|newest| rank(&candle) > rank(newest));
        if candle.is_closed {
            self.closed_through = self.closed_through.max(Some(candle.window_start));
        } else {
            let same_window =
                self.newest.as_deref().is_some_and(|newest| newest.window_start == candle.window_start);
            if Some(candle.window_start) <= self.closed_through || (same_window && !newer) {
                return None;
            }
        }
        self.seq += 1;
        candle.seq = self.seq;
        let candle = Arc::new(candle);
        if newer {
            self.newest = Some(Arc::clone(&candle));
        }
        Some(candle)
    }
}

/// The order of candles: by window, closed over open, then by version: more ticks, then more corrections.
fn rank(candle: &LatestCandle) -> (u64, bool, u64, u32) {
    (candle.window_start, candle.is_closed, candle.event_count, candle.revision)
}
