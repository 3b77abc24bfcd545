//! `/api/v1/historical/{symbol}`, `/stats` and `/latest`: closed candles.

use crate::api::gap_filling;
use crate::api::history::{closed_until, no_candles};
use crate::app::Data;
use crate::http::headers;
use crate::http::problem::Problem;
use crate::http::response::{self, Response, set_header};
use crate::parameter::{Literal, Parameter, names};
use crate::query::Query;
use hyper::StatusCode;
use hyper::header::LINK;
use serde::Serialize;
use tallow_model::rows::rfc3339;
use tallow_model::store::{CandleQuery, Direction, Span};
use tallow_model::{EventTime, Interval, MAX_EVENT_TIME, Symbol};

const HOUR_MS: u64 = 60 * Interval::OneMinute.millis();

/// The intervals of closed candles. Intervals beyond 15 minutes are rolled up in the query.
pub(super) const SPANS: [(&str, Span); 6] = [
    ("1m", settled(Interval::OneMinute)),
    ("5m", settled(Interval::FiveMinutes)),
    ("15m", settled(Interval::FifteenMinutes)),
    ("1h", rolled_up(HOUR_MS)),
    ("4h", rolled_up(4 * HOUR_MS)),
    ("1d", rolled_up(24 * HOUR_MS)),
];

const fn settled(base: Interval) -> Span {
    Span { base, window_ms: base.millis() }
}

const fn rolled_up(window_ms: u64) -> Span {
    Span { base: Interval::FifteenMinutes, window_ms }
}

const SPAN_NAMES: [&str; 6] = names(&SPANS);
pub(super) const INTERVAL: Parameter =
    Parameter::choice("interval", &SPAN_NAMES, "The length of the windows.").or(Literal::Text("1m"));
pub(super) const START_TIME: Parameter = Parameter::time(
    "start_time",
    "Windows that start at or after this: RFC 3339, or milliseconds since 1970.",
)
.like(Literal::Text("2025-11-16T00:00:00Z"));
pub(super) const END_TIME: Parameter = Parameter::time(
    "end_time",
    "Windows that start before this, which has to be after `start_time`: RFC 3339, or milliseconds since 1970.",
)
.like(Literal::Text("9999-12-31T00:00:00Z"));
const LIMIT: Parameter =
    Parameter::integer("limit", 1, 1000, "The most candles in the response.").or(Literal::Number(100));
/// Two hundred years of minutes: more than any store has, and within the integers of every store.
const MAX_OFFSET: u64 = 100_000_000;
const OFFSET: Parameter =
    Parameter::integer("offset", 0, MAX_OFFSET, "The number of candles to skip. Not together with `cursor`.")
        .like(Literal::Number(0));
const CURSOR: Parameter = Parameter::integer(
    "cursor",
    0,
    MAX_EVENT_TIME.0,
    "The end of the page before, from its header `X-Next-Cursor`. Not together with `offset`.",
);
pub(super) const ORDERS: [(&str, Direction); 2] =
    [("asc", Direction::Ascending), ("desc", Direction::Descending)];
const ORDER_NAMES: [&str; 2] = names(&ORDERS);
pub(super) const ORDER_BY: Parameter =
    Parameter::choice("order_by", &ORDER_NAMES, "Oldest first, or newest first.").or(Literal::Text("desc"));
const FILLS: [(&str, Fill); 2] = [("none", Fill::None), ("previous", Fill::Previous)];
const FILL_NAMES: [&str; 2] = names(&FILLS);
const FILL: Parameter = Parameter::choice(
    "fill",
    &FILL_NAMES,
    "The treatment of windows without ticks: left out (`none`), or flat at the close before, with `vwap` null and \
     volumes and `trade_count` 0 (`previous`). Filled is what lies between the oldest and the newest candle of the range, and \
     `limit`, `offset`, `cursor` and `X-Total-Count` count the flat ones too.",
)
.or(Literal::Text("none"));
const FORMATS: [(&str, PageFormat); 2] = [("json", PageFormat::Json), ("csv", PageFormat::Csv)];
const FORMAT_NAMES: [&str; 2] = names(&FORMATS);
const FORMAT: Parameter =
    Parameter::choice("format", &FORMAT_NAMES, "The format of the response.").or(Literal::Text("json"));

