//! What a cache keeps of one symbol and interval, and the rules by which a candle is newer than another.

use crate::rows::LatestCandle;
use std::sync::Arc;

/// The newest candle of one symbol and interval.
#[derive(Debug, Default)]
pub struct Slot {
    newest: Option<Arc<LatestCandle>>,
    /// Start of the newest closed window, in seconds: an open candle up to there is out of date.
    closed_through: Option<u64>,
    /// That of the last candle published.
    seq: u64,
}

impl Slot {
    /// The slot as another publisher has left it: its newest candle, and the number of the last one that it has
    /// published. What of older windows is still open has been shown and is not shown again.
    pub fn continued(newest: Option<LatestCandle>, seq: u64) -> Slot {
        let closed_through = newest.as_ref().and_then(|newest| match newest.is_closed {
            true => Some(newest.window_start),
            false => newest.window_start.checked_sub(1),
        });
        let seq = newest.as_ref().map_or(seq, |newest| seq.max(newest.seq));
        Slot { newest: newest.map(Arc::new), closed_through, seq }
    }

    /// The newest candle that has been published.
    pub fn newest(&self) -> Option<&Arc<LatestCandle>> {
        self.newest.as_ref()
    }

    /// The number of the last candle published; 0 where none has been.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Gives the candle its number and keeps it if it is the newest; none where it is out of date and must not be
    /// published.
    ///
    /// A closed candle is always published, as a correction of an old window is. An open one is not if its window
    /// has closed, or if the newest candle is of the same window and as many ticks.
    pub fn admit(&mut self, mut candle: LatestCandle) -> Option<Arc<LatestCandle>> {
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

/// What orders the candles of a symbol and interval: window, closed, ticks, corrections.
pub type Rank = (u64, bool, u64, u32);

/// The order of candles: by window, closed over open, then by version: more ticks, then more corrections.
pub fn rank(candle: &LatestCandle) -> Rank {
    (candle.window_start, candle.is_closed, candle.event_count, candle.revision)
}

impl LatestCandle {
    /// Whether it is newer than another candle of its symbol and interval: of a later window; or of the same one, closed
    /// and not open, of more ticks, or corrected more often. Their numbers don't count.
    pub fn is_newer_than(&self, other: &LatestCandle) -> bool {
        rank(self) > rank(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventTime, Interval};

    fn candle(window_start: u64, is_closed: bool, event_count: u64) -> LatestCandle {
        LatestCandle {
            symbol: "BTC".parse().expect("a symbol"),
            interval: Interval::OneMinute,
            window_start,
            window_end: window_start + 60,
            open: 1.0,
            high: 1.0,
            low: 1.0,
            close: 1.0,
            volume_sum: 0.0,
            quote_volume: Some(0.0),
            event_count,
            is_closed,
            revision: 0,
            seq: 0,
            event_time: EventTime(window_start * 1_000),
        }
    }

    #[test]
    fn a_continued_slot_counts_on_and_its_candle_is_replaced_by_a_newer_one_only() {
        let left = LatestCandle { seq: 7, ..candle(120, false, 5) };
        let mut slot = Slot::continued(Some(left.clone()), 9);
        // A replay: open candles of windows that were shown, and a closed one, which is a correction.
        assert_eq!(slot.admit(candle(60, false, 50)), None);
        assert_eq!(slot.admit(candle(120, false, 4)), None);
        let old = slot.admit(candle(60, true, 50)).expect("a correction");
        assert_eq!((old.seq, slot.newest().map(|newest| newest.window_start)), (10, Some(120)));
        let newer = slot.admit(candle(120, false, 6)).expect("a newer one");
        assert_eq!((newer.seq, slot.newest()), (11, Some(&newer)));
        // The number beside the candle may have been lost.
        assert_eq!(Slot::continued(Some(left), 0).seq(), 7);
    }

    #[test]
    fn a_window_that_was_left_closed_is_not_opened_again() {
        let mut slot = Slot::continued(Some(candle(120, true, 5)), 3);
        assert_eq!(slot.admit(candle(120, false, 9)), None);
        assert_eq!(slot.admit(candle(180, false, 1)).map(|it| it.seq), Some(4));
    }
}
