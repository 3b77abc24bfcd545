//! What a client wants to be sent.

use crate::http::problem::Problem;
use crate::market::ALL;
use crate::query::Query;
use std::ops::Bound;
use tallow_model::rows::LatestCandle;
use tallow_model::{Interval, Symbol};

/// A symbol and an interval: what a sequence number counts.
pub(crate) type Key = (Symbol, Interval);

/// The parameters of a connection.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Subscription {
    /// Of which symbol; none for every one.
    pub(crate) symbol: Option<Symbol>,
    /// Which intervals, shortest first.
    pub(crate) intervals: Vec<Interval>,
    /// Without open candles.
    pub(crate) closed_only: bool,
    /// The last sequence number that the client has seen on an earlier connection. It says something of one series
    /// alone: a client of several must resync.
    pub(crate) resume_from: Option<u64>,
}

impl Subscription {
    /// Reads the parameters.
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

    /// Whether this candle is wanted.
    pub(crate) fn wants_candle(&self, candle: &LatestCandle) -> bool {
        self.wants((candle.symbol, candle.interval)) && (candle.is_closed || !self.closed_only)
    }

    /// Whether candles of this symbol and interval are wanted.
    pub(crate) fn wants(&self, (symbol, interval): Key) -> bool {
        self.symbol.is_none_or(|wanted| wanted == symbol) && self.intervals.contains(&interval)
    }

    /// Between which series those are that are wanted.
    pub(crate) fn bounds(&self) -> (Bound<Key>, Bound<Key>) {
        let [shortest, .., longest] = Interval::ALL;
        match self.symbol {
            Some(symbol) => (Bound::Included((symbol, shortest)), Bound::Included((symbol, longest))),
            None => (Bound::Unbounded, Bound::Unbounded),
        }
    }

    /// The one series that is wanted; none where there may be several.
    pub(crate) fn only(&self) -> Option<Key> {
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
