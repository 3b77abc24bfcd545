//! What a checkpoint holds, and how a graph is started from one.
//!
//! A checkpoint at *F* is the settled state as of the frontier *F*: everything that records with a logical time below
//! *F* have left behind, and for each partition where to read on. Each worker gives its part of it; the parts of one cut
//! belong together and to no other, and any number of workers can take them up again.

use crate::bar::Bar;
use crate::operators::minutes::Minute;
use crate::settings::Settings;
use crate::settle::{Versions, rollup_versions};
use crate::views::anomalies::Move;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tallow_model::Counts;
use tallow_model::Price;
use tallow_model::Symbol;
use tallow_model::{EventTime, Interval};

/// Which checkpoint. Ordered by frontier, then by run: a later run's identity is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CheckpointId {
    /// *F*: the state is that of all records with a logical time below this.
    pub frontier: EventTime,
    /// The run that took it, the same on all workers. Two runs may cut at the same frontier, but where they had read to
    /// is not the same: their parts don't go together.
    pub run: u128,
}

/// Where a partition is read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumePoint {
    /// Which partition.
    pub partition: u32,
    /// Reading goes on with the first record at or past this offset, where there need not be one: no record before it has a
    /// logical time at or past the frontier.
    pub offset: u64,
    /// From this offset on every record is yet to be settled. Between `offset` and here, those whose logical time is
    /// below the frontier are settled already.
    pub unsettled_from: u64,
    /// The largest event time accepted before `offset`.
    pub max_event_time: Option<EventTime>,
    /// Whether it was idle as the frontier was reached: then it need not be silent anew before it is so again.
    pub idle: bool,
    /// The buckets of the records before `offset`.
    pub counts: Counts,
}

/// A one-minute candle that can still change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetainedMinute {
    /// Whose.
    pub symbol: Symbol,
    /// The start of the minute.
    pub start: EventTime,
    /// What its ticks add up to.
    pub bar: Bar,
    /// How many times it has been corrected.
    pub revision: u32,
    /// The close before it, if there was such a candle within the lookback.
    pub previous_close: Option<Price>,
}

/// What the baseline of later candles still needs of one that can't change any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetainedMove {
    /// Whose.
    pub symbol: Symbol,
    /// The start of the minute.
    pub start: EventTime,
    /// The candle's open.
    pub open: Price,
    /// The candle's close.
    pub close: Price,
    /// The close before it, if there was such a candle within the lookback.
    pub previous_close: Option<Price>,
    /// The candle's revision.
    pub revision: u32,
}

/// How many versions a roll-up has had that can still be corrected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RollupVersions {
    /// Whose.
    pub symbol: Symbol,
    /// Five or fifteen minutes.
    pub interval: Interval,
    /// The start of the window.
    pub start: EventTime,
    /// The versions so far.
    pub versions: u32,
}

/// Part of the settled state, of any symbols.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// See [`RetainedMinute`].
    pub minutes: Vec<RetainedMinute>,
    /// See [`RetainedMove`].
    pub moves: Vec<RetainedMove>,
    /// See [`RollupVersions`].
    pub rollups: Vec<RollupVersions>,
}

/// One worker's part of a checkpoint, as it leaves the graph. Making it costs the worker next to nothing: it shares what
/// it holds with the worker, which copies a piece of it before changing that.
#[derive(Clone, Debug)]
pub struct CheckpointPart {
    /// Of which checkpoint.
    pub id: CheckpointId,
    /// Of which worker, counted over all processes.
    pub worker: usize,
    /// Of how many parts.
    pub workers: usize,
    /// Where its partitions are read on.
    pub partitions: Vec<ResumePoint>,
    pub(crate) state: SharedState,
}

