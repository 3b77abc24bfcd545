//! The wiring of the graph, and nothing else.
//!
//! ```text
//! source ─► (exchange by symbol) ─► minutes ─► candles_5m ─► candles_15m
//!                     │             ▲  │ └───► anomalies          │
//!                     └─► live      │  └──────────┴───────────────┴─► settle
//! restore ─► (exchange by symbol) ──┘
//! ```
//!
//! Markers of checkpoints go from worker 0's source to `minutes` on every worker; rows of a checkpoint also to `live` and
//! `settle`.

use crate::checkpoint::{CheckpointPolicy, Restore, RetainedMinute, Row};
use crate::operators::combine::PartialBar;
use crate::operators::live::live;
use crate::operators::minutes::{Cuts, Difference, MinutesInput, MinutesShared, minutes};
use crate::operators::peers::Peers;
use crate::operators::restore::{restore, restored_at};
use crate::operators::source::{SharedMarks, SourceConfig, source};
use crate::outlet::Outlet;
use crate::settings::Settings;
use crate::settle::{Record, settle};
use crate::views::anomalies::anomalies;
use crate::views::candles::{Candles, rolled_up};
use crate::wire::exchanged;
use differential_dataflow::AsCollection;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use tallow_model::{Clock, PartitionReader};
use tallow_model::{EventTime, Interval};
use timely::dataflow::StreamVec;
use timely::dataflow::operators::vec::{Broadcast, Map};
use timely::dataflow::operators::{Concat, Concatenate, Exchange, Probe, probe::Handle as ProbeHandle};
use timely::worker::Worker;

/// What one worker brings along.
pub struct WorkerIo {
    /// The partitions that this worker reads. Every partition belongs to exactly one worker.
    pub readers: Vec<Box<dyn PartitionReader>>,
    /// Where readers of partitions come from that the log gets later. While the other end is there the input does not
    /// end.
    pub arrivals: Option<Receiver<Box<dyn PartitionReader + Send>>>,
    /// Where its results go.
    pub outlet: Box<dyn Outlet>,
    /// The clock on the wall.
    pub clock: Arc<dyn Clock>,
    /// When checkpoints are taken; none for never. All workers must have one or none.
    pub checkpoints: Option<CheckpointPolicy>,
    /// What to start from; none for the beginning. All workers must have one or none.
    pub restore: Option<Restore>,
}

/// Builds the graph on this worker. Every worker must call it at the same point, with the same settings.
pub fn build(worker: &mut Worker, settings: &Settings, io: WorkerIo) {
    let settings = Arc::new(settings.clone());
    let outlet = Rc::new(RefCell::new(io.outlet));
    let peers = Peers::connect(worker, Arc::clone(&io.clock));
    let settled = ProbeHandle::new();
    let busy = Rc::new(Cell::new(false));
    let marks = SharedMarks::default();
    let cuts = Cuts::default();
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
                outlet: Rc::clone(&outlet),
                clock: Arc::clone(&io.clock),
                peers,
                settled: settled.clone(),
                busy: Rc::clone(&busy),
                checkpoints: io.checkpoints,
                resume,
                marks: Rc::clone(&marks),
            },
        );
        let partials = exchanged(partials);
        let restored = restore(scope, checkpoint).exchange(|row| row.symbol().stable_hash());
        if let Some(interval_ms) = settings.live_interval_ms {
            let partials = partials.clone().concat(restored.clone().flat_map(restored_bar));
            live(partials, interval_ms, from, io.clock, Rc::clone(&outlet));
        }
        let minutes = minutes(
            MinutesInput {
                partials,
                markers: markers.broadcast(),
                restored: restored.clone(),
                restored_at: restored_at(EventTime(from)),
            },
            &settings,
            MinutesShared { busy, marks, cuts: Rc::clone(&cuts) },
        );
        let changed =
            minutes.candles.clone().map(|((symbol, (candle, _)), time, diff)| ((symbol, candle), time, diff));
        let candles_1m = changed.concat(minutes.expired).as_collection();
        let candles_5m = rolled_up(candles_1m, Interval::FiveMinutes);
        let candles_15m = rolled_up(candles_5m.clone(), Interval::FifteenMinutes);
        let anomalies = anomalies(minutes.moves.as_collection(), settings.anomalies.clone());

        let settled_1m = minutes.candles.map(|((symbol, (candle, revision)), time, diff)| {
            (Record::Candle { interval: Interval::OneMinute, symbol, candle, revision }, time, diff)
        });
        let records = [
            settled_1m,
            rollup_records(candles_5m, Interval::FiveMinutes),
            rollup_records(candles_15m, Interval::FifteenMinutes),
            anomalies.inner.map(|(alert, time, diff)| (Record::Alert(alert), time, diff)),
            restored.flat_map(move |row| restored_versions(row, from)),
        ];
        settle(scope.concatenate(records).probe_with(&settled), &settings, from, cuts, outlet);
    });
}

/// A minute of a checkpoint, as `live` sees it.
fn restored_bar(row: Row) -> Option<PartialBar> {
    match row {
        Row::Minute(RetainedMinute { symbol, start, bar, .. }) => {
            Some(PartialBar { symbol, minute: start, logical: 0, bar })
        }
        Row::Move(_) | Row::Rollup(_) => None,
    }
}

/// A counter of a checkpoint, as `settle` sees it.
fn restored_versions(row: Row, from: u64) -> Option<Difference<Record>> {
    match row {
        Row::Rollup(rollup) => Some((Record::Versions(rollup), restored_at(EventTime(from)), 1)),
        Row::Minute(_) | Row::Move(_) => None,
    }
}

/// The candles of a roll-up as records; `settle` counts their revisions.
fn rollup_records(candles: Candles<'_>, interval: Interval) -> StreamVec<'_, u64, Difference<Record>> {
    candles.inner.map(move |((symbol, candle), time, diff)| {
        (Record::Candle { interval, symbol, candle, revision: 0 }, time, diff)
    })
}
