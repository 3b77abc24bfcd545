//! `/api/v3/klines` and `/uiKlines`: candles, oldest first, each a list of twelve.
//!
//! Without a bound the newest candles are returned; with `startTime`, the oldest of the range; with
//! `endTime` alone, the newest of the range. Both bounds are included and compared with the open
//! time. As at Binance the last candle may still be open, if the interval is a settled one (1m, 5m,
//! 15m). A limit above the greatest counts as the greatest. Windows without ticks are left out.

use super::mistake::{Failure, Mistake};
use super::parameters::BinanceParameters;
use super::symbols;
use crate::api::bars::{self, Bar};
use crate::app::Data;
use crate::http::response::{self, Response};
use crate::parameter::{Literal, Parameter, names};
use hyper::StatusCode;
use serde_json::{Value, json};
use tallow_model::store::{CandleQuery, Direction, Span};
use tallow_model::{EventTime, MAX_EVENT_TIME};

const DEFAULT_LIMIT: u64 = 500;
const MAX_LIMIT: u64 = 1000;

/// The intervals of Binance that candles can be rolled up to, and their minutes. `1w` is missing as
/// it starts on a Monday, and `1M` as it has no fixed length.
const INTERVALS: [(&str, u64); 11] = [
    ("1m", 1),
    ("5m", 5),
    ("15m", 15),
    ("30m", 30),
    ("1h", 60),
    ("2h", 120),
    ("4h", 240),
    ("6h", 360),
    ("8h", 480),
    ("12h", 720),
    ("1d", 1440),
];

const INTERVAL_NAMES: [&str; 11] = names(&INTERVALS);

/// The parameters of the route.
pub(crate) const PARAMETERS: [Parameter; 6] = [
    symbols::SYMBOL.required(),
    Parameter::choice("interval", &INTERVAL_NAMES, "The length of the windows; `1m` is not `1M`.").required(),
    Parameter::integer(
        "startTime",
        0,
        u64::MAX,
        "Windows that open at or after this, in milliseconds since 1970.",
    )
    .like(Literal::Number(1_763_251_200_000)),
    Parameter::integer(
        "endTime",
        0,
        u64::MAX,
        "Windows that open at or before this, in milliseconds since 1970.",
    ),
    Parameter::choice("timeZone", &["0"], "The time zone in which days begin: UTC only.")
        .or(Literal::Text("0")),
    Parameter::integer(
        "limit",
        1,
        u64::MAX,
        "The most candles in the response; more than 1000 counts as 1000.",
    )
    .or(Literal::Number(DEFAULT_LIMIT)),
];

/// Returns a list of candles.
pub(super) async fn list(data: &Data, raw: Option<&str>) -> Result<Response, Failure> {
    let parameters = BinanceParameters::parse(raw, &PARAMETERS)?;
    parameters.mandatory("symbol")?;
    let span = span(parameters.mandatory("interval")?)?;
    let (start, end) = (time(&parameters, "startTime")?, time(&parameters, "endTime")?);
    let limit = match parameters.integer("limit")?.unwrap_or(DEFAULT_LIMIT) {
        0 => return Err(Mistake::Invalid("limit").into()),
        limit => limit.min(MAX_LIMIT),
    };
    if parameters.text("timeZone").is_some_and(|zone| zone != "0") {
        return Err(Mistake::Invalid("timeZone").into());
    }
    let query = CandleQuery {
        from: start,
        until: end.map(|end| EventTime(end.millis() + 1)),
        direction: if start.is_some() { Direction::Ascending } else { Direction::Descending },
        limit: limit as usize,
        ..CandleQuery::all(symbols::one(data, &parameters).await?, span)
    };
    let bars = bars::bars(data, &query).await?;
    let klines: Vec<Value> = bars.iter().map(|bar| kline(bar, span)).collect();
    Ok(response::json(StatusCode::OK, &klines)?)
}

/// Returns the span of an interval. `1m` is not `1M`.
fn span(name: &str) -> Result<Span, Mistake> {
    let minutes = INTERVALS.iter().find(|(known, _)| *known == name).map(|(_, minutes)| *minutes);
    minutes.map(bars::span).ok_or(Mistake::Interval)
}

/// Reads a time in milliseconds; a time beyond the last is the last.
fn time(parameters: &BinanceParameters, name: &'static str) -> Result<Option<EventTime>, Mistake> {
    Ok(parameters.integer(name)?.map(|millis| EventTime(millis).min(MAX_EVENT_TIME)))
}

/// Returns a candle as a list: open time, open, high, low, close, volume, close time, quote volume,
/// trades, the base and quote volume of takers, and an unused value. Rust prints no float with an
/// exponent.
fn kline(bar: &Bar, span: Span) -> Value {
    let close_time = bar.start.millis() + span.window_ms - 1;
    json!([
        bar.start.millis(),
        bar.open.to_string(),
        bar.high.to_string(),
        bar.low.to_string(),
        bar.close.to_string(),
        bar.volume.to_string(),
        close_time,
        bar.quote_volume.to_string(),
        bar.trades,
        "0",
        "0",
        "0"
    ])
}
