//! What the hub remembers of each symbol and interval: how far it has got, and the newest candles.

use std::sync::Arc;
use tallow_connectors::model::LatestCandle;

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

    /// Takes the next update.
    pub(super) fn seen(&mut self, shown: Shown) {
        let is_newer = |old: &Option<Shown>| {
            old.as_ref().is_none_or(|old| old.candle.window_start <= shown.candle.window_start)
        };
        (self.seq, self.announced, self.told) = (shown.candle.seq, false, 0);
        if shown.candle.is_closed && is_newer(&self.newest_closed) {
            self.newest_closed = Some(shown.clone());
        }
        if is_newer(&self.newest) {
            self.newest = Some(shown);
        }
    }
}
