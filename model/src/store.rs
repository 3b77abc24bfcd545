//! The traits between the pipeline, its stores and the server. The embedded and the real ones implement the same.
//!
//! - [`Sink`]: takes what has settled. Blocking, on a thread of its own.
//! - [`History`]: answers queries over settled candles and alerts.
//! - [`Publish`]: takes what a cache shows. Never blocking.
//! - [`Cache`]: the newest candle of each symbol, and the stream of updates.
//! - [`Pipeline`]: what the running dataflow says of itself.

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

/// How many rejects a store keeps; of more, the newest.
pub const MAX_KEPT_REJECTS: usize = 100_000;

/// How many bytes of a rejected record a store keeps; of a longer one, the first.
pub const MAX_RAW_BYTES: usize = 16 * 1024;

/// Takes settled changes into a store.
pub trait Sink: Send {
    /// The sink's name in logs, metrics and `/health`.
    fn name(&self) -> &'static str;

    /// Stores the changes of these steps, all of them or none. Storing the same steps again changes nothing, and an
    /// older version of a candle or alert never replaces a newer one.
    ///
    /// # Errors
    /// Nothing has been stored; [`Error::action`] says what to do.
    fn write(&mut self, steps: &[Step]) -> Result<(), Error>;

    /// Keeps records that were not accepted, as far as the store has a place for them: a bounded one, the newest stay.
    /// Writing the same ones again changes nothing. The same are those of the same place, time of writing and bytes: the
    /// offsets of a log that is made anew begin again.
    ///
    /// # Errors
    /// None has been kept; [`Error::action`] says what to do.
    fn write_rejects(&mut self, rejects: &[Reject]) -> Result<(), Error>;

    /// Every change with a logical time below this is in the store, this run's and those of the runs before. None
    /// while nothing is known.
    fn stored_through(&self) -> Option<EventTime>;
}

/// The interval of a query: settled, or rolled up from settled ones. Of the rolled-up windows only those that are over
/// are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// The settled interval that is read.
    pub base: Interval,
    /// The length of the windows answered, in milliseconds: that of `base` or a multiple.
    pub window_ms: u64,
}

impl From<Interval> for Span {
    fn from(base: Interval) -> Span {
        Span { base, window_ms: base.millis() }
    }
}

impl Span {
    /// Whether the windows can be made of candles of the base.
    ///
    /// # Errors
    /// When they can't: they are no multiple, or longer than time.
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

/// Newest or oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Oldest first.
    Ascending,
    /// Newest first.
    Descending,
}

/// Which candles of a symbol to read.
#[derive(Clone, Debug, PartialEq)]
pub struct CandleQuery {
    /// Whose.
    pub symbol: Symbol,
    /// How long the windows are.
    pub span: Span,
    /// Windows that start at or after this.
    pub from: Option<EventTime>,
    /// Windows that start before this.
    pub until: Option<EventTime>,
    /// In which order.
    pub direction: Direction,
    /// Only those that come after the window that starts here, in that order; so the page after one that ended with it,
    /// whatever has settled before it meanwhile.
    pub after: Option<EventTime>,
    /// At most so many.
    pub limit: usize,
    /// After leaving out so many.
    pub offset: usize,
    /// Whether to say how many there are in all, which may cost more than the rows.
    pub counted: bool,
}

impl CandleQuery {
    /// Every candle, oldest first, without their number.
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

    /// The newest candle alone.
    pub fn newest(symbol: Symbol, span: impl Into<Span>) -> CandleQuery {
        CandleQuery { direction: Direction::Descending, limit: 1, ..CandleQuery::all(symbol, span) }
    }

    /// What `after` leaves of windows that start in this range.
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

/// Candles read, and how many there are in all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CandlePage {
    /// The rows asked for.
    pub rows: Vec<CandleRow>,
    /// How many rows the query has without `after`, limit and offset, if it asks.
    pub total: Option<u64>,
}

/// Figures over a range of closed candles.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CandleStats {
    /// Start of the first window; none where there are no candles.
    pub first: EventTime,
    /// End of the last window.
    pub last: EventTime,
    /// The lowest low.
    pub lowest_price: f64,
    /// The highest high.
    pub highest_price: f64,
    /// Mean price, every tick weighing the same.
    pub average_price: f64,
    /// Sum of the traded sizes. Rolling 24-hour volumes are not added up.
    pub total_volume: f64,
    /// How many candles.
    pub candle_count: u64,
    /// The first open.
    pub first_open: f64,
    /// The last close.
    pub last_close: f64,
    /// Sample standard deviation (n − 1) of the simple returns, close / previous close − 1, from each candle of the
    /// range to the next, adjoining or not; a fraction, not annualised. None with fewer than three candles.
    pub volatility: Option<f64>,
    /// Pearson's correlation between a candle's traded volume and the absolute value of its simple return, over the
    /// candles that have both. None where either does not vary.
    pub volume_price_correlation: Option<f64>,
}

