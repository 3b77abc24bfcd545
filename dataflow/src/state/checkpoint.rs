//! Checkpoints as plain data: the identity, the resume points and the rows of the settled state.
//!
//! A checkpoint at *F* is the settled state as of the frontier *F*: the effect of all records with
//! a logical time below *F*, and for each partition the offset at which reading resumes. Every
//! worker contributes one part ([`CheckpointPart`](crate::CheckpointPart)). Parts belong together
//! only if their [`CheckpointId`] is the same, and any number of workers can restore them.
//!
//! Law: `tests/checkpoints.rs::a_run_stopped_anywhere_puts_out_what_an_unbroken_one_does`.

use crate::bar::Bar;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tallow_model::{Counts, EventTime, Interval, Price, Symbol};

/// Identity of a checkpoint, ordered by frontier and then by run: a later run has a greater number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CheckpointId {
    /// The frontier *F*: the state is that of all records with a logical time below *F*.
    pub frontier: EventTime,
    /// The run that took the checkpoint, the same on all workers. Two runs may take a checkpoint at
    /// the same frontier after reading to different offsets, so their parts do not go together.
    pub run: u128,
}

/// The point at which reading of a partition resumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumePoint {
    /// The partition's number.
    pub partition: u32,
    /// Reading resumes with the first record at or past this offset; no record need have exactly
    /// this offset. No record before it has a logical time at or past the frontier.
    pub offset: u64,
    /// Every record from this offset on is still to be settled. Of the records between `offset` and
    /// here, those whose logical time is below the frontier are settled already.
    pub unsettled_from: u64,
    /// The largest event time accepted before `offset`.
    pub max_event_time: Option<EventTime>,
    /// Whether the partition was idle when the frontier was reached. After a restore it is idle
    /// again without another `idle_timeout` of silence.
    pub idle: bool,
    /// Counts of the records before `offset`.
    pub counts: Counts,
}

/// A one-minute candle that can still be corrected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetainedMinute {
    /// The candle's symbol.
    pub symbol: Symbol,
    /// The start of the minute.
    pub start: EventTime,
    /// The sum of its ticks.
    pub bar: Bar,
    /// Number of corrections so far.
    pub revision: u32,
    /// Close of the symbol's candle before it; `None` if no candle started within the lookback.
    pub previous_close: Option<Price>,
}

/// The return of a candle that can no longer be corrected but is still in the baseline of later
/// candles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetainedReturn {
    /// The candle's symbol.
    pub symbol: Symbol,
    /// The start of the minute.
    pub start: EventTime,
    /// The candle's open.
    pub open: Price,
    /// The candle's close.
    pub close: Price,
    /// Close of the symbol's candle before it; `None` if no candle started within the lookback.
    pub previous_close: Option<Price>,
    /// The candle's revision.
    pub revision: u32,
}

/// The number of versions of a roll-up that can still be corrected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RollupVersions {
    /// The roll-up's symbol.
    pub symbol: Symbol,
    /// Five or fifteen minutes.
    pub interval: Interval,
    /// The start of the window.
    pub start: EventTime,
    /// Number of versions so far; the next version has this revision.
    pub versions: u32,
}

/// A share of the settled state: rows of any symbols.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Candles that can still be corrected.
    pub minutes: Vec<RetainedMinute>,
    /// Returns of candles that can not.
    pub returns: Vec<RetainedReturn>,
    /// Version counts of roll-ups.
    pub rollups: Vec<RollupVersions>,
}

impl State {
    pub(crate) fn into_rows(self) -> impl Iterator<Item = Row> {
        let minutes = self.minutes.into_iter().map(Row::Minute);
        let returns = self.returns.into_iter().map(Row::Return);
        minutes.chain(returns).chain(self.rollups.into_iter().map(Row::Rollup))
    }
}

/// A row of the state on its way to the worker that owns its symbol.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Row {
    Minute(RetainedMinute),
    Return(RetainedReturn),
    Rollup(RollupVersions),
}

impl Row {
    pub(crate) fn symbol(&self) -> Symbol {
        match self {
            Row::Minute(minute) => minute.symbol,
            Row::Return(log_return) => log_return.symbol,
            Row::Rollup(rollup) => rollup.symbol,
        }
    }
}

/// The schedule by which a worker takes part in checkpoints. All workers have the same interval.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use tallow_dataflow::CheckpointPolicy;
///
/// // At most one checkpoint a minute of event time.
/// let policy = CheckpointPolicy { interval_ms: 60_000, run: 1, may_begin: Arc::new(|| true) };
/// assert!((policy.may_begin)());
/// ```
#[derive(Clone)]
pub struct CheckpointPolicy {
    /// Distance between frontiers of checkpoints in milliseconds of event time: a checkpoint's
    /// frontier is a multiple of it. A whole number of seconds.
    pub interval_ms: u64,
    /// Identity of this run. Worker 0's is the one that counts.
    pub run: u128,
    /// Whether a checkpoint may begin. Called on worker 0 whenever the frontier reaches a multiple
    /// of the interval.
    pub may_begin: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// The share of a checkpoint that one worker restores.
#[derive(Clone, Debug)]
pub struct Restore {
    /// The frontier of the checkpoint, the same on all workers.
    pub frontier: EventTime,
    /// Resume points of the partitions that this worker reads; each reader must stand at its
    /// partition's `offset`. A partition without a resume point is read from its beginning.
    pub partitions: Vec<ResumePoint>,
    /// Any share of the state in any order. The shares of all workers make up the whole.
    pub state: State,
}
