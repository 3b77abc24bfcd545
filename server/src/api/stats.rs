//! `/api/v1/stats`: the figures of the running pipeline.

use crate::answer::{self, Answer};
use crate::app::App;
use crate::problem::Problem;
use crate::query::Query;
use hyper::StatusCode;
use std::time::Duration;
use tallow_model::EventTime;
use tallow_model::pipeline_stats::PipelineStats;

/// The pipeline's figures.
pub(crate) async fn pipeline(app: &App, uptime: Duration, query: Option<&str>) -> Result<Answer, Problem> {
    Query::none(query)?;
    let symbols = match &app.data {
        Some(data) => data.symbols().await.ok().map(|symbols| symbols.len()),
        None => None,
    };
    let status = app.pipeline.status();
    let now_ms = app.now().millis();
    let age = |time: EventTime| now_ms.saturating_sub(time.millis()) as f64 / 1000.0;
    let stats = PipelineStats {
        uptime_seconds: uptime.as_millis() as f64 / 1000.0,
        symbols,
        lag_seconds: status.max_event_time.map(age),
        ..PipelineStats::from(status)
    };
    Ok(answer::json(StatusCode::OK, &stats)?)
}
