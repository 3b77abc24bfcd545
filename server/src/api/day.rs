//! The last 24 hours of a symbol.
//!
//! They are the settled candles that start within 24 hours before now, by the quarter of an hour, and the minutes that
//! have settled since the last quarter: at most 97 quarters and some thirty minutes of each symbol, for all of them in one
//! query. The newest price is that of the open candle where the cache has one; the traded volume is of settled candles alone.

use crate::api::history::newest_closed;
use crate::app::Data;
use std::collections::BTreeMap;
use std::sync::Arc;
use tallow_model::Error;
use tallow_model::error::chain;
use tallow_model::rows::LatestCandle;
use tallow_model::store::RollingWindow;
use tallow_model::{EventTime, Interval, Symbol};

const DAY_MS: u64 = 24 * 60 * Interval::OneMinute.millis();
const QUARTER_MS: u64 = Interval::FifteenMinutes.millis();

/// The newest price of a symbol.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Price {
    pub(crate) value: f64,
    /// The highest and the lowest of the candle it is from.
    high: f64,
    low: f64,
    /// Event time of the newest tick, or the end of the window of a closed candle.
    pub(crate) time: EventTime,
}

/// Figures over the last 24 hours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Day {
    /// The newest price.
    pub(crate) last: Price,
    /// Start of the first candle.
    pub(crate) start: EventTime,
    /// The close before the first candle, where that is the quarter just before it.
    pub(crate) previous_close: Option<f64>,
    pub(crate) open: f64,
    pub(crate) high: f64,
    pub(crate) low: f64,
    /// Sum of the traded sizes.
    pub(crate) volume: f64,
    /// Sum of price × size.
    pub(crate) quote_volume: f64,
    /// How many ticks.
    pub(crate) trades: u64,
}

impl Day {
    /// A day in which nothing has settled.
    pub(crate) fn quiet(last: Price) -> Day {
        let price = last.value;
        Day {
            last,
            start: last.time,
            previous_close: None,
            open: price,
            high: price,
            low: price,
            volume: 0.0,
            quote_volume: 0.0,
            trades: 0,
        }
    }

    /// The newest price against the open, in percent.
    pub(crate) fn change_percent(&self) -> f64 {
        (self.last.value / self.open - 1.0) * 100.0
    }
}

/// The newest candle of every symbol that the cache has; none where it can't answer.
pub(crate) async fn newest(data: &Data) -> BTreeMap<Symbol, Arc<LatestCandle>> {
    let newest = data.cache.latest_all().await.unwrap_or_else(|error| {
        tracing::warn!(store = data.cache.name(), error = chain(&error), "falling back to the history");
        Vec::new()
    });
    newest.into_iter().map(|candle| (candle.symbol, candle)).collect()
}

/// The newest candle of one symbol, likewise.
pub(crate) async fn newest_of(data: &Data, symbol: Symbol) -> Option<Arc<LatestCandle>> {
    data.cache.latest(symbol).await.unwrap_or_else(|error| {
        tracing::warn!(store = data.cache.name(), error = chain(&error), "falling back to the history");
        None
    })
}

/// The newest price: of the candle that the cache has, else of the newest closed one.
pub(crate) async fn price(
    data: &Data,
    symbol: Symbol,
    cached: Option<&LatestCandle>,
) -> Result<Option<Price>, Error> {
    if let Some(candle) = cached {
        let (value, high, low) = (candle.close, candle.high, candle.low);
        return Ok(Some(Price { value, high, low, time: candle.event_time }));
    }
    let row = newest_closed(data, symbol, Interval::OneMinute).await?;
    Ok(row.map(|row| Price {
        value: row.close_price,
        high: row.high_price,
        low: row.low_price,
        time: row.window_end,
    }))
}

/// What has settled in the last 24 hours of each symbol of which anything has, or of one alone.
pub(crate) async fn settled(
    data: &Data,
    symbol: Option<Symbol>,
) -> Result<BTreeMap<Symbol, RollingWindow>, Error> {
    let from_ms = data.now().millis().saturating_sub(DAY_MS).next_multiple_of(QUARTER_MS);
    let settled = data.history.recent(symbol, EventTime(from_ms)).await?;
    Ok(settled.into_iter().map(|recent| (recent.symbol, recent)).collect())
}

/// The figures of what has settled and of the newest price; none where that is not known.
pub(crate) async fn day(
    data: &Data,
    settled: &RollingWindow,
    cached: Option<&LatestCandle>,
) -> Result<Option<Day>, Error> {
    let Some(last) = price(data, settled.symbol, cached).await? else { return Ok(None) };
    Ok(Some(Day {
        last,
        start: settled.start,
        previous_close: settled.previous_close,
        open: settled.open,
        high: settled.high.max(last.high),
        low: settled.low.min(last.low),
        volume: settled.volume,
        quote_volume: settled.quote_volume,
        trades: settled.trades,
    }))
}
