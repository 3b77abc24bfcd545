//! `/api/v1/latest/{symbol}` and `/api/v1/latest/all`: the newest one-minute candle, open or
//! closed.
//!
//! The candle comes from the cache. If the cache has none or can't be read, the newest closed
//! candle comes from the history.

use crate::api::history::{LOOKUPS, newest_closed};
use crate::app::Data;
use crate::http::headers;
use crate::http::headers::thousandths;
use crate::http::problem::Problem;
use crate::http::response::{self, Response, set_header};
use crate::query::Query;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use hyper::StatusCode;
use hyper::header::HeaderValue;
use serde::Serialize;
use std::collections::BTreeMap;
use tallow_model::error::chain;
use tallow_model::rows::{CandleRow, LatestCandle, rfc3339};
use tallow_model::{EventTime, Interval, Symbol};

/// The newest one-minute candle of a symbol, open or closed.
#[derive(Serialize)]
struct Latest<'a> {
    symbol: Symbol,
    #[serde(with = "rfc3339")]
    window_start: EventTime,
    #[serde(with = "rfc3339")]
    window_end: EventTime,
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    volume_sum: f64,
    event_count: u64,
    is_closed: bool,
    revision: u32,
    #[serde(with = "rfc3339")]
    event_time: EventTime,
    /// Whether `event_time` is older than the settings allow.
    stale: bool,
    /// The origin of the ticks.
    source: &'a str,
}

impl<'a> Latest<'a> {
    fn cached(data: &Data, candle: &LatestCandle, source: &'a str) -> Latest<'a> {
        Latest {
            symbol: candle.symbol,
            window_start: EventTime(candle.window_start.saturating_mul(1000)),
            window_end: EventTime(candle.window_end.saturating_mul(1000)),
            open: candle.open,
            high: candle.high,
            low: candle.low,
            close: candle.close,
            volume_sum: candle.volume_sum,
            event_count: candle.event_count,
            is_closed: candle.is_closed,
            revision: candle.revision,
            event_time: candle.event_time,
            stale: data.is_stale(candle.event_time),
            source,
        }
    }

    fn stored(data: &Data, row: &CandleRow, source: &'a str) -> Latest<'a> {
        Latest::cached(data, &LatestCandle::unpublished(row, Interval::OneMinute), source)
    }
}

#[derive(Serialize)]
struct All<'a> {
    #[serde(with = "rfc3339")]
    timestamp: EventTime,
    prices: BTreeMap<Symbol, Latest<'a>>,
    cache_hit_rate: String,
    source: &'a str,
}

/// Returns the newest candle of a symbol.
pub(crate) async fn one(data: &Data, symbol: Symbol, query: Option<&str>) -> Result<Response, Problem> {
    Query::none(query)?;
    let source = data.pipeline.source();
    let cached = data.cache.latest(symbol).await.unwrap_or_else(|error| {
        tracing::warn!(store = data.cache.name(), error = chain(&error), "falling back to the history");
        None
    });
    let hit = cached.is_some();
    let latest = match cached {
        Some(candle) => Latest::cached(data, &candle, &source),
        None => {
            let row = newest_closed(data, symbol, Interval::OneMinute).await?;
            Latest::stored(data, &row.ok_or_else(|| Problem::unknown_symbol(symbol))?, &source)
        }
    };
    let mut response = response::json(StatusCode::OK, &latest)?;
    describe(data, &mut response, hit, Some(latest.event_time));
    Ok(response)
}

/// Returns the newest candle of every symbol.
pub(crate) async fn all(data: &Data, query: Option<&str>) -> Result<Response, Problem> {
    Query::none(query)?;
    let source = data.pipeline.source();
    let cached = data.cache.latest_all().await;
    let settled = data.history.symbols().await;
    let (cached, settled) = match (cached, settled) {
        (Ok(cached), Ok(settled)) => (cached, settled),
        (Ok(cached), Err(error)) => {
            tracing::warn!(
                store = data.history.name(),
                error = chain(&error),
                "answering from the cache alone"
            );
            (cached, Vec::new())
        }
        (Err(error), Ok(settled)) => {
            tracing::warn!(store = data.cache.name(), error = chain(&error), "falling back to the history");
            (Vec::new(), settled)
        }
        (Err(_), Err(error)) => return Err(error.into()),
    };
    let mut prices: BTreeMap<Symbol, Latest> =
        cached.iter().map(|candle| (candle.symbol, Latest::cached(data, candle, &source))).collect();
    let hits = prices.len();
    let missed: Vec<Symbol> = settled.into_iter().filter(|symbol| !prices.contains_key(symbol)).collect();
    let mut stored = stream::iter(missed)
        .map(|symbol| newest_closed(data, symbol, Interval::OneMinute))
        .buffer_unordered(LOOKUPS);
    while let Some(row) = stored.try_next().await? {
        prices.extend(row.map(|row| (row.symbol, Latest::stored(data, &row, &source))));
    }

    let hit_rate = if prices.is_empty() { 100.0 } else { 100.0 * hits as f64 / prices.len() as f64 };
    let newest = prices.values().map(|latest| latest.event_time).max();
    let hit = hits == prices.len();
    let all =
        All { timestamp: data.now(), prices, cache_hit_rate: format!("{hit_rate:.1}%"), source: &source };
    let mut response = response::json(StatusCode::OK, &all)?;
    describe(data, &mut response, hit, newest);
    Ok(response)
}

/// Adds headers with the store that the data comes from and the age of the newest event.
fn describe(data: &Data, response: &mut Response, hit: bool, event_time: Option<EventTime>) {
    let (source, hit) = if hit { (data.cache.name(), "true") } else { (data.history.name(), "false") };
    set_header(response, headers::DATA_SOURCE, HeaderValue::from_static(source));
    set_header(response, headers::CACHE_HIT, HeaderValue::from_static(hit));
    if let Some(event_time) = event_time {
        set_header(response, headers::DATA_AGE, thousandths(data.age_ms(event_time).into()));
    }
}