/// What has settled of a symbol from a time on: its quarters of an hour, and the minutes since the last of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Recent {
    /// Whose.
    pub symbol: Symbol,
    /// Start of the first candle.
    pub start: EventTime,
    /// The close of the quarter that ends at the time, if there is one.
    pub previous_close: Option<f64>,
    /// The first open.
    pub open: f64,
    /// The highest high.
    pub high: f64,
    /// The lowest low.
    pub low: f64,
    /// Sum of the traded sizes. Rolling 24-hour volumes are not added up.
    pub volume: f64,
    /// Sum of price × size.
    pub quote_volume: f64,
    /// How many ticks.
    pub trades: u64,
}

impl Recent {
    /// Of the first candle alone.
    pub fn of(first: &CandleRow, previous_close: Option<f64>) -> Recent {
        Recent {
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

/// Which alerts to read: newest window first, those of the same window by id.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertQuery {
    /// Whose; none for every symbol's.
    pub symbol: Option<Symbol>,
    /// Windows that end at or after this.
    pub since: Option<EventTime>,
    /// Windows that end before this.
    pub until: Option<EventTime>,
    /// Only of this severity.
    pub severity: Option<Severity>,
    /// With those that a correction has undone.
    pub include_retracted: bool,
    /// At most so many.
    pub limit: usize,
}

/// Reads what has settled.
#[async_trait]
pub trait History: Send + Sync {
    /// The store's name in `X-Data-Source` and `/health`.
    fn name(&self) -> &'static str;

    /// Whether it can be reached.
    ///
    /// # Errors
    /// When not, and why.
    async fn ping(&self) -> Result<(), Error>;

    /// Every symbol it has, sorted.
    ///
    /// # Errors
    /// When the store can't answer.
    async fn symbols(&self) -> Result<Vec<Symbol>, Error>;

    /// Closed candles.
    ///
    /// # Errors
    /// When the store can't answer.
    async fn candles(&self, query: &CandleQuery) -> Result<CandlePage, Error>;

    /// Figures over the candles of a query, its limit and offset aside; none where there are no candles.
    ///
    /// # Errors
    /// When the store can't answer.
    async fn stats(&self, query: &CandleQuery) -> Result<Option<CandleStats>, Error>;

    /// What has settled from this time on of each symbol of which anything has, or of one alone; sorted by symbol.
    ///
    /// # Errors
    /// When the store can't answer.
    async fn recent(&self, symbol: Option<Symbol>, from: EventTime) -> Result<Vec<Recent>, Error>;

    /// Alerts.
    ///
    /// # Errors
    /// When the store can't answer.
    async fn alerts(&self, query: &AlertQuery) -> Result<Vec<AlertRow>, Error>;
}

/// Something new, as it goes to every subscriber. Serialised once: `json` is the `data` of a WebSocket frame.
#[derive(Clone, Debug)]
pub enum Update {
    /// A candle that moved, or closed, or was corrected.
    Candle {
        /// The candle.
        candle: Arc<LatestCandle>,
        /// Its JSON.
        json: Arc<str>,
    },
    /// An alert raised or retracted.
    Alert {
        /// The alert.
        alert: Arc<AlertMessage>,
        /// Its JSON.
        json: Arc<str>,
    },
    /// Candles and alerts may be missing here that will not come any more. Numbers tell of candles alone, and not of those
    /// that were given up before they had one.
    Gap,
}

/// The newest one-minute candle of each symbol and the stream of updates.
#[async_trait]
pub trait Cache: Send + Sync {
    /// The cache's name in `X-Data-Source` and `/health`.
    fn name(&self) -> &'static str;

    /// Whether it can be reached.
    ///
    /// # Errors
    /// When not, and why.
    async fn ping(&self) -> Result<(), Error>;

    /// The newest one-minute candle of a symbol, open or closed.
    ///
    /// # Errors
    /// When the cache can't answer.
    async fn latest(&self, symbol: Symbol) -> Result<Option<Arc<LatestCandle>>, Error>;

    /// Those of all symbols, sorted by symbol.
    ///
    /// # Errors
    /// When the cache can't answer.
    async fn latest_all(&self) -> Result<Vec<Arc<LatestCandle>>, Error>;

    /// The newest candle of a symbol and interval that has been published.
    ///
    /// # Errors
    /// When the cache can't answer.
    async fn newest(&self, symbol: Symbol, interval: Interval) -> Result<Option<Arc<LatestCandle>>, Error>;

    /// Every update from now on. A receiver that falls behind is told how many it missed.
    fn subscribe(&self) -> tokio::sync::broadcast::Receiver<Update>;
}

/// Takes what a cache shows: open candles, and everything that settles. Never blocks.
pub trait Publish: Send + Sync {
    /// Publishes open candles.
    fn publish_live(&self, candles: &[LiveCandle]);

    /// Publishes what has settled: every candle, corrections of old windows too, then every alert.
    fn publish_settled(&self, step: &Step);
}

/// Where one sink stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SinkStatus {
    /// Its name.
    pub name: String,
    /// Steps that wait to be written.
    pub queue: u64,
    /// Writes that had to be tried again.
    pub retries: u64,
    /// Everything with a logical time below this has been stored.
    #[serde(with = "optional_rfc3339")]
    pub stored_through: Option<EventTime>,
    /// Why it does not write at the moment, if it does not.
    pub problem: Option<String>,
    /// How long its writes took, in seconds, until they were stored; where that is measured, which is in the process that
    /// writes.
    #[serde(skip)]
    pub write_seconds: Option<Distribution>,
}

/// Where one partition of the log stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PartitionStatus {
    /// How far it has been read.
    pub progress: PartitionProgress,
    /// Records written and not yet read, where that is known.
    pub pending: Option<u64>,
    /// For how long, in seconds of the clock, no record has been read from it; known in the process that reads it.
    pub silent_seconds: Option<f64>,
}

