//! The subscription of a client of `/ws/prices/{symbol}`: symbol, intervals and resume point.

use crate::http::problem::Problem;
use crate::market::ALL;
use crate::query::Query;
use std::ops::Bound;
use tallow_model::rows::LatestCandle;
use tallow_model::{Interval, Symbol};

/// A symbol and an interval: the key of a published series, which has sequence numbers of its own.
pub(crate) type SeriesKey = (Symbol, Interval);

/// The parameters of a connection.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Subscription {
    /// The symbol; `None` subscribes to every symbol.
    pub(crate) symbol: Option<Symbol>,
    /// The intervals, shortest first.
    pub(crate) intervals: Vec<Interval>,
    /// Leaves out open candles.
    pub(crate) closed_only: bool,
    /// The last sequence number that the client has received on an earlier connection.
    ///
    /// The number belongs to one series. A client that subscribes to several series must resync.
    pub(crate) resume_from: Option<u64>,
}

impl Subscription {
    /// Reads the parameters of the query string.
    ///
    /// # Errors
    /// A problem document that names every bad parameter.
    pub(crate) fn parse(symbol: Option<Symbol>, raw: Option<&str>) -> Result<Subscription, Problem> {
        let mut query = Query::parse(raw, &["interval", "closed_only", "resume_from"]);
        let mut intervals = vec![Interval::OneMinute];
        if let Some(text) = query.text("interval") {
            match text.split(',').map(Interval::parse).collect::<Option<Vec<Interval>>>() {
                Some(mut chosen) => {
                    chosen.sort_unstable();
                    chosen.dedup();
                    intervals = chosen;
                }
                None => {
                    let detail = format!("{text:?} is not a list of settled intervals");
                    query.note("interval", detail, "1m, 5m, 15m, separated by commas");
                }
            }
        }
        let closed_only = query.flag("closed_only").unwrap_or(false);
        let resume_from = query.integer("resume_from", 0..=u64::MAX);
        query.finish()?;
        Ok(Subscription { symbol, intervals, closed_only, resume_from })
    }

    /// Whether the client subscribes to this candle.
    pub(crate) fn includes_candle(&self, candle: &LatestCandle) -> bool {
        self.includes((candle.symbol, candle.interval)) && (candle.is_closed || !self.closed_only)
    }

    /// Whether the client subscribes to this series.
    pub(crate) fn includes(&self, (symbol, interval): SeriesKey) -> bool {
        self.symbol.is_none_or(|wanted| wanted == symbol) && self.intervals.contains(&interval)
    }

    /// The range of keys that holds every series of the subscription, and others.
    pub(crate) fn bounds(&self) -> (Bound<SeriesKey>, Bound<SeriesKey>) {
        let [shortest, .., longest] = Interval::ALL;
        match self.symbol {
            Some(symbol) => (Bound::Included((symbol, shortest)), Bound::Included((symbol, longest))),
            None => (Bound::Unbounded, Bound::Unbounded),
        }
    }

    /// The key of the subscription's only series; `None` if it may have several.
    pub(crate) fn only(&self) -> Option<SeriesKey> {
        match self.intervals[..] {
            [interval] => Some((self.symbol?, interval)),
            _ => None,
        }
    }

    /// The symbol's name in frames.
    pub(crate) fn name(&self) -> String {
        self.symbol.map_or_else(|| ALL.to_owned(), |symbol| symbol.to_string())
    }
}
