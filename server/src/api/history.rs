//! Queries of the history that several resources share.

use crate::app::Data;
use crate::http::problem::Problem;
use hyper::StatusCode;
use tallow_model::rows::CandleRow;
use tallow_model::store::{CandleQuery, Span};
use tallow_model::{Error, EventTime, Interval, Symbol};

/// The most symbols that are looked up in the history at a time.
pub(crate) const LOOKUPS: usize = 8;

/// Returns the newest closed candle of a symbol and interval.
pub(crate) async fn newest_closed(
    data: &Data,
    symbol: Symbol,
    interval: Interval,
) -> Result<Option<CandleRow>, Error> {
    let query = CandleQuery::newest(symbol, interval);
    Ok(data.history.candles(&query).await?.rows.into_iter().next())
}

/// Returns the start of the first window that may still be open; `None` for a settled interval, of
/// which the store has closed windows only. A window that is rolled up of several settled windows
/// is closed once the last of them is: once its end lies below the frontier.
pub(crate) fn closed_until(data: &Data, span: Span) -> Option<EventTime> {
    if span.window_ms == span.base.millis() {
        return None;
    }
    let last_ms = data.pipeline.status().watermark?.millis().saturating_sub(1);
    Some(EventTime(last_ms - last_ms % span.window_ms))
}

/// Returns the problem of an empty result: the symbol is unknown, or the range is empty.
pub(crate) async fn no_candles(data: &Data, symbol: Symbol) -> Problem {
    match data.knows(symbol).await {
        Ok(true) => {
            let detail = format!("{symbol} has no closed candle of this interval in this range");
            Problem::new(StatusCode::NOT_FOUND, "no_data", detail)
        }
        Ok(false) => Problem::unknown_symbol(symbol),
        Err(error) => error.into(),
    }
}
