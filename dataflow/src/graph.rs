//! The wiring of the graph, and nothing else.
//!
//! ```text
//! source ─► (exchange by symbol) ─► minutes ─► candles_5m ─► candles_15m
//!                     │                │ └───► anomalies          │
//!                     └─► live         └──────────┴───────────────┴─► settle
//! ```

use crate::checkpoint::{CheckpointPolicy, Restore};
use crate::operators::live::live;
use crate::operators::minutes::{Difference, minutes};
use crate::operators::peers::Peers;
use crate::operators::source::{SourceConfig, source};
use crate::outlet::Outlet;
use crate::record::{Clock, PartitionReader};
use crate::settings::Settings;
use crate::settle::{Record, settle};
use crate::time::Interval;
use crate::views::anomalies::anomalies;
use crate::views::candles::{Candles, rolled_up};
use crate::wire::exchanged;
use differential_dataflow::AsCollection;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use timely::dataflow::StreamVec;
use timely::dataflow::operators::vec::Map;
use timely::dataflow::operators::{Concat, Concatenate, Probe, probe::Handle as ProbeHandle};
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
    let expiring = Rc::new(Cell::new(false));
    worker.dataflow_named("tallow", |scope| {
        let source = source(
            scope,
            SourceConfig {
                settings: Arc::clone(&settings),
                readers: io.readers,
                arrivals: io.arrivals,
                outlet: Rc::clone(&outlet),
                clock: Arc::clone(&io.clock),
                peers,
                settled: settled.clone(),
                expiring: Rc::clone(&expiring),
            },
        );
        let partials = exchanged(source);
        if let Some(interval_ms) = settings.live_interval_ms {
            live(partials.clone(), interval_ms, io.clock, Rc::clone(&outlet));
        }
        let minutes = minutes(partials, &settings, expiring);
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
        ];
        settle(scope.concatenate(records).probe_with(&settled), &settings, outlet);
    });
}

/// The candles of a roll-up as records; `settle` counts their revisions.
fn rollup_records(candles: Candles<'_>, interval: Interval) -> StreamVec<'_, u64, Difference<Record>> {
    candles.inner.map(move |((symbol, candle), time, diff)| {
        (Record::Candle { interval, symbol, candle, revision: 0 }, time, diff)
    })
}