/// The parameters of a page of candles.
pub(crate) const LIST_PARAMETERS: [Parameter; 9] =
    [INTERVAL, START_TIME, END_TIME, LIMIT, OFFSET, CURSOR, ORDER_BY, FILL, FORMAT];
/// The parameters of figures over a range.
pub(crate) const STATS_PARAMETERS: [Parameter; 3] = [INTERVAL, START_TIME, END_TIME];
/// The parameters of the newest closed candle.
pub(crate) const LATEST_PARAMETERS: [Parameter; 1] = [INTERVAL];

#[derive(Clone, Copy)]
enum Fill {
    None,
    Previous,
}

#[derive(Clone, Copy)]
enum PageFormat {
    Json,
    Csv,
}

/// Statistics of a range, as the API shows them.
#[derive(Serialize)]
struct RangeStats {
    symbol: Symbol,
    #[serde(with = "rfc3339")]
    start_time: EventTime,
    #[serde(with = "rfc3339")]
    end_time: EventTime,
    lowest_price: f64,
    highest_price: f64,
    average_price: f64,
    total_volume: f64,
    candle_count: u64,
    price_range: f64,
    price_change_pct: f64,
    volatility: Option<f64>,
    volume_price_correlation: Option<f64>,
}

/// Returns a page of candles. The next page begins after the last window of this page (`cursor`),
/// so that candles which settle meanwhile neither move a window from page to page nor are counted
/// twice. `offset` counts from the first candle that the store has at the moment.
pub(crate) async fn list(
    data: &Data,
    symbol: Symbol,
    path: &str,
    raw: Option<&str>,
) -> Result<Response, Problem> {
    let mut query = Query::parse(raw, &LIST_PARAMETERS);
    let limit = query.number(&LIMIT).unwrap_or_default();
    let offset = query.number(&OFFSET);
    let cursor = query.number(&CURSOR).map(EventTime);
    if let (Some(_), Some(_)) = (offset, cursor) {
        query.note("cursor", "given together with offset", "one of the two");
    }
    let direction = query.chosen(&ORDER_BY, &ORDERS);
    let fill = query.chosen(&FILL, &FILLS);
    let format = query.chosen(&FORMAT, &FORMATS);
    let candles = CandleQuery {
        direction,
        after: cursor,
        // One candle more than asked for shows whether there is a next page.
        limit: limit as usize + 1,
        offset: offset.unwrap_or(0) as usize,
        counted: true,
        ..range(data, symbol, &mut query)
    };
    query.finish()?;

    let mut page = match fill {
        Fill::None => data.history.candles(&candles).await?,
        Fill::Previous => gap_filling::filled(&*data.history, &candles).await?,
    };
    let total = page.total.unwrap_or(0);
    if total == 0 {
        return Err(no_candles(data, symbol).await);
    }
    let has_more = page.rows.len() > limit as usize;
    page.rows.truncate(limit as usize);
    let mut response = match format {
        PageFormat::Json => response::json(StatusCode::OK, &page.rows)?,
        PageFormat::Csv => {
            response::with_body(StatusCode::OK, "text/csv; charset=utf-8", csv(&page.rows, true)?)
        }
    };
    set_header(&mut response, headers::TOTAL_COUNT, total);
    set_header(&mut response, headers::RETURNED_COUNT, page.rows.len());
    set_header(&mut response, headers::HAS_MORE, if has_more { "true" } else { "false" });
    if let (true, Some(last)) = (has_more, page.rows.last()) {
        let cursor = last.window_start.millis();
        set_header(&mut response, headers::NEXT_CURSOR, cursor);
        let next = match offset {
            Some(offset) => ("offset", offset + limit),
            None => ("cursor", cursor),
        };
        set_header(&mut response, LINK, format!("<{}>; rel=\"next\"", with(path, raw, next)));
    }
    Ok(response)
}

