//! The filter of a reader: forwards each update once, and sees where updates are missing.
//!
//! The order of updates, and the reasons for the four ways in which one can arrive, are those of
//! [`tallow_model::version`]. A duplicate arises when the publisher can't know whether Redis received
//! what it sent before its connection broke. A restart arises when Redis lost the numbers and the
//! publisher was started again afterwards.
//!
//! State: one [`Sequence`] per symbol and interval, never freed. Cost: a look-up per update.

use hashbrown::HashMap;
use tallow_model::rows::LatestCandle;
use tallow_model::version::{Arrival, Sequence};
use tallow_model::{Interval, Symbol};

/// The updates forwarded so far, by series.
#[derive(Debug, Default)]
pub(super) struct SequenceFilter {
    forwarded: HashMap<(Symbol, Interval), Sequence>,
}

impl SequenceFilter {
    /// Returns how a candle from the channel relates to those forwarded.
    pub(super) fn judge(&self, candle: &LatestCandle) -> Arrival {
        self.sequence(candle).judge(candle.seq, candle.version())
    }

    /// Returns whether a candle read from its key has not been forwarded.
    pub(super) fn is_news(&self, candle: &LatestCandle) -> bool {
        self.judge(candle) != Arrival::Duplicate
    }

    /// Notes that the candle is forwarded now.
    pub(super) fn forward(&mut self, candle: &LatestCandle) {
        let sequence = self.forwarded.entry((candle.symbol, candle.interval)).or_default();
        sequence.follow(candle.seq, candle.version());
    }

    fn sequence(&self, candle: &LatestCandle) -> Sequence {
        self.forwarded.get(&(candle.symbol, candle.interval)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tallow_model::EventTime;

    /// A closed candle of the window of this number.
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

    fn through(candles: &[LatestCandle]) -> SequenceFilter {
        let mut filter = SequenceFilter::default();
        candles.iter().for_each(|candle| filter.forward(candle));
        filter
    }

    #[test]
    fn the_first_and_the_next_are_forwarded_and_a_gap_is_seen() {
        assert_eq!(SequenceFilter::default().judge(&candle(1, 4_711)), Arrival::Next);
        let filter = through(&[candle(1, 7)]);
        assert_eq!(filter.judge(&candle(2, 8)), Arrival::Next);
        assert_eq!(filter.judge(&candle(2, 9)), Arrival::Gap);
        // A correction of an old window is no less the next.
        assert_eq!(filter.judge(&candle(0, 8)), Arrival::Next);
    }

    #[test]
    fn an_update_that_was_sent_again_is_a_duplicate() {
        let filter = through(&[candle(1, 7), candle(2, 8), candle(0, 9)]);
        for (window, seq) in [(1, 7), (2, 8), (0, 9)] {
            assert_eq!(filter.judge(&candle(window, seq)), Arrival::Duplicate);
            assert!(!filter.is_news(&candle(window, seq)));
        }
    }

    #[test]
    fn restarted_numbers_count_from_the_first_newer_candle() {
        let mut filter = through(&[candle(5, 4_711)]);
        // The publisher replays what was there before it was restarted.
        for (window, seq) in [(3, 1), (4, 2), (5, 3)] {
            assert_eq!(filter.judge(&candle(window, seq)), Arrival::Duplicate);
        }
        let newer = candle(6, 4);
        assert!(filter.is_news(&newer));
        assert_eq!(filter.judge(&newer), Arrival::Restart);
        filter.forward(&newer);
        assert_eq!(filter.judge(&candle(4, 5)), Arrival::Next);
        assert_eq!(filter.judge(&candle(7, 6)), Arrival::Gap);
    }
}
