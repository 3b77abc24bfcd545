//! The wiring of the graph, and nothing else.
//!
//! ```text
//! source ─► (exchange by symbol) ─► minutes ─► candles_5m ─► candles_15m
//!                     │             ▲  │ └───► anomalies          │
//!                     └─► live      │  └──────────┴───────────────┴─► settle
//! restore ─► (exchange by symbol) ──┘
//! ```
//!
//! Not in the picture: markers of checkpoints go from worker 0's source to `minutes` on every
//! worker, rows of a checkpoint also to `live` and `settle`, and the side channels are those of
//! `state/worker.rs`.

use crate::operators::combine::PartialBar;
use crate::operators::difference::Difference;
use crate::operators::idle_reports::IdleReports;
use crate::operators::live::live;
use crate::operators::minutes::{MinutesInput, minutes};
use crate::operators::restore::{restore, restored_at};
use crate::operators::source::{SourceConfig, source};
use crate::output::Output;
use crate::settings::Settings;
use crate::settle::{SettledChange, settle};
use crate::state::checkpoint::{CheckpointPolicy, Restore, RetainedMinute, Row};
use crate::state::worker::WorkerState;
use crate::views::anomalies::anomalies;
use crate::views::candles::{Candles, rolled_up};
use crate::wire::exchanged;
use differential_dataflow::AsCollection;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use tallow_model::{Clock, EventTime, Interval, PartitionReader};
use timely::dataflow::StreamVec;
use timely::dataflow::operators::vec::{Broadcast, Map};
use timely::dataflow::operators::{Concat, Concatenate, Exchange, Probe};
use timely::worker::Worker;

/// The input and output of one worker.
///
/// The crate's head has a complete example.
pub struct WorkerIo {
    /// Readers of the partitions that this worker owns. Every partition belongs to exactly one
    /// worker.
    pub readers: Vec<Box<dyn PartitionReader>>,
    /// Readers of partitions that are added to the log later. The input does not end before the
    /// sender is dropped.
    pub arrivals: Option<Receiver<Box<dyn PartitionReader + Send>>>,
    /// Receiver of the results.
    pub output: Box<dyn Output>,
    /// Clock on the wall; it decides when idle partitions give up time and when open candles are
    /// shown.
    pub clock: Arc<dyn Clock>,
    /// Schedule of checkpoints; `None` for no checkpoints. Either all workers have one or none has.
    pub checkpoints: Option<CheckpointPolicy>,
    /// Checkpoint to start from; `None` for the beginning. Either all workers have one or none has.
    pub restore: Option<Restore>,
}

/// Builds the graph on one worker.
///
/// Every worker must call it at the same point of its program, with the same settings.
/// [`run`](crate::run()) does so on worker threads of its own.
pub fn build(worker: &mut Worker, settings: &Settings, io: WorkerIo) {
    let settings = Arc::new(settings.clone());
    let output = Rc::new(RefCell::new(io.output));
    let idle_reports = IdleReports::connect(worker, Arc::clone(&io.clock));
    let shared = WorkerState::default();
    let (resume, checkpoint) = match io.restore {
        Some(Restore { frontier, partitions, state }) => {
            (Some((frontier, partitions)), Some((frontier, state)))
        }
        None => (None, None),
    };
    let from = resume.as_ref().map_or(0, |(frontier, _)| frontier.millis());
    worker.dataflow_named("tallow", |scope| {
        let (partials, markers) = source(
            scope,
            SourceConfig {
                settings: Arc::clone(&settings),
                readers: io.readers,
                arrivals: io.arrivals,
                output: Rc::clone(&output),
                clock: Arc::clone(&io.clock),
                idle_reports,
                shared: shared.clone(),
                checkpoints: io.checkpoints,
                resume,
            },
        );
        let partials = exchanged(partials);
        let restored = restore(scope, checkpoint).exchange(|row| row.symbol().stable_hash());
        if let Some(interval_ms) = settings.live_interval_ms {
            let partials = partials.clone().concat(restored.clone().flat_map(restored_bar));
            live(partials, interval_ms, from, io.clock, Rc::clone(&output));
        }
        let minutes = minutes(
            MinutesInput {
                partials,
                markers: markers.broadcast(),
                restored: restored.clone(),
                restored_at: restored_at(EventTime(from)),
            },
            &settings,
            shared.clone(),
        );
        let changed =
            minutes.candles.clone().map(|((symbol, (candle, _)), time, diff)| ((symbol, candle), time, diff));
        let candles_1m = changed.concat(minutes.expired).as_collection();
        let candles_5m = rolled_up(candles_1m, Interval::FiveMinutes);
        let candles_15m = rolled_up(candles_5m.clone(), Interval::FifteenMinutes);
        let anomalies = anomalies(minutes.returns.as_collection(), settings.anomalies.clone());

        let settled_1m = minutes.candles.map(|((symbol, (candle, revision)), time, diff)| {
            (SettledChange::Minute { symbol, candle, revision }, time, diff)
        });
        let changes = [
            settled_1m,
            rollup_changes(candles_5m, Interval::FiveMinutes),
            rollup_changes(candles_15m, Interval::FifteenMinutes),
            anomalies.inner.map(|(alert, time, diff)| (SettledChange::Alert(alert), time, diff)),
            restored.flat_map(move |row| restored_versions(row, from)),
        ];
        let changes = scope.concatenate(changes).probe_with(&shared.settled);
        settle(changes, &settings, from, shared, output);
    });
}

/// Returns a checkpoint's minute as `live` takes it.
fn restored_bar(row: Row) -> Option<PartialBar> {
    match row {
        Row::Minute(RetainedMinute { symbol, start, bar, .. }) => {
            Some(PartialBar { symbol, minute: start, logical: 0, bar })
        }
        Row::Return(_) | Row::Rollup(_) => None,
    }
}

/// Returns a checkpoint's version count as `settle` takes it.
fn restored_versions(row: Row, from: u64) -> Option<Difference<SettledChange>> {
    match row {
        Row::Rollup(rollup) => Some((SettledChange::Versions(rollup), restored_at(EventTime(from)), 1)),
        Row::Minute(_) | Row::Return(_) => None,
    }
}

/// Returns the candles of a roll-up as `settle` takes them.
fn rollup_changes(candles: Candles<'_>, interval: Interval) -> StreamVec<'_, u64, Difference<SettledChange>> {
    candles.inner.map(move |((symbol, candle), time, diff)| {
        (SettledChange::Rollup { interval, symbol, candle }, time, diff)
    })
}