impl CheckpointPart {
    /// The state of its symbols, copied out piece by piece so that no more than a piece need be held at a time: each
    /// call of `take` gets some of the rows.
    ///
    /// # Errors
    /// The first of `take`, which then gets no more.
    pub fn for_each_piece<E>(&self, mut take: impl FnMut(State) -> Result<(), E>) -> Result<(), E> {
        let SharedState { minutes, moves, rollups } = &self.state;
        for piece in minutes {
            let minutes = piece.iter().map(Minute::retained).collect();
            take(State { minutes, ..State::default() })?;
        }
        for piece in moves {
            let moves = piece.iter().map(|(symbol, moved)| moved.retained(*symbol)).collect();
            take(State { moves, ..State::default() })?;
        }
        for piece in rollups {
            take(State { rollups: rollup_versions(piece).collect(), ..State::default() })?;
        }
        Ok(())
    }

    /// How many minutes, moves and roll-ups there are in all.
    pub fn rows(&self) -> usize {
        let SharedState { minutes, moves, rollups } = &self.state;
        let minutes: usize = minutes.iter().map(|piece| piece.len()).sum();
        let moves: usize = moves.iter().map(|piece| piece.len()).sum();
        minutes + moves + rollups.iter().map(|piece| piece.len()).sum::<usize>()
    }
}

/// What the worker shares with a part: see the operators that keep it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedState {
    pub(crate) minutes: Vec<Arc<Vec<Minute>>>,
    pub(crate) moves: Vec<Arc<Vec<(Symbol, Move)>>>,
    pub(crate) rollups: Vec<Arc<Versions>>,
}

/// A row of the state on its way to the worker that its symbol belongs to.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Row {
    /// See [`RetainedMinute`].
    Minute(RetainedMinute),
    /// See [`RetainedMove`].
    Move(RetainedMove),
    /// See [`RollupVersions`].
    Rollup(RollupVersions),
}

impl Row {
    pub(crate) fn symbol(&self) -> Symbol {
        match self {
            Row::Minute(minute) => minute.symbol,
            Row::Move(moved) => moved.symbol,
            Row::Rollup(rollup) => rollup.symbol,
        }
    }
}

impl State {
    pub(crate) fn into_rows(self) -> impl Iterator<Item = Row> {
        let minutes = self.minutes.into_iter().map(Row::Minute);
        let moves = self.moves.into_iter().map(Row::Move);
        minutes.chain(moves).chain(self.rollups.into_iter().map(Row::Rollup))
    }
}

/// When a worker takes part in checkpoints. All workers must have the same interval.
#[derive(Clone)]
pub struct CheckpointPolicy {
    /// How far apart they are, in milliseconds of event time: at every multiple of this at most one. Whole seconds.
    pub interval_ms: u64,
    /// Names the run; that of worker 0 counts.
    pub run: u128,
    /// Asked on worker 0 each time the frontier reaches a multiple: whether a checkpoint may be taken there.
    pub may_begin: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// What a worker takes up again.
#[derive(Clone, Debug)]
pub struct Restore {
    /// The frontier of the checkpoint, the same on all workers.
    pub frontier: EventTime,
    /// Where the partitions that this worker reads are read on; their readers must stand at those offsets. One that is not
    /// here is read from its beginning.
    pub partitions: Vec<ResumePoint>,
    /// Any share of the state, in any order, as long as the shares of all workers make up the whole.
    pub state: State,
}

impl Settings {
    /// The settings that change what the results mean, by name: a checkpoint can be taken up only where they are the
    /// same. The first is the version of the rules themselves.
    pub fn meaning(&self) -> Vec<(&'static str, String)> {
        vec![
            ("rules", "1".to_owned()),
            ("dataflow.max_out_of_orderness_ms", self.max_out_of_orderness_ms.to_string()),
            ("dataflow.allowed_lateness_ms", self.allowed_lateness_ms.to_string()),
            ("dataflow.max_future_ms", self.max_future_ms.to_string()),
            ("anomalies.lookback_ms", self.anomalies.lookback_ms.to_string()),
            ("anomalies.stddev_floor", self.anomalies.stddev_floor.to_string()),
            ("anomalies.threshold", self.anomalies.threshold.to_string()),
            ("anomalies.min_samples", self.anomalies.min_samples.to_string()),
        ]
    }
}
