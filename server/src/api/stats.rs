//! `/api/v1/stats`: the figures of the running pipeline, and the settings that a client has to
//! know.

use crate::app::App;
use crate::http::problem::Problem;
use crate::http::response::{self, Response};
use crate::query::Query;
use hyper::StatusCode;
use serde::Serialize;
use std::time::Duration;
use tallow_model::EventTime;
use tallow_model::pipeline_stats::PipelineStats;

#[derive(Serialize)]
struct ProcessStats {
    #[serde(flatten)]
    pipeline: PipelineStats,
    settings: ClientSettings,
}

/// The settings on which the behaviour of a client depends.
#[derive(Serialize)]
struct ClientSettings {
    /// The longest silence of a native WebSocket: a keepalive frame ends it.
    keepalive_ms: u64,
    /// The age of the newest event of a symbol from which its price is stale.
    stale_after_ms: u64,
    /// The time after its end in which a closed candle may still be corrected; `null` if the server
    /// does not know it.
    allowed_lateness_ms: Option<u64>,
}

/// Returns the pipeline's figures.
pub(crate) async fn pipeline(app: &App, uptime: Duration, query: Option<&str>) -> Result<Response, Problem> {
    Query::none(query)?;
    let symbols = match &app.data {
        Some(data) => data.symbols().await.ok().map(|symbols| symbols.len()),
        None => None,
    };
    let status = app.pipeline.status();
    let now_ms = app.now().millis();
    let age = |time: EventTime| now_ms.saturating_sub(time.millis()) as f64 / 1000.0;
    let pipeline = PipelineStats {
        uptime_seconds: uptime.as_millis() as f64 / 1000.0,
        symbols,
        lag_seconds: status.max_event_time.map(age),
        ..PipelineStats::from(status)
    };
    let settings = ClientSettings {
        keepalive_ms: app.settings.keepalive.as_millis() as u64,
        stale_after_ms: app.settings.stale_after.as_millis() as u64,
        allowed_lateness_ms: app.allowed_lateness_ms,
    };
    Ok(response::json(StatusCode::OK, &ProcessStats { pipeline, settings })?)
}
