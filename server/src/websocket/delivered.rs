//! The memory of the hub for each series: the last sequence number, the newest candles, and the
//! recent closed candles for clients that reconnect.

use std::collections::VecDeque;
use std::sync::Arc;
use tallow_model::rows::LatestCandle;

/// The updates of one series that the hub has delivered.
#[derive(Default)]
pub(super) struct DeliveredSeries {
    /// The sequence number of the last update; 0 before the first.
    pub(super) seq: u64,
    /// Whether clients have been told that updates may be missing after `seq`.
    ///
    /// The next number is then no new gap, whichever it is.
    pub(super) gap_announced: bool,
    /// The sequence number of the candle that was last read from the cache.
    ///
    /// Updates up to it are older than that candle, unless the publisher has restarted its numbers.
    snapshot_seq: u64,
    newest: Option<SerializedCandle>,
    newest_closed: Option<SerializedCandle>,
    /// The sequence number and JSON of each closed candle, corrections included, after
    /// `recent_after`.
    recent: VecDeque<(u64, Arc<str>)>,
    recent_after: u64,
}

/// A candle and its JSON.
#[derive(Clone)]
pub(super) struct SerializedCandle {
    pub(super) candle: Arc<LatestCandle>,
    pub(super) json: Arc<str>,
}

impl DeliveredSeries {
    /// Whether the candle is newer than the newest candle of the series.
    pub(super) fn is_older_than(&self, candle: &LatestCandle) -> bool {
        self.newest.as_ref().is_none_or(|newest| candle.is_newer_than(&newest.candle))
    }

    /// Whether clients have already got this candle, or a newer one, from the cache.
    ///
    /// A candle that is newer than all before counts as new even with a low number: the publisher
    /// has then restarted its numbers.
    pub(super) fn is_outdated(&self, candle: &LatestCandle) -> bool {
        candle.seq <= self.snapshot_seq && !self.is_older_than(candle)
    }

    /// The first missing sequence number if clients must be told of a gap before this update.
    pub(super) fn gap_before(&self, candle: &LatestCandle) -> Option<u64> {
        let is_gap = self.seq != 0 && !self.gap_announced && candle.seq != self.next_seq();
        is_gap.then(|| candle.seq.min(self.next_seq()))
    }

    /// The sequence number that follows the last update.
    pub(super) fn next_seq(&self) -> u64 {
        self.seq + 1
    }

    /// Whether this candle of the cache brings the series back to the present after a gap.
    ///
    /// An update that has arrived since then has done so already.
    pub(super) fn is_restored_by(&self, candle: &LatestCandle) -> bool {
        self.gap_announced && (self.seq < candle.seq || self.is_older_than(candle))
    }

    /// The newest candle, or the newest closed candle.
    pub(super) fn newest(&self, closed_only: bool) -> Option<&SerializedCandle> {
        if closed_only { self.newest_closed.as_ref() } else { self.newest.as_ref() }
    }

    /// The closed candles after this sequence number.
    ///
    /// `None` if some of them may be missing, or if there are more than `max`.
    pub(super) fn missed(&self, resume_from: u64, max: usize) -> Option<Vec<Arc<str>>> {
        if self.seq == 0 || self.gap_announced || !(self.recent_after..=self.seq).contains(&resume_from) {
            return None;
        }
        let first = self.recent.partition_point(|(seq, _)| *seq <= resume_from);
        if self.recent.len() - first > max {
            return None;
        }
        Some(self.recent.range(first..).map(|(_, json)| json.clone()).collect())
    }

    /// Keeps a candle of the stores if no newer one is known.
    ///
    /// The candle is no update: its sequence number does not tell which updates have been
    /// delivered.
    pub(super) fn add_stored(&mut self, stored: SerializedCandle) {
        let is_newer = |old: &Option<SerializedCandle>| {
            old.as_ref().is_none_or(|old| old.candle.window_start < stored.candle.window_start)
        };
        if stored.candle.is_closed && is_newer(&self.newest_closed) {
            self.newest_closed = Some(stored.clone());
        }
        if is_newer(&self.newest) {
            self.newest = Some(stored);
        }
    }

    /// Takes the newest candle of the cache: updates up to its number are outdated from now on.
    ///
    /// Returns whether the candle is kept for clients that reconnect.
    pub(super) fn restore(&mut self, cached: SerializedCandle) -> bool {
        let seq = cached.candle.seq;
        let is_kept = self.deliver(cached);
        self.snapshot_seq = seq;
        is_kept
    }

