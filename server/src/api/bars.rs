//! The bars of a chart: the closed candles of a range and, at the right end, the candle that is
//! still open.
//!
//! The open candle is included for settled intervals only, and only if it is newer than the newest
//! closed candle: it comes from the cache, which may lag behind. In the seconds between the end of
//! a window and its settling, the cache already has the next window, and the ended window is in
//! neither store. Until the ended window has settled, the next window is left out: a client reads
//! bars that end early again, but not a hole in them. A window without ticks has no bar.

use crate::api::history::{closed_until, newest_closed};
use crate::app::Data;
use std::sync::Arc;
use tallow_model::Error;
use tallow_model::error::chain;
use tallow_model::rows::{CandleRow, LatestCandle};
use tallow_model::store::{CandleQuery, Direction, Span};
use tallow_model::{EventTime, Interval, MINUTE_MS, Symbol};

/// A bar of a chart.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bar {
    /// Start of the window.
    pub(crate) start: EventTime,
    pub(crate) open: f64,
    pub(crate) high: f64,
    pub(crate) low: f64,
    pub(crate) close: f64,
    /// Sum of the traded sizes; 0 for a feed without sizes. A rolling 24-hour volume is not the
    /// volume of a bar.
    pub(crate) volume: f64,
    /// Sum of price × size; 0 for a feed without sizes.
    pub(crate) quote_volume: f64,
    /// The number of ticks.
    pub(crate) trades: u64,
}

impl From<&CandleRow> for Bar {
    fn from(row: &CandleRow) -> Bar {
        Bar {
            start: row.window_start,
            open: row.open_price,
            high: row.high_price,
            low: row.low_price,
            close: row.close_price,
            volume: row.vwap.map_or(0.0, |_| row.volume_sum),
            quote_volume: row.quote_volume,
            trades: row.trade_count,
        }
    }
}

/// Returns the span of `minutes` minutes: 1, 5, or a multiple of 15.
pub(crate) const fn span(minutes: u64) -> Span {
    let base = match minutes {
        1 => Interval::OneMinute,
        5 => Interval::FiveMinutes,
        _ => Interval::FifteenMinutes,
    };
    Span { base, window_ms: minutes * MINUTE_MS }
}

/// Returns the bars of a query, oldest first. If there are more than the limit, an ascending query
/// keeps the oldest and a descending query the newest.
pub(crate) async fn bars(data: &Data, query: &CandleQuery) -> Result<Vec<Bar>, Error> {
    // A window starts at or after a time exactly if it starts at or after the next multiple of its
    // length.
    let aligned = |time: EventTime| EventTime(time.millis().next_multiple_of(query.span.window_ms));
    let (from, until) = (query.from.map(aligned), query.until.map(aligned));
    if until.is_some_and(|until| from.unwrap_or(EventTime(0)) >= until) {
        return Ok(Vec::new());
    }
    let within =
        |start: EventTime| from.is_none_or(|from| start >= from) && until.is_none_or(|until| start < until);
    let open = open(data, query).await.filter(|candle| within(start(candle)));

    let closed = closed_until(data, query.span);
    let until = match (until, closed) {
        (Some(until), Some(closed)) => Some(until.min(closed)),
        (until, closed) => until.or(closed),
    };
    let page = data.history.candles(&CandleQuery { from, until, ..query.clone() }).await?;
    let mut bars: Vec<Bar> = page.rows.iter().map(Bar::from).collect();
    if query.direction == Direction::Descending {
        bars.reverse();
    }
    let has_room = bars.len() < query.limit;
    let Some(open) = open.filter(|_| has_room || query.direction == Direction::Descending) else {
        return Ok(bars);
    };
    if let Some(bar) = newer(data, query.symbol, query.span.base, &open).await? {
        bars.push(bar);
        let surplus = bars.len().saturating_sub(query.limit);
        bars.drain(..surplus);
    }
    Ok(bars)
}

/// Returns the open candle of a settled interval, as far as the cache knows.
async fn open(data: &Data, query: &CandleQuery) -> Option<Arc<LatestCandle>> {
    if query.span.window_ms != query.span.base.millis() {
        return None;
    }
    let newest = data.cache.newest(query.symbol, query.span.base).await.unwrap_or_else(|error| {
        tracing::warn!(store = data.cache.name(), error = chain(&error), "bars without the open one");
        None
    });
    newest.filter(|candle| !candle.is_closed)
}

fn start(candle: &LatestCandle) -> EventTime {
    EventTime(candle.window_start.saturating_mul(1000))
}

/// Returns the bar of the open candle if it is newer than every closed candle and no window between
/// them may still settle.
async fn newer(
    data: &Data,
    symbol: Symbol,
    interval: Interval,
    open: &LatestCandle,
) -> Result<Option<Bar>, Error> {
    let closed = newest_closed(data, symbol, interval).await?;
    if closed.as_ref().is_some_and(|closed| closed.window_start >= start(open)) {
        return Ok(None);
    }
    let adjoins = closed.as_ref().is_some_and(|closed| closed.window_end == start(open));
    let may_settle = data.pipeline.status().watermark.is_some_and(|watermark| watermark <= start(open));
    if !adjoins && may_settle {
        return Ok(None);
    }
    // Without a quote volume the volume is a rolling one, or an old version published the candle.
    let (volume, quote_volume) = open.quote_volume.map_or((0.0, 0.0), |quote| (open.volume_sum, quote));
    Ok(Some(Bar {
        start: start(open),
        open: open.open,
        high: open.high,
        low: open.low,
        close: open.close,
        volume,
        quote_volume,
        trades: open.event_count,
    }))
}
