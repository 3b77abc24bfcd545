//! The traits between the pipeline, its stores and the server. Embedded and external stores
//! implement the same ones.
//!
//! - [`Sink`]: writes settled changes. Blocking, on a thread of its own.
//! - [`History`]: reads settled candles and alerts.
//! - [`Publish`]: publishes to a cache. Never blocking.
//! - [`Cache`]: reads the newest candle of each symbol, and the stream of updates.
//! - [`Pipeline`]: reports the status of the running dataflow.

use crate::distribution::Distribution;
use crate::error::Error;
use crate::rows::{AlertMessage, AlertRow, CandleRow, LatestCandle, optional_rfc3339};
use crate::{
    Counts, EventTime, Interval, LiveCandle, MAX_EVENT_TIME, PartitionProgress, Reject, Severity, Step,
    Symbol,
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::Arc;

/// The number of rejects that a store keeps: the newest ones.
pub const MAX_KEPT_REJECTS: usize = 100_000;

/// The number of bytes of a rejected record that a store keeps: the first ones.
pub const MAX_RAW_BYTES: usize = 16 * 1024;

/// Writes settled changes into a store.
pub trait Sink: Send {
    /// Returns the sink's name in logs, metrics and `/health`.
    fn name(&self) -> &'static str;

    /// Stores all changes of these steps, or none of them.
    ///
    /// Storing the same steps again changes nothing, and an older version of a candle or alert
    /// never replaces a newer one.
    ///
    /// # Errors
    /// Nothing has been stored; [`Error::action`] says what to do.
    fn write(&mut self, steps: &[Step]) -> Result<(), Error>;

    /// Keeps rejected records, up to a bound: the newest stay.
    ///
    /// Writing the same rejects again changes nothing. Two rejects are the same if they agree in
    /// partition, offset, time of writing and bytes: the offsets of a log that was created again
    /// start at 0 again.
    ///
    /// # Errors
    /// None has been kept; [`Error::action`] says what to do.
    fn write_rejects(&mut self, rejects: &[Reject]) -> Result<(), Error>;

    /// Returns the time below which every change is in the store, those of earlier runs included;
    /// `None` while that is unknown.
    fn stored_through(&self) -> Option<EventTime>;
}

/// The interval of a query: a settled interval, or a multiple of one. Of rolled-up windows a query
/// returns only those that have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// The settled interval that is read.
    pub base: Interval,
    /// The length of the returned windows in milliseconds: that of `base`, or a multiple of it.
    pub window_ms: u64,
}

impl From<Interval> for Span {
    fn from(base: Interval) -> Span {
        Span { base, window_ms: base.millis() }
    }
}

impl Span {
    /// Checks that the windows can be made of candles of the base.
    ///
    /// # Errors
    /// If the length is no multiple of the base, or is longer than time.
    pub fn check(self) -> Result<(), Error> {
        let (base, window_ms) = (self.base, self.window_ms);
        if window_ms == 0 || window_ms > MAX_EVENT_TIME.millis() || !window_ms.is_multiple_of(base.millis()) {
            return Err(Error::Invalid(format!(
                "windows of {window_ms} ms can't be rolled up from {base} candles"
            )));
        }
        Ok(())
    }
}

/// The order of the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The oldest row first.
    Ascending,
    /// The newest row first.
    Descending,
}

/// A query for candles of one symbol.
#[derive(Clone, Debug, PartialEq)]
pub struct CandleQuery {
    /// The market's symbol.
    pub symbol: Symbol,
    /// The interval of the windows.
    pub span: Span,
    /// Windows that start at or after this.
    pub from: Option<EventTime>,
    /// Windows that start before this.
    pub until: Option<EventTime>,
    /// The order of the rows.
    pub direction: Direction,
    /// Only windows that come after the one that starts here, in the query's order: the page after
    /// one that ended with it, whatever has settled before it meanwhile.
    pub after: Option<EventTime>,
    /// The greatest number of rows.
    pub limit: usize,
    /// The number of rows to leave out first.
    pub offset: usize,
    /// Whether to count all rows, which may cost more than reading them.
    pub counted: bool,
}

