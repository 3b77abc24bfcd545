//! Candles without gaps: `fill=previous`.
//!
//! The filled range has one candle for every window from the oldest settled candle in the query's
//! range to the newest, both included. A window without a settled candle is flat: open, high, low,
//! close and mean are the previous close, `vwap` is null, volumes and `trade_count` are 0. `after`,
//! limit, offset and total count flat candles too, so the pages put together have each window once.
//! Nothing is filled before the oldest or after the newest settled candle of the range: there the
//! server would be guessing.

use tallow_model::Error;
use tallow_model::EventTime;
use tallow_model::rows::CandleRow;
use tallow_model::store::{CandlePage, CandleQuery, Direction, History};

/// Returns the page of the filled range that the query asks for. Reads only the page's own candles
/// and three more.
pub(crate) async fn filled(history: &dyn History, query: &CandleQuery) -> Result<CandlePage, Error> {
    let window_ms = query.span.window_ms;
    let Some(oldest) = first(history, query, query.until, Direction::Ascending).await? else {
        return Ok(CandlePage { rows: Vec::new(), total: Some(0) });
    };
    let Some(newest) = first(history, query, query.until, Direction::Descending).await? else {
        return Ok(CandlePage { rows: Vec::new(), total: Some(0) });
    };
    let start_ms = oldest.window_start.millis();
    let total = newest.window_start.millis().saturating_sub(start_ms) / window_ms + 1;
    // The windows up to the one that the query names, in its order.
    let before = match (query.after.map(EventTime::millis), query.direction) {
        (None, _) => 0,
        (Some(after), Direction::Ascending) => {
            after.checked_sub(start_ms).map_or(0, |passed| passed / window_ms + 1)
        }
        (Some(after), Direction::Descending) => {
            total.saturating_sub(after.saturating_sub(start_ms).div_ceil(window_ms))
        }
    };
    let skipped = before.saturating_add(query.offset as u64).min(total);
    let count = (query.limit as u64).min(total - skipped);
    if count == 0 {
        return Ok(CandlePage { rows: Vec::new(), total: Some(total) });
    }
    let ahead = match query.direction {
        Direction::Ascending => skipped,
        Direction::Descending => total - skipped - count,
    };
    let from = EventTime(start_ms + ahead * window_ms);
    let until = EventTime(from.millis() + count * window_ms);
    let page = CandleQuery {
        from: Some(from),
        until: Some(until),
        direction: Direction::Ascending,
        after: None,
        offset: 0,
        counted: false,
        ..query.clone()
    };
    let mut settled = history.candles(&page).await?.rows.into_iter().peekable();
    let mut previous = match settled.peek() {
        Some(row) if row.window_start == from => None,
        _ => first(history, query, Some(from), Direction::Descending).await?,
    };

    let mut rows = Vec::new();
    for window_start in (from.millis()..until.millis()).step_by(window_ms as usize).map(EventTime) {
        let row = match settled.next_if(|row| row.window_start == window_start) {
            Some(row) => Some(row),
            None => previous.as_ref().map(|previous| flat(previous, window_start, window_ms)),
        };
        rows.extend(row.clone());
        previous = row.or(previous);
    }
    if query.direction == Direction::Descending {
        rows.reverse();
    }
    Ok(CandlePage { rows, total: Some(total) })
}

/// Returns the first settled candle of the query's range, up to `until`, from this side.
async fn first(
    history: &dyn History,
    query: &CandleQuery,
    until: Option<EventTime>,
    direction: Direction,
) -> Result<Option<CandleRow>, Error> {
    let query =
        CandleQuery { until, direction, after: None, limit: 1, offset: 0, counted: false, ..query.clone() };
    Ok(history.candles(&query).await?.rows.into_iter().next())
}

/// Returns the flat candle of a window without ticks.
fn flat(previous: &CandleRow, window_start: EventTime, window_ms: u64) -> CandleRow {
    let close = previous.close_price;
    CandleRow {
        symbol: previous.symbol,
        window_start,
        window_end: EventTime(window_start.millis() + window_ms),
        open_price: close,
        high_price: close,
        low_price: close,
        close_price: close,
        avg_price: close,
        vwap: None,
        volume_sum: 0.0,
        quote_volume: 0.0,
        trade_count: 0,
        revision: 0,
    }
}
