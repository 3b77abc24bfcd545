//! A published series: the newest candle of one symbol and interval, as a cache keeps it.

use crate::rows::LatestCandle;
use crate::version::Sequence;
use std::sync::Arc;

/// The newest candle of one symbol and interval, and the point that publishing has reached.
#[derive(Debug, Default)]
pub struct PublishedSeries {
    newest: Option<Arc<LatestCandle>>,
    sequence: Sequence,
}

impl PublishedSeries {
    /// Returns the series as another publisher left it: its newest candle, and the number of the
    /// last update.
    ///
    /// The number beside the candle counts if it is the higher one: the other may have been lost.
    pub fn resume(newest: Option<LatestCandle>, seq: u64) -> PublishedSeries {
        let seq = newest.as_ref().map_or(seq, |newest| seq.max(newest.seq));
        let sequence = Sequence::resume(seq, newest.as_ref().map(LatestCandle::version));
        PublishedSeries { newest: newest.map(Arc::new), sequence }
    }

    /// Returns the newest candle that has been published.
    pub fn newest(&self) -> Option<&Arc<LatestCandle>> {
        self.newest.as_ref()
    }

    /// Returns the number of the last update; 0 before the first.
    pub fn seq(&self) -> u64 {
        self.sequence.seq()
    }

    /// Numbers the candle and keeps it if it is the newest; `None` if it is out of date and must
    /// not be published. See [`Sequence::admit`].
    pub fn admit(&mut self, mut candle: LatestCandle) -> Option<Arc<LatestCandle>> {
        let admission = self.sequence.admit(candle.version())?;
        candle.seq = admission.seq;
        let candle = Arc::new(candle);
        if admission.is_newest {
            self.newest = Some(Arc::clone(&candle));
        }
        Some(candle)
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
    fn a_resumed_series_counts_on_and_keeps_its_candle_until_a_newer_one_comes() {
        let left = LatestCandle { seq: 7, ..candle(120, false, 5) };
        let mut series = PublishedSeries::resume(Some(left.clone()), 9);
        // A replay: open candles of windows that were shown, and a closed one, which is a
        // correction.
        assert_eq!(series.admit(candle(60, false, 50)), None);
        assert_eq!(series.admit(candle(120, false, 4)), None);
        let old = series.admit(candle(60, true, 50)).expect("a correction");
        assert_eq!((old.seq, series.newest().map(|newest| newest.window_start)), (10, Some(120)));
        let newer = series.admit(candle(120, false, 6)).expect("a newer one");
        assert_eq!((newer.seq, series.newest()), (11, Some(&newer)));
        assert_eq!(PublishedSeries::resume(Some(left), 0).seq(), 7);
    }

    #[test]
    fn a_window_that_was_left_closed_is_not_opened_again() {
        let mut series = PublishedSeries::resume(Some(candle(120, true, 5)), 3);
        assert_eq!(series.admit(candle(120, false, 9)), None);
        assert_eq!(series.admit(candle(180, false, 1)).map(|it| it.seq), Some(4));
    }
}