impl CandleQuery {
    /// Returns the query for every candle, oldest first, without their number.
    pub fn all(symbol: Symbol, span: impl Into<Span>) -> CandleQuery {
        CandleQuery {
            symbol,
            span: span.into(),
            from: None,
            until: None,
            direction: Direction::Ascending,
            after: None,
            limit: usize::MAX,
            offset: 0,
            counted: false,
        }
    }

    /// Returns the query for the newest candle alone.
    pub fn newest(symbol: Symbol, span: impl Into<Span>) -> CandleQuery {
        CandleQuery { direction: Direction::Descending, limit: 1, ..CandleQuery::all(symbol, span) }
    }

    /// Returns the part of a range of window starts that `after` leaves.
    pub fn rest(&self, starts: Range<EventTime>) -> Range<EventTime> {
        match (self.after, self.direction) {
            (None, _) => starts,
            (Some(EventTime(after)), Direction::Ascending) => {
                starts.start.max(EventTime(after.saturating_add(1)))..starts.end
            }
            (Some(after), Direction::Descending) => starts.start..starts.end.min(after),
        }
    }
}

/// A page of candles.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CandlePage {
    /// The rows of the page.
    pub rows: Vec<CandleRow>,
    /// The number of rows without `after`, limit and offset, if the query counts.
    pub total: Option<u64>,
}

/// Statistics of a range of closed candles.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CandleStats {
    /// The start of the first window.
    pub first: EventTime,
    /// The end of the last window.
    pub last: EventTime,
    /// The lowest low of the range.
    pub lowest_price: f64,
    /// The highest high of the range.
    pub highest_price: f64,
    /// The mean price, all ticks weighted equally.
    pub average_price: f64,
    /// The sum of the traded sizes. Rolling 24-hour volumes are not summed.
    pub total_volume: f64,
    /// The number of candles.
    pub candle_count: u64,
    /// The open of the first candle.
    pub first_open: f64,
    /// The close of the last candle.
    pub last_close: f64,
    /// The sample standard deviation (n − 1) of the simple returns, close / previous close − 1,
    /// from each candle of the range to the next, adjoining or not: a fraction, not annualised.
    /// `None` for fewer than three candles.
    pub volatility: Option<f64>,
    /// Pearson's correlation between a candle's traded volume and the absolute value of its simple
    /// return, over the candles that have both. `None` if either does not vary.
    pub volume_price_correlation: Option<f64>,
}

/// The figures of a rolling window of one symbol, made of its quarters of an hour and of the
/// minutes since the last of them.
#[derive(Clone, Debug, PartialEq)]
pub struct RollingWindow {
    /// The market's symbol.
    pub symbol: Symbol,
    /// The start of the first candle.
    pub start: EventTime,
    /// The close of the quarter that ends where the window starts, if there is one.
    pub previous_close: Option<f64>,
    /// The open of the first candle.
    pub open: f64,
    /// The highest high of the window.
    pub high: f64,
    /// The lowest low of the window.
    pub low: f64,
    /// The sum of the traded sizes. Rolling 24-hour volumes are not summed.
    pub volume: f64,
    /// The sum of price × size.
    pub quote_volume: f64,
    /// The number of ticks.
    pub trades: u64,
}

impl RollingWindow {
    /// Returns the figures of the first candle alone.
    pub fn of(first: &CandleRow, previous_close: Option<f64>) -> RollingWindow {
        RollingWindow {
            symbol: first.symbol,
            start: first.window_start,
            previous_close,
            open: first.open_price,
            high: first.high_price,
            low: first.low_price,
            volume: first.vwap.map_or(0.0, |_| first.volume_sum),
            quote_volume: first.quote_volume,
            trades: first.trade_count,
        }
    }

    /// Adds the next candle.
    pub fn add(&mut self, next: &CandleRow) {
        self.high = self.high.max(next.high_price);
        self.low = self.low.min(next.low_price);
        self.volume += next.vwap.map_or(0.0, |_| next.volume_sum);
        self.quote_volume += next.quote_volume;
        self.trades += next.trade_count;
    }
}

