//! `/api/v1/stats`: the figures of the running pipeline.

use crate::answer::{self, Answer};
use crate::app::App;
use crate::problem::Problem;
use crate::query::Query;
use hyper::StatusCode;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use tallow_connectors::dataflow::{EventTime, Interval};
use tallow_connectors::store::SinkStatus;

#[derive(Serialize)]
struct Stats {
    /// Where the ticks come from.
    source: String,
    ready: bool,
    uptime_seconds: f64,
    records_in: u64,
    /// The records by bucket; they add up to `records_in`.
    records: BTreeMap<&'static str, u64>,
    /// How many symbols have been seen; null where the stores can't say.
    symbols: Option<usize>,
    /// Everything with a logical time below this is settled.
    watermark: Option<String>,
    max_event_time: Option<String>,
    /// Now minus the newest event time seen, never below 0: how old the newest tick is.
    lag_seconds: Option<f64>,
    candles_settled: BTreeMap<&'static str, u64>,
    corrections: BTreeMap<&'static str, u64>,
    alerts: Alerts,
    sinks: Vec<Sink>,
    /// What has failed for good.
    failure: Option<String>,
}

#[derive(Serialize)]
struct Alerts {
    raised: u64,
    retracted: u64,
}

#[derive(Serialize)]
struct Sink {
    name: String,
    queue: u64,
    retries: u64,
    stored_through: Option<String>,
    problem: Option<String>,
}

impl From<SinkStatus> for Sink {
    fn from(status: SinkStatus) -> Sink {
        Sink {
            name: status.name,
            queue: status.queue,
            retries: status.retries,
            stored_through: status.stored_through.map(EventTime::rfc3339),
            problem: status.problem,
        }
    }
}

/// The pipeline's figures.
pub(crate) async fn pipeline(app: &App, uptime: Duration, query: Option<&str>) -> Result<Answer, Problem> {
    Query::none(query)?;
    let symbols = app.symbols().await.map(|symbols| symbols.len());
    let status = app.pipeline.status();
    let now_ms = app.now().millis();
    let age = |time: EventTime| now_ms.saturating_sub(time.millis()) as f64 / 1000.0;
    let by_interval = |counts: [u64; 3]| Interval::ALL.map(Interval::name).into_iter().zip(counts).collect();
    let stats = Stats {
        source: status.source,
        ready: status.ready,
        uptime_seconds: uptime.as_millis() as f64 / 1000.0,
        records_in: status.counts.records_in,
        records: status.counts.buckets().into_iter().collect(),
        symbols: symbols.ok(),
        watermark: status.watermark.map(EventTime::rfc3339),
        max_event_time: status.max_event_time.map(EventTime::rfc3339),
        lag_seconds: status.max_event_time.map(age),
        candles_settled: by_interval(status.candles_settled),
        corrections: by_interval(status.corrections),
        alerts: Alerts { raised: status.alerts_raised, retracted: status.alerts_retracted },
        sinks: status.sinks.into_iter().map(Sink::from).collect(),
        failure: status.failure,
    };
    Ok(answer::json(StatusCode::OK, &stats)?)
}