/// Where the dataflow of this pipeline stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PipelineStatus {
    /// Where the ticks come from: `simulated`, `coingecko`, …
    pub source: String,
    /// Whether it has caught up with its log and answers for the present.
    pub ready: bool,
    /// The buckets of the records read.
    pub counts: Counts,
    /// The frontier: everything with a logical time below it is settled.
    pub watermark: Option<EventTime>,
    /// The newest event time seen.
    pub max_event_time: Option<EventTime>,
    /// How long after the end of its window, in seconds of the clock, a candle was settled for the first time; counted once
    /// the log has been caught up with, in the process that settles.
    pub close_seconds: Option<Distribution>,
    /// Candles settled for the first time, by interval in the order of `Interval::ALL`.
    pub candles_settled: [u64; 3],
    /// Corrections, likewise.
    pub corrections: [u64; 3],
    /// Alerts raised, by severity in the order of `Severity::ALL`.
    pub alerts_raised: [u64; 3],
    /// Alerts retracted.
    pub alerts_retracted: u64,
    /// The partitions that are read here, by number.
    pub partitions: Vec<PartitionStatus>,
    /// The log and the sinks.
    pub sinks: Vec<SinkStatus>,
    /// The checkpoints, where any are taken.
    pub checkpoint: Option<CheckpointFigures>,
    /// What has failed for good, if anything has.
    pub failure: Option<String>,
}

/// Where the checkpoints of a pipeline stand.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CheckpointFigures {
    /// The frontier of the newest that is stored.
    #[serde(with = "optional_rfc3339")]
    pub frontier: Option<EventTime>,
    /// When that was, by the clock.
    #[serde(with = "optional_rfc3339")]
    pub stored_at: Option<EventTime>,
    /// Its bytes.
    pub bytes: u64,
    /// How long it took to store, waits for the sinks included.
    pub duration_seconds: f64,
    /// How many have been stored.
    pub stored: u64,
    /// How many parts were given up, because a newer one was there first or they could not be stored.
    pub given_up: u64,
    /// How long it took to take one up at the start: to read it, and to bring the graph to its state.
    pub restore_seconds: Option<f64>,
}

impl CheckpointFigures {
    /// Those of two processes of one pipeline: a checkpoint is stored once both have stored their parts.
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

/// What the running dataflow says of itself.
pub trait Pipeline: Send + Sync {
    /// Where it stands now.
    fn status(&self) -> PipelineStatus;

    /// Where the ticks come from, as the status has it; for who wants to know that alone, each time somebody asks.
    fn source(&self) -> String {
        self.status().source
    }
}
