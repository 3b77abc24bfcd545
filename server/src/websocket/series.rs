//! What the hub remembers of each symbol and interval: how far it has got, the newest candles, and the closed ones of the
//! last while, for clients that come back.

use std::collections::VecDeque;
use std::sync::Arc;
use tallow_model::rows::LatestCandle;

/// What the hub has seen of one symbol and interval.
#[derive(Default)]
pub(super) struct Series {
    /// The newest sequence number.
    pub(super) seq: u64,
    /// Whether updates may be missing after `seq` and the clients know: the next number, whatever it is, is no news.
    pub(super) announced: bool,
    /// Updates up to this number are older than what was taken from the cache, unless the numbers have begun anew.
    pub(super) told: u64,
    pub(super) newest: Option<Shown>,
    pub(super) newest_closed: Option<Shown>,
    /// The sequence numbers and JSON of the closed candles, corrections included, among the updates after `since`.
    recent: VecDeque<(u64, Arc<str>)>,
    since: u64,
}

/// A candle and its JSON.
#[derive(Clone)]
pub(super) struct Shown {
    pub(super) candle: Arc<LatestCandle>,
    pub(super) json: Arc<str>,
}

impl Series {
    /// Whether the candle is newer than everything seen.
    pub(super) fn is_older_than(&self, candle: &LatestCandle) -> bool {
        self.newest.as_ref().is_none_or(|newest| candle.is_newer_than(&newest.candle))
    }

    /// The newest candle, or the newest of the closed ones.
    pub(super) fn shown(&self, closed_only: bool) -> Option<&Shown> {
        if closed_only { self.newest_closed.as_ref() } else { self.newest.as_ref() }
    }

    /// The closed candles among the updates after this number; none if some may be missing, or there are more than so
    /// many.
    pub(super) fn missed(&self, resume_from: u64, most: usize) -> Option<Vec<Arc<str>>> {
        if self.seq == 0 || self.announced || !(self.since..=self.seq).contains(&resume_from) {
            return None;
        }
        let first = self.recent.partition_point(|(seq, _)| *seq <= resume_from);
        if self.recent.len() - first > most {
            return None;
        }
        Some(self.recent.range(first..).map(|(_, json)| json.clone()).collect())
    }

    /// Keeps a candle from the stores where no newer one has been seen. It counts for no update: what the number was up
    /// to which updates have been delivered it does not tell.
    pub(super) fn found(&mut self, shown: Shown) {
        let is_newer = |old: &Option<Shown>| {
            old.as_ref().is_none_or(|old| old.candle.window_start < shown.candle.window_start)
        };
        if shown.candle.is_closed && is_newer(&self.newest_closed) {
            self.newest_closed = Some(shown.clone());
        }
        if is_newer(&self.newest) {
            self.newest = Some(shown);
        }
    }

    /// Forgets the oldest of the closed candles for clients that come back.
    pub(super) fn forget_oldest(&mut self) {
        if let Some((seq, _)) = self.recent.pop_front() {
            self.since = seq;
        }
    }

    /// Takes the next update. Says whether it is kept for clients that come back.
    pub(super) fn seen(&mut self, shown: Shown) -> bool {
        let (seq, is_closed) = (shown.candle.seq, shown.candle.is_closed);
        if seq != self.seq + 1 || self.announced {
            self.recent.clear();
            self.since = seq.saturating_sub(1);
        }
        if is_closed {
            self.recent.push_back((seq, shown.json.clone()));
        }
        let is_newer = |old: &Option<Shown>| {
            old.as_ref().is_none_or(|old| old.candle.window_start <= shown.candle.window_start)
        };
        (self.seq, self.announced, self.told) = (seq, false, 0);
        if is_closed && is_newer(&self.newest_closed) {
            self.newest_closed = Some(shown.clone());
        }
        if is_newer(&self.newest) {
            self.newest = Some(shown);
        }
        is_closed
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;
    use tallow_model::{EventTime, Interval};

    fn update(seq: u64, is_closed: bool) -> Shown {
        let candle = LatestCandle {
            symbol: "BTC".parse().unwrap(),
            interval: Interval::OneMinute,
            window_start: seq * 60,
            window_end: seq * 60 + 60,
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
            event_time: EventTime(seq * 60_000),
        };
        Shown { candle: Arc::new(candle), json: seq.to_string().into() }
    }

    fn missed(series: &Series, resume_from: u64) -> Option<Vec<String>> {
        series.missed(resume_from, 3).map(|missed| missed.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_was_missed_is_every_closed_candle_since() {
        let mut series = Series::default();
        for seq in 5..10 {
            series.seen(update(seq, seq % 2 == 1));
        }
        assert_eq!(missed(&series, 9), Some(vec![]));
        assert_eq!(missed(&series, 6), Some(vec!["7".to_owned(), "9".to_owned()]));
        assert_eq!(missed(&series, 4), Some(vec!["5".to_owned(), "7".to_owned(), "9".to_owned()]));
        assert_eq!(missed(&series, 3), None, "before the first that was seen");
        assert_eq!(missed(&series, 10), None, "after the last");
    }

    #[test]
    fn more_than_the_most_is_told_as_little_as_what_is_not_known() {
        let mut series = Series::default();
        for seq in 1..=9 {
            series.seen(update(seq, true));
        }
        assert_eq!(missed(&series, 6).map(|missed| missed.len()), Some(3));
        assert_eq!(missed(&series, 5), None);
    }

    #[test]
    fn a_candle_from_the_stores_is_shown_until_a_newer_one_is_seen_and_numbers_nothing() {
        let mut series = Series::default();
        series.found(update(7, false));
        series.found(update(5, true));
        let starts = |series: &Series| {
            [&series.newest, &series.newest_closed]
                .map(|it| it.as_ref().map(|it| it.candle.window_start / 60))
        };
        assert_eq!(starts(&series), [Some(7), Some(5)]);
        assert_eq!((series.seq, missed(&series, 0)), (0, None));
        series.seen(update(8, true));
        series.found(update(6, true));
        assert_eq!(starts(&series), [Some(8), Some(8)]);
        assert_eq!(missed(&series, 7), Some(vec!["8".to_owned()]));
    }

    #[test]
    fn nothing_is_told_across_a_gap_or_what_was_forgotten() {
        let mut series = Series::default();
        for seq in [1, 2, 3, 7, 8] {
            series.seen(update(seq, true));
        }
        assert_eq!(missed(&series, 3), None);
        assert_eq!(missed(&series, 6), Some(vec!["7".to_owned(), "8".to_owned()]));
        series.forget_oldest();
        assert_eq!(missed(&series, 6), None);
        assert_eq!(missed(&series, 7), Some(vec!["8".to_owned()]));
        series.seen(update(1, true));
        assert_eq!(missed(&series, 7), None, "numbers that begin anew");
        assert_eq!(missed(&series, 0), Some(vec!["1".to_owned()]));
    }
}
