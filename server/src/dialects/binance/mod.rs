//! The market data of Binance's REST interface, `/api/v3`, for programs that speak it already.
//!
//! A symbol is a symbol of Tallow with `USD` behind it, `BTCUSD`, in any case. Figures that Tallow
//! does not know are `0`: the share of the takers, the best bid and ask, the last quantity. Nothing
//! can be traded here, so the filters of a symbol bound nothing.
//!
//! Mistakes are answered as Binance does, with status 400 and its [codes]; a store that can't be
//! read is 503 as on every other route.
//!
//! [codes]: https://developers.binance.com/docs/binance-spot-api-docs/errors

mod exchange_info;
mod klines;
mod mistake;
mod parameters;
mod symbols;
mod ticker;

use crate::app::Data;
use crate::http::problem::Problem;
use crate::http::response::{self, Response};
use crate::parameter::Parameter;
use hyper::StatusCode;
use mistake::Failure;
use parameters::BinanceParameters;
use serde_json::json;

pub(crate) use exchange_info::PARAMETERS as EXCHANGE_INFO_PARAMETERS;
pub(crate) use klines::PARAMETERS as KLINES_PARAMETERS;
pub(crate) use ticker::{DAY_PARAMETERS, PRICE_PARAMETERS};

/// The routes of the dialect.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BinanceRoute {
    Ping,
    Time,
    ExchangeInfo,
    /// Also serves `uiKlines`, which at Binance are altered for charts and here are not.
    Klines,
    Price,
    Day,
}

/// Responds to a request.
pub(crate) async fn respond(
    data: &Data,
    route: BinanceRoute,
    raw: Option<&str>,
) -> Result<Response, Problem> {
    let response = match route {
        BinanceRoute::Ping => ping(raw),
        BinanceRoute::Time => time(data, raw),
        BinanceRoute::ExchangeInfo => exchange_info::list(data, raw).await,
        BinanceRoute::Klines => klines::list(data, raw).await,
        BinanceRoute::Price => ticker::price(data, raw).await,
        BinanceRoute::Day => ticker::day(data, raw).await,
    };
    response.or_else(Failure::response)
}

fn ping(raw: Option<&str>) -> Result<Response, Failure> {
    BinanceParameters::parse(raw, &[] as &[Parameter])?;
    Ok(response::json(StatusCode::OK, &json!({}))?)
}

fn time(data: &Data, raw: Option<&str>) -> Result<Response, Failure> {
    BinanceParameters::parse(raw, &[] as &[Parameter])?;
    Ok(response::json(StatusCode::OK, &json!({ "serverTime": data.now().millis() }))?)
}