/// A query for alerts: newest window first, alerts of the same window by id.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertQuery {
    /// The market's symbol; `None` for all symbols.
    pub symbol: Option<Symbol>,
    /// Windows that end at or after this.
    pub since: Option<EventTime>,
    /// Windows that end before this.
    pub until: Option<EventTime>,
    /// Only alerts of this severity.
    pub severity: Option<Severity>,
    /// Whether to include alerts that a correction has retracted.
    pub include_retracted: bool,
    /// The greatest number of rows.
    pub limit: usize,
}

/// Reads settled candles and alerts.
#[async_trait]
pub trait History: Send + Sync {
    /// Returns the store's name in `X-Data-Source` and `/health`.
    fn name(&self) -> &'static str;

    /// Checks that the store can be reached.
    ///
    /// # Errors
    /// If it can't, with the reason.
    async fn ping(&self) -> Result<(), Error>;

    /// Reads all symbols, sorted.
    ///
    /// # Errors
    /// If the store can't answer.
    async fn symbols(&self) -> Result<Vec<Symbol>, Error>;

    /// Reads closed candles.
    ///
    /// # Errors
    /// If the store can't answer.
    async fn candles(&self, query: &CandleQuery) -> Result<CandlePage, Error>;

    /// Computes the statistics of a query's candles, its limit and offset aside; `None` if there
    /// are no candles.
    ///
    /// # Errors
    /// If the store can't answer.
    async fn stats(&self, query: &CandleQuery) -> Result<Option<CandleStats>, Error>;

    /// Reads the rolling window from this time on, of one symbol or of every symbol that has
    /// settled candles in it; sorted by symbol.
    ///
    /// # Errors
    /// If the store can't answer.
    async fn recent(&self, symbol: Option<Symbol>, from: EventTime) -> Result<Vec<RollingWindow>, Error>;

    /// Reads alerts.
    ///
    /// # Errors
    /// If the store can't answer.
    async fn alerts(&self, query: &AlertQuery) -> Result<Vec<AlertRow>, Error>;
}

/// An update for every subscriber, serialised once: `json` is the `data` of a WebSocket frame.
#[derive(Clone, Debug)]
pub enum Update {
    /// A candle that moved, closed or was corrected.
    Candle {
        /// The candle.
        candle: Arc<LatestCandle>,
        /// The candle's JSON.
        json: Arc<str>,
    },
    /// An alert raised or retracted.
    Alert {
        /// The alert.
        alert: Arc<AlertMessage>,
        /// The alert's JSON.
        json: Arc<str>,
    },
    /// Candles and alerts may be missing here that will not come any more. Sequence numbers reveal
    /// missing candles only, and not those that were dropped before they were numbered.
    Gap,
}

/// Reads the newest candles, and subscribes to the stream of updates.
#[async_trait]
pub trait Cache: Send + Sync {
    /// Returns the cache's name in `X-Data-Source` and `/health`.
    fn name(&self) -> &'static str;

    /// Checks that the cache can be reached.
    ///
    /// # Errors
    /// If it can't, with the reason.
    async fn ping(&self) -> Result<(), Error>;

    /// Reads the newest one-minute candle of a symbol, open or closed.
    ///
    /// # Errors
    /// If the cache can't answer.
    async fn latest(&self, symbol: Symbol) -> Result<Option<Arc<LatestCandle>>, Error>;

    /// Reads the newest one-minute candles of all symbols, sorted by symbol.
    ///
    /// # Errors
    /// If the cache can't answer.
    async fn latest_all(&self) -> Result<Vec<Arc<LatestCandle>>, Error>;

    /// Reads the newest published candle of a symbol and interval.
    ///
    /// # Errors
    /// If the cache can't answer.
    async fn newest(&self, symbol: Symbol, interval: Interval) -> Result<Option<Arc<LatestCandle>>, Error>;

    /// Subscribes to every update from now on. A receiver that falls behind learns how many it
    /// missed.
    fn subscribe(&self) -> tokio::sync::broadcast::Receiver<Update>;
}

/// Publishes to a cache: open candles, and everything that settles. Never blocks.
pub trait Publish: Send + Sync {
    /// Publishes open candles.
    fn publish_live(&self, candles: &[LiveCandle]);

    /// Publishes settled changes: every candle, corrections of old windows included, then every
    /// alert.
    fn publish_settled(&self, step: &Step);
}

