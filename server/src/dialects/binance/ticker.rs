//! `/api/v3/ticker/price` and `/api/v3/ticker/24hr`: the newest price, and what happened in the
//! last 24 hours.
//!
//! The figures are those of `api::day`: settled candles against the newest price. `openTime` is the
//! start of the first candle and `closeTime` the time of the newest price. The last quantity, bid
//! and ask are unknown and therefore `0`; the ids of trades are -1. If nothing has settled in 24
//! hours, every price is the newest and every other figure is `0`.

use super::mistake::{Failure, Mistake};
use super::parameters::BinanceParameters;
use super::symbols::{self, Which};
use crate::api::day::{self, Day};
use crate::api::historical::difference;
use crate::api::history::LOOKUPS;
use crate::app::Data;
use crate::http::response::{self, Response};
use crate::market;
use crate::parameter::{Literal, Parameter};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use hyper::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tallow_model::Error;
use tallow_model::Symbol;
use tallow_model::rows::LatestCandle;
use tallow_model::store::RollingWindow;

/// The extent of a ticker.
#[derive(Clone, Copy)]
enum TickerKind {
    Price,
    Mini,
    Full,
}

const TYPE: Parameter =
    Parameter::choice("type", &["FULL", "MINI"], "The extent of each ticker.").or(Literal::Text("FULL"));

/// The parameters of the newest prices.
pub(crate) const PRICE_PARAMETERS: [Parameter; 2] = [symbols::SYMBOL, symbols::SYMBOLS];
/// The parameters of the last 24 hours.
pub(crate) const DAY_PARAMETERS: [Parameter; 3] = [symbols::SYMBOL, symbols::SYMBOLS, TYPE];

/// Returns the newest prices.
pub(super) async fn price(data: &Data, raw: Option<&str>) -> Result<Response, Failure> {
    let parameters = BinanceParameters::parse(raw, &PRICE_PARAMETERS)?;
    tickers(data, &parameters, TickerKind::Price).await
}

/// Returns the figures of the last 24 hours.
pub(super) async fn day(data: &Data, raw: Option<&str>) -> Result<Response, Failure> {
    let parameters = BinanceParameters::parse(raw, &DAY_PARAMETERS)?;
    let kind = match parameters.text("type") {
        None | Some("FULL") => TickerKind::Full,
        Some("MINI") => TickerKind::Mini,
        Some(_) => return Err(Mistake::Invalid("type").into()),
    };
    tickers(data, &parameters, kind).await
}

async fn tickers(data: &Data, parameters: &BinanceParameters, kind: TickerKind) -> Result<Response, Failure> {
    let document = match symbols::which(data, parameters).await? {
        Which::One(symbol) => {
            let newest = day::newest_of(data, symbol).await;
            let settled = settled(data, Some(symbol), kind).await?;
            let ticker = ticker(data, symbol, newest.as_deref(), settled.get(&symbol), kind).await?;
            ticker.ok_or(Mistake::Symbol)?
        }
        Which::Several(symbols) => {
            let newest = day::newest(data).await;
            let settled = settled(data, None, kind).await?;
            let (newest, settled) = (&newest, &settled);
            let tickers: Vec<Option<Value>> = stream::iter(symbols)
                .map(|symbol| {
                    let cached = newest.get(&symbol).map(|candle| &**candle);
                    ticker(data, symbol, cached, settled.get(&symbol), kind)
                })
                .buffered(LOOKUPS)
                .try_collect()
                .await?;
            Value::Array(tickers.into_iter().flatten().collect())
        }
    };
    Ok(response::json(StatusCode::OK, &document)?)
}

/// Reads the settled figures, which a mere price does not need.
async fn settled(
    data: &Data,
    symbol: Option<Symbol>,
    kind: TickerKind,
) -> Result<BTreeMap<Symbol, RollingWindow>, Error> {
    match kind {
        TickerKind::Price => Ok(BTreeMap::new()),
        TickerKind::Mini | TickerKind::Full => day::settled(data, symbol).await,
    }
}

/// Returns the ticker of a symbol; `None` if no price of the symbol is known.
async fn ticker(
    data: &Data,
    symbol: Symbol,
    cached: Option<&LatestCandle>,
    settled: Option<&RollingWindow>,
    kind: TickerKind,
) -> Result<Option<Value>, Error> {
    let day = match settled {
        Some(settled) => day::day(data, settled, cached).await?,
        None => None,
    };
    let day = match day {
        Some(day) => day,
        None => match day::price(data, symbol, cached).await? {
            Some(price) => Day::quiet(price),
            None => return Ok(None),
        },
    };
    Ok(Some(match kind {
        TickerKind::Price => json!({ "symbol": market::name(symbol), "price": day.last.value.to_string() }),
        TickerKind::Mini => mini(symbol, &day),
        TickerKind::Full => full(symbol, &day),
    }))
}

fn mini(symbol: Symbol, day: &Day) -> Value {
    json!({
        "symbol": market::name(symbol),
        "openPrice": day.open.to_string(),
        "highPrice": day.high.to_string(),
        "lowPrice": day.low.to_string(),
        "lastPrice": day.last.value.to_string(),
        "volume": amount(day.volume),
        "quoteVolume": amount(day.quote_volume),
        "openTime": day.start.millis(),
        "closeTime": day.last.time.millis(),
        "firstId": -1,
        "lastId": -1,
        "count": day.trades,
    })
}

fn full(symbol: Symbol, day: &Day) -> Value {
    let weighted = if day.volume > 0.0 { day.quote_volume / day.volume } else { 0.0 };
    let mut ticker = mini(symbol, day);
    let more = json!({
        "priceChange": difference(day.last.value, day.open).to_string(),
        "priceChangePercent": format!("{:.3}", day.change_percent()),
        "weightedAvgPrice": amount(weighted),
        "prevClosePrice": day.previous_close.unwrap_or(day.open).to_string(),
        "lastQty": "0",
        "bidPrice": "0",
        "bidQty": "0",
        "askPrice": "0",
        "askQty": "0",
    });
    if let (Value::Object(ticker), Value::Object(more)) = (&mut ticker, more) {
        ticker.extend(more);
    }
    ticker
}

/// Writes a sum or a quotient to eight decimals, as Binance prints every number.
fn amount(value: f64) -> String {
    format!("{value:.8}")
}
