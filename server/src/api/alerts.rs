//! `/api/v1/alerts` and `/api/v1/alerts/{symbol}`: the alerts of the last hours, newest first.

use crate::app::Data;
use crate::http::problem::Problem;
use crate::http::response::{self, Response};
use crate::market::ALL;
use crate::parameter::{Literal, Parameter, names};
use crate::query::Query;
use hyper::StatusCode;
use serde::Serialize;
use tallow_model::rows::AlertRow;
use tallow_model::store::AlertQuery;
use tallow_model::{EventTime, Interval, Severity, Symbol};

const HOUR_MS: u64 = 60 * Interval::OneMinute.millis();

const LIMIT: Parameter =
    Parameter::integer("limit", 1, 100, "The most alerts in the response.").or(Literal::Number(10));
const HOURS: Parameter =
    Parameter::integer("hours", 1, 168, "The hours to look back from now.").or(Literal::Number(24));
const SEVERITIES: [(&str, Severity); 3] =
    [("LOW", Severity::Low), ("MEDIUM", Severity::Medium), ("HIGH", Severity::High)];
const SEVERITY_NAMES: [&str; 3] = names(&SEVERITIES);
const SEVERITY: Parameter = Parameter::choice("severity", &SEVERITY_NAMES, "Only alerts of this severity.");
const INCLUDE_RETRACTED: Parameter =
    Parameter::flag("include_retracted", "Whether alerts that a correction has undone are included.")
        .or(Literal::Flag(false));

/// The parameters of both routes.
pub(crate) const PARAMETERS: [Parameter; 4] = [LIMIT, HOURS, SEVERITY, INCLUDE_RETRACTED];

#[derive(Serialize)]
struct Alerts {
    /// The symbol of the path, or `ALL`.
    symbol: String,
    alert_count: usize,
    lookback_hours: u64,
    alerts: Vec<AlertRow>,
    source: String,
}

/// Returns the alerts of a symbol, or of all symbols. The lookback ends now.
pub(crate) async fn list(
    data: &Data,
    symbol: Option<Symbol>,
    raw: Option<&str>,
) -> Result<Response, Problem> {
    let mut query = Query::parse(raw, &PARAMETERS);
    let limit = query.number(&LIMIT).unwrap_or_default();
    let hours = query.number(&HOURS).unwrap_or_default();
    let severity = query.choice(&SEVERITY, &SEVERITIES);
    let include_retracted = query.flag(INCLUDE_RETRACTED.name).unwrap_or(false);
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
    Ok(response::json(StatusCode::OK, &alerts)?)
}
