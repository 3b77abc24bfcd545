//! A one-minute candle while it can still be corrected, and its index in the operator `minutes`.

use crate::bar::Bar;
use crate::state::checkpoint::RetainedMinute;
use crate::state::log_return::LogReturn;
use tallow_model::{Candle, EventTime, Interval, Price, Symbol};

const BLOCK_MS: u64 = Interval::FifteenMinutes.millis();

/// Position of a retained minute: the number of its fifteen-minute block since the epoch, and its
/// index among the minutes of the block in order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MinuteIndex {
    pub(crate) block: u32,
    pub(crate) index: u32,
}

impl MinuteIndex {
    pub(crate) fn new(block: u32, index: usize) -> MinuteIndex {
        MinuteIndex { block, index: u32::try_from(index).unwrap_or(u32::MAX) }
    }
}

/// Returns the number of a minute's fifteen-minute block. Event times end with the year 9999, so it
/// fits 32 bits.
pub(crate) fn block_of(minute: EventTime) -> u32 {
    u32::try_from(minute.millis() / BLOCK_MS).unwrap_or(u32::MAX)
}

/// Returns the end of a block in milliseconds since the epoch.
pub(crate) fn block_end(block: u32) -> u64 {
    (u64::from(block) + 1) * BLOCK_MS
}

/// A one-minute candle and its revision.
pub(crate) type Versioned = (Candle, u32);

/// A one-minute candle that can still be corrected.
#[derive(Clone, Debug)]
pub(crate) struct Minute {
    pub(crate) symbol: Symbol,
    pub(crate) start: EventTime,
    pub(crate) bar: Bar,
    /// Number of corrections so far. This is the only count of a one-minute candle's revisions: the
    /// alerts on the candle carry it too, and checkpoints hold it with the candle.
    pub(crate) revision: u32,
    /// The previous close in the log return that was emitted last.
    pub(crate) previous_close: Option<Price>,
    /// The logical time of the last change.
    pub(crate) changed_at: u64,
    /// The symbol's minute before this one.
    pub(crate) earlier: Option<MinuteIndex>,
}

impl Minute {
    pub(crate) fn version(&self) -> Versioned {
        (self.bar.candle(self.start), self.revision)
    }

    /// Returns the log return as last emitted, if the bar has not changed since.
    pub(crate) fn log_return(&self) -> LogReturn {
        LogReturn::of(self.start, self.bar.open, self.bar.close, self.previous_close, self.revision)
    }

    /// Returns the row that a checkpoint holds.
    pub(crate) fn retained(&self) -> RetainedMinute {
        RetainedMinute {
            symbol: self.symbol,
            start: self.start,
            bar: self.bar,
            revision: self.revision,
            previous_close: self.previous_close,
        }
    }

    /// Returns the minute of a checkpoint's row.
    pub(crate) fn restored(row: RetainedMinute, changed_at: u64, earlier: Option<MinuteIndex>) -> Minute {
        let RetainedMinute { symbol, start, bar, revision, previous_close } = row;
        Minute { symbol, start, bar, revision, previous_close, changed_at, earlier }
    }
}