/// Returns figures over a range of closed candles.
pub(crate) async fn stats(data: &Data, symbol: Symbol, raw: Option<&str>) -> Result<Response, Problem> {
    let mut query = Query::parse(raw, &STATS_PARAMETERS);
    let candles = range(data, symbol, &mut query);
    query.finish()?;
    let Some(figures) = data.history.stats(&candles).await? else {
        return Err(no_candles(data, symbol).await);
    };
    let stats = RangeStats {
        symbol,
        start_time: figures.first,
        end_time: figures.last,
        lowest_price: figures.lowest_price,
        highest_price: figures.highest_price,
        average_price: figures.average_price,
        total_volume: figures.total_volume,
        candle_count: figures.candle_count,
        price_range: difference(figures.highest_price, figures.lowest_price),
        price_change_pct: (figures.last_close / figures.first_open - 1.0) * 100.0,
        volatility: figures.volatility,
        volume_price_correlation: figures.volume_price_correlation,
    };
    Ok(response::json(StatusCode::OK, &stats)?)
}

/// Returns the newest closed candle.
pub(crate) async fn latest(data: &Data, symbol: Symbol, raw: Option<&str>) -> Result<Response, Problem> {
    let mut query = Query::parse(raw, &LATEST_PARAMETERS);
    let span = query.chosen(&INTERVAL, &SPANS);
    let candles = newest(data, symbol, span, None, None);
    query.finish()?;
    match data.history.candles(&candles).await?.rows.first() {
        Some(row) => Ok(response::json(StatusCode::OK, row)?),
        None => Err(no_candles(data, symbol).await),
    }
}

/// Returns the query for the newest candle of the interval and range that the parameters name.
pub(super) fn range(data: &Data, symbol: Symbol, query: &mut Query) -> CandleQuery {
    let span = query.chosen(&INTERVAL, &SPANS);
    let (start, end) = (query.time(&START_TIME), query.time(&END_TIME));
    if let (Some(start), Some(end)) = (start, end)
        && start >= end
    {
        let detail = format!("{} is not after start_time, {}", end.rfc3339(), start.rfc3339());
        query.note("end_time", detail, "a time after start_time");
    }
    newest(data, symbol, span, start, end)
}

/// Returns the query for the newest candle of this span that starts within these times.
fn newest(
    data: &Data,
    symbol: Symbol,
    span: Span,
    start: Option<EventTime>,
    end: Option<EventTime>,
) -> CandleQuery {
    // A window starts at or after a time exactly if it starts at or after the next multiple of its
    // length.
    let aligned = |time: EventTime| EventTime(time.millis().next_multiple_of(span.window_ms));
    let end = end.map(aligned);
    let until = match closed_until(data, span) {
        Some(closed) => Some(end.map_or(closed, |end| end.min(closed))),
        None => end,
    };
    CandleQuery { from: start.map(aligned), until, ..CandleQuery::newest(symbol, span) }
}

/// Writes the rows as CSV, with a line of field names above them if `has_names`.
pub(super) fn csv(rows: &[impl Serialize], has_names: bool) -> Result<Vec<u8>, Problem> {
    let mut writer = csv::WriterBuilder::new().has_headers(has_names).from_writer(Vec::new());
    let written = rows.iter().try_for_each(|row| writer.serialize(row));
    written
        .map_err(|error| error.to_string())
        .and_then(|()| writer.into_inner().map_err(|e| e.to_string()))
        .map_err(|error| {
            tracing::error!(error, "response not written as CSV");
            Problem::internal()
        })
}

/// Returns the path and query of the request with another value of the parameter.
fn with(path: &str, raw: Option<&str>, (parameter, value): (&str, u64)) -> String {
    let mut next = form_urlencoded::Serializer::new(String::new());
    for (name, value) in form_urlencoded::parse(raw.unwrap_or_default().as_bytes()) {
        if name != parameter {
            next.append_pair(&name, &value);
        }
    }
    next.append_pair(parameter, &value.to_string());
    format!("{path}?{}", next.finish())
}

/// Returns the difference of two prices with as many decimals as the prices have: 0.3 − 0.1 is 0.2.
pub(crate) fn difference(high: f64, low: f64) -> f64 {
    let places = |price: f64| price.to_string().split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let plain = high - low;
    format!("{plain:.*}", places(high).max(places(low))).parse().unwrap_or(plain)
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn a_difference_of_prices_has_the_decimals_of_the_prices() {
        assert_eq!(difference(96114.93, 94699.61), 1415.32);
        assert_eq!(difference(0.00000003, 0.00000001), 0.00000002);
        assert_eq!(difference(7.0, 7.0), 0.0);
    }
}
