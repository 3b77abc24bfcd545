//! `/udf/marks`: the alerts that are not retracted, as marks on the bars that they judge; both
//! bounds are included.

use super::parameters::{FROM, RESOLUTION, SYMBOL, TO, UdfParameters};
use super::refusal::UdfError;
use crate::app::Data;
use crate::http::response::{self, Response};
use crate::parameter::Parameter;
use hyper::StatusCode;
use serde_json::{Value, json};
use tallow_model::rows::AlertRow;
use tallow_model::store::{AlertQuery, Span};
use tallow_model::{AlertType, EventTime, MINUTE_MS, Severity};

/// The most marks of a response. Of more marks, the newest are returned.
const MAX_MARKS: usize = 1000;

/// The parameters of the route.
pub(crate) const PARAMETERS: [Parameter; 4] = [SYMBOL, RESOLUTION, FROM.required(), TO];

/// Returns the marks of a range, oldest first.
pub(super) async fn list(data: &Data, raw: Option<&str>) -> Result<Response, UdfError> {
    let parameters = UdfParameters::parse(raw, &PARAMETERS);
    let span = parameters.resolution()?;
    let (from, to) = (parameters.time("from")?, parameters.time("to")?);
    let query = AlertQuery {
        symbol: Some(parameters.symbol(data).await?),
        // An alert is found by the end of its minute and marks the start.
        since: Some(EventTime(from.millis() + MINUTE_MS)),
        until: Some(EventTime(to.millis() + MINUTE_MS + 1)),
        severity: None,
        include_retracted: false,
        limit: MAX_MARKS,
    };
    let alerts = data.history.alerts(&query).await?;
    let marks: Vec<Value> = alerts.iter().rev().map(|alert| mark(alert, span)).collect();
    Ok(response::json(StatusCode::OK, &marks)?)
}

/// Returns a mark on the bar in which the alert's minute lies.
fn mark(alert: &AlertRow, span: Span) -> Value {
    let minute_ms = alert.window_start.millis();
    let (color, label) = match alert.alert_type {
        AlertType::PriceSpike => ("green", "▲"),
        AlertType::PriceDrop => ("red", "▼"),
    };
    let min_size = match alert.severity {
        Severity::Low => 14,
        Severity::Medium => 20,
        Severity::High => 28,
    };
    json!({
        "id": alert.alert_id,
        "time": (minute_ms - minute_ms % span.window_ms) / 1000,
        "color": color,
        "text": text(alert),
        "label": label,
        "labelFontColor": "white",
        "minSize": min_size,
    })
}

/// Returns the text of an alert: the move, and how far it lies outside the moves before it.
fn text(alert: &AlertRow) -> String {
    format!(
        "{} {}: {} to {} ({:+.2} %). z {:.2} is beyond ±{}: the {} returns before it have mean {:.6} and standard \
         deviation {:.6}.",
        alert.alert_type.name(),
        alert.severity.name(),
        alert.old_price,
        alert.new_price,
        alert.price_change_pct,
        alert.z_score,
        alert.threshold,
        alert.samples,
        alert.mean,
        alert.stddev,
    )
}