    /// Takes the next update. Returns whether it is kept for clients that reconnect.
    pub(super) fn deliver(&mut self, update: SerializedCandle) -> bool {
        let (seq, is_closed) = (update.candle.seq, update.candle.is_closed);
        if seq != self.next_seq() || self.gap_announced {
            self.recent.clear();
            self.recent_after = seq.saturating_sub(1);
        }
        if is_closed {
            self.recent.push_back((seq, update.json.clone()));
        }
        let is_newer = |old: &Option<SerializedCandle>| {
            old.as_ref().is_none_or(|old| old.candle.window_start <= update.candle.window_start)
        };
        (self.seq, self.gap_announced, self.snapshot_seq) = (seq, false, 0);
        if is_closed && is_newer(&self.newest_closed) {
            self.newest_closed = Some(update.clone());
        }
        if is_newer(&self.newest) {
            self.newest = Some(update);
        }
        is_closed
    }

    /// Forgets the oldest closed candle that is kept for clients that reconnect.
    pub(super) fn forget_oldest(&mut self) {
        if let Some((seq, _)) = self.recent.pop_front() {
            self.recent_after = seq;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::candle;
    use super::*;

    fn update(seq: u64, is_closed: bool) -> SerializedCandle {
        SerializedCandle {
            candle: Arc::new(candle("BTC", seq * 60, seq, is_closed)),
            json: seq.to_string().into(),
        }
    }

    fn missed(series: &DeliveredSeries, resume_from: u64) -> Option<Vec<String>> {
        series.missed(resume_from, 3).map(|missed| missed.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn missed_are_all_closed_candles_after_the_resume_point() {
        let mut series = DeliveredSeries::default();
        for seq in 5..10 {
            series.deliver(update(seq, seq % 2 == 1));
        }
        assert_eq!(missed(&series, 9), Some(vec![]));
        assert_eq!(missed(&series, 6), Some(vec!["7".to_owned(), "9".to_owned()]));
        assert_eq!(missed(&series, 4), Some(vec!["5".to_owned(), "7".to_owned(), "9".to_owned()]));
        assert_eq!(missed(&series, 3), None, "before the first update");
        assert_eq!(missed(&series, 10), None, "after the last update");
    }

    #[test]
    fn more_missed_candles_than_the_limit_are_not_listed() {
        let mut series = DeliveredSeries::default();
        for seq in 1..=9 {
            series.deliver(update(seq, true));
        }
        assert_eq!(missed(&series, 6).map(|missed| missed.len()), Some(3));
        assert_eq!(missed(&series, 5), None);
    }

    #[test]
    fn a_stored_candle_is_the_newest_until_a_newer_one_is_delivered() {
        let mut series = DeliveredSeries::default();
        series.add_stored(update(7, false));
        series.add_stored(update(5, true));
        let starts = |series: &DeliveredSeries| {
            [false, true].map(|closed_only| series.newest(closed_only).map(|it| it.candle.window_start / 60))
        };
        assert_eq!(starts(&series), [Some(7), Some(5)]);
        series.deliver(update(8, true));
        series.add_stored(update(6, true));
        assert_eq!(starts(&series), [Some(8), Some(8)]);
        assert_eq!(missed(&series, 7), Some(vec!["8".to_owned()]));
    }

    #[test]
    fn a_stored_candle_sets_no_sequence_number() {
        let mut series = DeliveredSeries::default();
        series.add_stored(update(7, true));
        assert_eq!((series.seq, missed(&series, 0)), (0, None));
    }

    #[test]
    fn missed_candles_are_unknown_across_a_gap() {
        let mut series = DeliveredSeries::default();
        for seq in [1, 2, 3, 7, 8] {
            series.deliver(update(seq, true));
        }
        assert_eq!(missed(&series, 3), None);
        assert_eq!(missed(&series, 6), Some(vec!["7".to_owned(), "8".to_owned()]));
        series.deliver(update(1, true));
        assert_eq!(missed(&series, 7), None, "the publisher has restarted its numbers");
        assert_eq!(missed(&series, 0), Some(vec!["1".to_owned()]));
    }

    #[test]
    fn missed_candles_are_unknown_once_one_is_forgotten() {
        let mut series = DeliveredSeries::default();
        for seq in [7, 8] {
            series.deliver(update(seq, true));
        }
        series.forget_oldest();
        assert_eq!(missed(&series, 6), None);
        assert_eq!(missed(&series, 7), Some(vec!["8".to_owned()]));
    }
}
