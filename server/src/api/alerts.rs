//! `/api/v1/alerts` and `/api/v1/alerts/{symbol}`: the alerts of the last hours, newest first.

use crate::answer::{self, Answer};
use crate::app::Data;
use crate::problem::Problem;
use crate::query::Query;
use crate::router::ALL;
use hyper::StatusCode;
use serde::Serialize;
use tallow_connectors::dataflow::{EventTime, Interval, Severity, Symbol};
use tallow_connectors::model::AlertRow;
use tallow_connectors::store::AlertQuery;

const HOUR_MS: u64 = 60 * Interval::OneMinute.millis();
const DEFAULT_LIMIT: u64 = 10;
const DEFAULT_HOURS: u64 = 24;

#[derive(Serialize)]
struct Alerts {
    /// The symbol, or `ALL`.
    symbol: String,
    alert_count: usize,
    lookback_hours: u64,
    alerts: Vec<AlertRow>,
    source: String,
}

/// The alerts of a symbol, or of all. The lookback is counted back from now.
pub(crate) async fn list(data: &Data, symbol: Option<Symbol>, raw: Option<&str>) -> Result<Answer, Problem> {
    let mut query = Query::parse(raw, &["limit", "hours", "severity", "include_retracted"]);
    let limit = query.integer("limit", 1..=100).unwrap_or(DEFAULT_LIMIT);
    let hours = query.integer("hours", 1..=168).unwrap_or(DEFAULT_HOURS);
    let severities = [Severity::Low, Severity::Medium, Severity::High].map(|each| (each.name(), each));
    let severity = query.choice("severity", &severities);
    let include_retracted = query.flag("include_retracted").unwrap_or(false);
    query.finish()?;

    let since = EventTime(data.now().millis().saturating_sub(hours * HOUR_MS));
    let wanted = AlertQuery {
        symbol,
        since: Some(since),
        until: None,
        severity,
        include_retracted,
        limit: limit as usize,
    };
    let alerts = data.history.alerts(&wanted).await?;
    if let Some(symbol) = symbol
        && alerts.is_empty()
        && !data.knows(symbol).await?
    {
        return Err(Problem::unknown_symbol(symbol));
    }
    let symbol = symbol.map_or_else(|| ALL.to_owned(), |symbol| symbol.to_string());
    let source = data.pipeline.source();
    let alerts = Alerts { symbol, alert_count: alerts.len(), lookback_hours: hours, alerts, source };
    Ok(answer::json(StatusCode::OK, &alerts)?)
}
