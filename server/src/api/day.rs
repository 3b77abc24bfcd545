//! The last 24 hours of a symbol.
//!
//! The figures are made of the settled 15-minute candles that start within 24 hours before now, and
//! of the minutes that have settled since the last of them: at most 97 quarters and some thirty
//! minutes of each symbol, all symbols in one query. The newest price is that of the open candle if
//! the cache has one; the volume is of settled candles only.

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
    /// The highest and the lowest price of the candle that the price is from.
    high: f64,
    low: f64,
    /// Event time of the newest tick, or the end of the window of a closed candle.
    pub(crate) time: EventTime,
}

/// Statistics of the last 24 hours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Day {
    /// The newest price.
    pub(crate) last: Price,
    /// Start of the first candle.
    pub(crate) start: EventTime,
    /// The close of the quarter just before the first candle; `None` without such a quarter.
    pub(crate) previous_close: Option<f64>,
    pub(crate) open: f64,
    pub(crate) high: f64,
    pub(crate) low: f64,
    pub(crate) volume: f64,
    pub(crate) quote_volume: f64,
    /// The number of ticks.
    pub(crate) trades: u64,
}

impl Day {
    /// The figures of a day without a settled candle.
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

    /// Returns the newest price against the open, in percent.
    pub(crate) fn change_percent(&self) -> f64 {
        (self.last.value / self.open - 1.0) * 100.0
    }
}

/// Returns the newest candle of every symbol that the cache has; none if the cache can't be read.
pub(crate) async fn newest(data: &Data) -> BTreeMap<Symbol, Arc<LatestCandle>> {
    let newest = data.cache.latest_all().await.unwrap_or_else(|error| {
        tracing::warn!(store = data.cache.name(), error = chain(&error), "falling back to the history");
        Vec::new()
    });
    newest.into_iter().map(|candle| (candle.symbol, candle)).collect()
}

/// Returns the newest candle of a symbol; `None` also if the cache can't be read.
pub(crate) async fn newest_of(data: &Data, symbol: Symbol) -> Option<Arc<LatestCandle>> {
    data.cache.latest(symbol).await.unwrap_or_else(|error| {
        tracing::warn!(store = data.cache.name(), error = chain(&error), "falling back to the history");
        None
    })
}

/// Returns the newest price: that of the cached candle, else that of the newest closed candle.
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

/// Returns what has settled in the last 24 hours: of one symbol, or of every symbol with a settled
/// candle.
pub(crate) async fn settled(
    data: &Data,
    symbol: Option<Symbol>,
) -> Result<BTreeMap<Symbol, RollingWindow>, Error> {
    let from_ms = data.now().millis().saturating_sub(DAY_MS).next_multiple_of(QUARTER_MS);
    let settled = data.history.recent(symbol, EventTime(from_ms)).await?;
    Ok(settled.into_iter().map(|recent| (recent.symbol, recent)).collect())
}

/// Combines the settled figures with the newest price; `None` if no price is known.
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