/// The status of one sink.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SinkStatus {
    /// The sink's name.
    pub name: String,
    /// The number of steps that wait to be written.
    pub queue: u64,
    /// The number of writes that were retried.
    pub retries: u64,
    /// Everything with a logical time below this has been stored.
    #[serde(with = "optional_rfc3339")]
    pub stored_through: Option<EventTime>,
    /// The reason why the sink does not write at the moment, if it does not.
    pub problem: Option<String>,
    /// The time until a write was stored, in seconds; measured in the process that writes.
    #[serde(skip)]
    pub write_seconds: Option<Distribution>,
}

/// The status of one partition of the log.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PartitionStatus {
    /// The progress of reading.
    pub progress: PartitionProgress,
    /// The number of records written and not yet read, if known.
    pub pending: Option<u64>,
    /// The time since a record was last read, in seconds of the clock; known in the process that
    /// reads.
    pub silent_seconds: Option<f64>,
}

/// The status of the dataflow of one pipeline.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PipelineStatus {
    /// The source of the ticks: `simulated`, `coingecko`, …
    pub source: String,
    /// Whether the pipeline has caught up with its log and serves the present.
    pub ready: bool,
    /// The buckets of the records read.
    pub counts: Counts,
    /// The frontier: everything with a logical time below it is settled.
    pub watermark: Option<EventTime>,
    /// The newest event time seen.
    pub max_event_time: Option<EventTime>,
    /// The time from the end of a window until its candle was settled for the first time, in
    /// seconds of the clock. Counted in the process that settles, once it has caught up with the
    /// log.
    pub close_seconds: Option<Distribution>,
    /// Candles settled for the first time, by interval in the order of `Interval::ALL`.
    pub candles_settled: [u64; 3],
    /// Corrections, by interval in the order of `Interval::ALL`.
    pub corrections: [u64; 3],
    /// Alerts raised, by severity in the order of `Severity::ALL`.
    pub alerts_raised: [u64; 3],
    /// The number of alerts retracted.
    pub alerts_retracted: u64,
    /// The partitions that are read here, by number.
    pub partitions: Vec<PartitionStatus>,
    /// The log and the sinks.
    pub sinks: Vec<SinkStatus>,
    /// The checkpoints; `None` if none are taken.
    pub checkpoint: Option<CheckpointFigures>,
    /// The failure that ended the pipeline, if it has failed.
    pub failure: Option<String>,
}

/// The status of a pipeline's checkpoints.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CheckpointFigures {
    /// The frontier of the newest stored checkpoint.
    #[serde(with = "optional_rfc3339")]
    pub frontier: Option<EventTime>,
    /// The time at which it was stored, by the clock.
    #[serde(with = "optional_rfc3339")]
    pub stored_at: Option<EventTime>,
    /// The number of bytes of that checkpoint.
    pub bytes: u64,
    /// The time that storing it took, waits for the sinks included.
    pub duration_seconds: f64,
    /// The number of checkpoints stored.
    pub stored: u64,
    /// The number of parts given up, because a newer one came first or they could not be stored.
    pub given_up: u64,
    /// The time that resuming from a checkpoint took at the start: reading it, and restoring the
    /// graph's state.
    pub restore_seconds: Option<f64>,
}

impl CheckpointFigures {
    /// Combines the figures of two processes of one pipeline: a checkpoint is stored once both have
    /// stored their parts.
    pub fn with(&self, other: &CheckpointFigures) -> CheckpointFigures {
        CheckpointFigures {
            frontier: self.frontier.min(other.frontier),
            stored_at: self.stored_at.max(other.stored_at).filter(|_| self.stored.min(other.stored) > 0),
            bytes: self.bytes + other.bytes,
            duration_seconds: self.duration_seconds.max(other.duration_seconds),
            stored: self.stored.min(other.stored),
            given_up: self.given_up + other.given_up,
            restore_seconds: [self.restore_seconds, other.restore_seconds]
                .into_iter()
                .flatten()
                .reduce(f64::max),
        }
    }
}

/// Reports the status of the running dataflow.
pub trait Pipeline: Send + Sync {
    /// Returns the current status.
    fn status(&self) -> PipelineStatus;

    /// Returns the name of the tick source; cheaper than `status` for callers on every request.
    fn source(&self) -> String {
        self.status().source
    }
}
