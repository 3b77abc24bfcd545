//! `/api/v1/trending`: the symbols that have moved most in the last 24 hours.
//!
//! The change is the newest price against the open of the first settled candle of these 24 hours,
//! in percent. A symbol without a settled candle is left out. Symbols with the same change are
//! sorted by name.

use crate::api::day::{self, Day};
use crate::api::history::LOOKUPS;
use crate::api::symbols;
use crate::app::Data;
use crate::http::problem::Problem;
use crate::http::response::{self, Response};
use crate::parameter::{Literal, Parameter, names};
use crate::query::Query;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use hyper::StatusCode;
use serde::Serialize;
use tallow_model::rows::rfc3339;
use tallow_model::{EventTime, Symbol};

const DIRECTIONS: [(&str, Direction); 3] =
    [("abs", Direction::Abs), ("gainers", Direction::Gainers), ("losers", Direction::Losers)];
const DIRECTION_NAMES: [&str; 3] = names(&DIRECTIONS);
const DIRECTION: Parameter =
    Parameter::choice("direction", &DIRECTION_NAMES, "The direction of the move; `abs` is either.")
        .or(Literal::Text("abs"));
const LIMIT: Parameter =
    Parameter::integer("limit", 1, 50, "The most symbols in the response.").or(Literal::Number(10));

/// The parameters of the route.
pub(crate) const PARAMETERS: [Parameter; 2] = [DIRECTION, LIMIT];

/// The direction of a move.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum Direction {
    /// Up or down.
    Abs,
    /// Upwards only.
    Gainers,
    /// Downwards only.
    Losers,
}

impl Direction {
    /// Returns how far the change goes in this direction.
    fn rank(self, change: f64) -> f64 {
        match self {
            Direction::Abs => change.abs(),
            Direction::Gainers => change,
            Direction::Losers => -change,
        }
    }

    /// Whether a change of this rank goes in this direction.
    fn admits(self, rank: f64) -> bool {
        matches!(self, Direction::Abs) || rank > 0.0
    }
}

#[derive(Serialize)]
struct Mover {
    symbol: Symbol,
    name: String,
    price: f64,
    /// Sum of the traded sizes.
    volume_24h: f64,
    /// Always null: the stores do not keep it.
    market_cap: Option<f64>,
    /// The change in percent.
    price_change_24h: f64,
    #[serde(with = "rfc3339")]
    timestamp: EventTime,
}

#[derive(Serialize)]
struct Trending {
    direction: Direction,
    count: usize,
    trending: Vec<Mover>,
    source: String,
}

impl Mover {
    fn new(symbol: Symbol, day: &Day) -> Mover {
        Mover {
            symbol,
            name: symbols::name(symbol),
            price: day.last.value,
            volume_24h: day.volume,
            market_cap: None,
            price_change_24h: day.change_percent(),
            timestamp: day.last.time,
        }
    }
}

/// Returns the symbols that have moved most, the farthest first.
pub(crate) async fn list(data: &Data, raw: Option<&str>) -> Result<Response, Problem> {
    let mut query = Query::parse(raw, &PARAMETERS);
    let direction = query.chosen(&DIRECTION, &DIRECTIONS);
    let limit = query.number(&LIMIT).unwrap_or_default();
    query.finish()?;

    let settled = day::settled(data, None).await?;
    let newest = day::newest(data).await;
    let newest = &newest;
    let mut days = stream::iter(settled)
        .map(async |(symbol, settled)| {
            let cached = newest.get(&symbol).map(|candle| &**candle);
            day::day(data, &settled, cached).await.map(|day| (symbol, day))
        })
        .buffered(LOOKUPS);
    let mut trending = Vec::new();
    while let Some((symbol, day)) = days.try_next().await? {
        trending.extend(day.map(|day| Mover::new(symbol, &day)));
    }
    let rank = |mover: &Mover| direction.rank(mover.price_change_24h);
    trending.retain(|mover| direction.admits(rank(mover)));
    trending.sort_by(|a, b| rank(b).total_cmp(&rank(a)));
    trending.truncate(limit as usize);
    let source = data.pipeline.source();
    let trending = Trending { direction, count: trending.len(), trending, source };
    Ok(response::json(StatusCode::OK, &trending)?)
}
