//! A filter of updates by their numbers: which of those that arrive are new, and where some are
//! missing.
//!
//! The updates of a symbol and interval are numbered one by one, and a connection keeps their
//! order. So the next number is the rule. Deviations have few causes:
//!
//! - **A higher number.** Updates are missing: the connection to Redis was lost, or an update was
//!   malformed.
//! - **A number seen before, of a candle that is not newer** than all forwarded. The publisher
//!   could not know whether Redis had received it before the connection broke, and has sent it
//!   again. It is not forwarded.
//! - **A number seen before, of a newer candle.** The numbers have begun anew: Redis lost them, and
//!   then the publisher restarted. The update is forwarded, and numbers count from it. Until then
//!   the replay of such a publisher looks like the case above and is not forwarded: it is older
//!   than what subscribers have.
//!
//! State: a number and four fields per symbol and interval, for good. Cost: one look-up per update.

use hashbrown::HashMap;
use tallow_model::published::{Rank, rank};
use tallow_model::rows::LatestCandle;
use tallow_model::{Interval, Symbol};

/// The updates forwarded so far, by series.
#[derive(Debug, Default)]
pub(super) struct Order {
    series: HashMap<(Symbol, Interval), Forwarded>,
}

/// The state of one symbol and interval.
#[derive(Clone, Copy, Debug)]
struct Forwarded {
    seq: u64,
    newest: Rank,
}

/// The verdict on an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The next update, the first, or the first after the numbers began anew: forward it.
    Next,
    /// An update after missing ones: forward it after what is known of those.
    Gap,
    /// An update that was forwarded before: drop it.
    Repeated,
}

impl Order {
    /// Judges a candle from the channel.
    pub(super) fn judge(&self, candle: &LatestCandle) -> Verdict {
        let Some(last) = self.last(candle) else { return Verdict::Next };
        if candle.seq > last.seq.saturating_add(1) {
            Verdict::Gap
        } else if candle.seq > last.seq || rank(candle) > last.newest {
            Verdict::Next
        } else {
            Verdict::Repeated
        }
    }

    /// Returns whether a candle read from Redis is newer than everything forwarded.
    pub(super) fn is_news(&self, candle: &LatestCandle) -> bool {
        self.last(candle).is_none_or(|last| candle.seq > last.seq || rank(candle) > last.newest)
    }

    /// Records that the candle is forwarded.
    pub(super) fn forward(&mut self, candle: &LatestCandle) {
        let newest = rank(candle);
        let series = self.series.entry((candle.symbol, candle.interval));
        let forwarded = series.or_insert(Forwarded { seq: 0, newest });
        forwarded.seq = candle.seq;
        forwarded.newest = forwarded.newest.max(newest);
    }

    fn last(&self, candle: &LatestCandle) -> Option<&Forwarded> {
        self.series.get(&(candle.symbol, candle.interval))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tallow_model::EventTime;

    /// Returns a closed candle of the window of this number.
    fn candle(window: u64, seq: u64) -> LatestCandle {
        LatestCandle {
            symbol: "BTC".parse().expect("a symbol"),
            interval: Interval::OneMinute,
            window_start: window * 60,
            window_end: (window + 1) * 60,
            open: 1.0,
            high: 1.0,
            low: 1.0,
            close: 1.0,
            volume_sum: 0.0,
            quote_volume: Some(0.0),
            event_count: 1,
            is_closed: true,
            revision: 0,
            seq,
            event_time: EventTime(0),
        }
    }

    fn through(candles: &[LatestCandle]) -> Order {
        let mut order = Order::default();
        candles.iter().for_each(|candle| order.forward(candle));
        order
    }

    #[test]
    fn the_first_and_the_next_are_forwarded_and_a_gap_is_seen() {
        assert_eq!(Order::default().judge(&candle(1, 4_711)), Verdict::Next);
        let order = through(&[candle(1, 7)]);
        assert_eq!(order.judge(&candle(2, 8)), Verdict::Next);
        assert_eq!(order.judge(&candle(2, 9)), Verdict::Gap);
        // A correction of an old window is the next update all the same.
        assert_eq!(order.judge(&candle(0, 8)), Verdict::Next);
    }

    #[test]
    fn what_was_sent_again_is_not_forwarded_again() {
        let order = through(&[candle(1, 7), candle(2, 8), candle(0, 9)]);
        for (window, seq) in [(1, 7), (2, 8), (0, 9)] {
            assert_eq!(order.judge(&candle(window, seq)), Verdict::Repeated);
            assert!(!order.is_news(&candle(window, seq)));
        }
    }

    #[test]
    fn numbers_that_begin_anew_count_from_the_first_newer_candle() {
        let mut order = through(&[candle(5, 4_711)]);
        // The publisher replays the candles from before its restart.
        for (window, seq) in [(3, 1), (4, 2), (5, 3)] {
            assert_eq!(order.judge(&candle(window, seq)), Verdict::Repeated);
        }
        let newer = candle(6, 4);
        assert!(order.is_news(&newer));
        assert_eq!(order.judge(&newer), Verdict::Next);
        order.forward(&newer);
        assert_eq!(order.judge(&candle(4, 5)), Verdict::Next);
        assert_eq!(order.judge(&candle(7, 6)), Verdict::Gap);
    }
}
