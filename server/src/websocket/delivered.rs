//! The memory of the hub for each series: the last sequence number, the newest candles, and the
//! recent closed candles for clients that reconnect.

use std::collections::VecDeque;
use std::sync::Arc;
use tallow_model::rows::LatestCandle;
use tallow_model::version::{Arrival, Sequence};

/// The updates of one series that the hub has delivered.
#[derive(Default)]
pub(super) struct DeliveredSeries {
    /// The last update that was delivered, or the candle that was read from the cache after it.
    sequence: Sequence,
    /// Whether clients have got a `resync_required` that no update has followed yet.
    ///
    /// The next number is then no new gap, whichever it is.
    pub(super) gap_announced: bool,
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
    /// Returns whether the candle adds nothing to the updates that clients have.
    ///
    /// A newer candle adds something even with a low number: the publisher has then restarted its
    /// numbers.
    pub(super) fn is_duplicate(&self, candle: &LatestCandle) -> bool {
        self.sequence.judge(candle.seq, candle.version()) == Arrival::Duplicate
    }

    /// Returns the first missing sequence number if there is an unreported gap before an update.
    pub(super) fn gap_before(&self, candle: &LatestCandle) -> Option<u64> {
        self.sequence.missing_from(candle.seq).filter(|_| !self.gap_announced)
    }

    /// Returns the sequence number that follows the last update.
    pub(super) fn next_seq(&self) -> u64 {
        self.sequence.seq().saturating_add(1)
    }

    /// Returns whether updates up to this candle are still on their way to the hub.
    pub(super) fn is_behind(&self, candle: &LatestCandle) -> bool {
        candle.seq > self.sequence.seq()
    }

    /// Returns whether this candle of the cache brings the series back to the present after a gap.
    ///
    /// An update that has arrived since then has done so already.
    pub(super) fn is_restored_by(&self, candle: &LatestCandle) -> bool {
        self.gap_announced && !self.is_duplicate(candle)
    }

    /// The newest candle, or the newest closed candle.
    pub(super) fn newest(&self, closed_only: bool) -> Option<&SerializedCandle> {
        if closed_only { self.newest_closed.as_ref() } else { self.newest.as_ref() }
    }

    /// The closed candles after this sequence number.
    ///
    /// `None` if some of them may be missing, or if there are more than `max`.
    pub(super) fn missed(&self, resume_from: u64, max: usize) -> Option<Vec<Arc<str>>> {
        let seq = self.sequence.seq();
        if seq == 0 || self.gap_announced || !(self.recent_after..=seq).contains(&resume_from) {
            return None;
        }
        let first = self.recent.partition_point(|(seq, _)| *seq <= resume_from);
        if self.recent.len() - first > max {
            return None;
        }
        Some(self.recent.range(first..).map(|(_, json)| json.clone()).collect())
    }

    /// Keeps a candle of the stores if no candle of its version or a newer one is known.
    ///
    /// The candle is no update: its sequence number does not tell which updates have been
    /// delivered.
    pub(super) fn add_stored(&mut self, stored: SerializedCandle) {
        let is_newer = |old: &Option<SerializedCandle>| {
            old.as_ref().is_none_or(|old| stored.candle.is_newer_than(&old.candle))
        };
        if stored.candle.is_closed && is_newer(&self.newest_closed) {
            self.newest_closed = Some(stored.clone());
        }
        if is_newer(&self.newest) {
            self.newest = Some(stored);
        }
    }

    /// Takes the next update, or the newest candle of the cache.
    ///
    /// Returns whether it is kept for clients that reconnect.
    pub(super) fn deliver(&mut self, update: SerializedCandle) -> bool {
        let (seq, is_closed) = (update.candle.seq, update.candle.is_closed);
        let is_first = self.sequence.seq() == 0;
        if is_first || self.gap_announced || self.sequence.missing_from(seq).is_some() {
            self.recent.clear();
            self.recent_after = seq.saturating_sub(1);
        }
        if is_closed {
            self.recent.push_back((seq, update.json.clone()));
        }
        self.sequence.follow(seq, update.candle.version());
        self.gap_announced = false;
        // Of two candles of one version the later one has the number of the last update.
        let is_current = |old: &Option<SerializedCandle>| {
            old.as_ref().is_none_or(|old| !old.candle.is_newer_than(&update.candle))
        };
        if is_closed && is_current(&self.newest_closed) {
            self.newest_closed = Some(update.clone());
        }
        if is_current(&self.newest) {
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
        assert_eq!((series.next_seq(), missed(&series, 0)), (1, None));
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
