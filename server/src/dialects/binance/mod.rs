//! The market data of Binance's REST interface, `/api/v3`, for programs that speak it already.
//!
//! A symbol is ours with `USD` behind it, `BTCUSD`, in any case. What Tallow does not know is `0`: the share of the takers,
//! the best bid and ask, the last quantity. Nothing can be traded here, so the filters of a symbol bound nothing.
//!
//! Mistakes are answered as Binance does, with status 400 and its [codes]; a store that can't answer is 503 as on every
//! other route.
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
use parameters::Parameters;
use serde_json::json;

pub(crate) use exchange_info::PARAMETERS as EXCHANGE_INFO_PARAMETERS;
pub(crate) use klines::PARAMETERS as KLINES_PARAMETERS;
pub(crate) use ticker::{DAY_PARAMETERS, PRICE_PARAMETERS};

/// What can be asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Route {
    Ping,
    Time,
    ExchangeInfo,
    /// Also those made up for charts; here there is nothing to make up.
    Klines,
    Price,
    Day,
}

/// Answers a request.
pub(crate) async fn respond(data: &Data, route: Route, raw: Option<&str>) -> Result<Response, Problem> {
    let response = match route {
        Route::Ping => ping(raw),
        Route::Time => time(data, raw),
        Route::ExchangeInfo => exchange_info::list(data, raw).await,
        Route::Klines => klines::list(data, raw).await,
        Route::Price => ticker::price(data, raw).await,
        Route::Day => ticker::day(data, raw).await,
    };
    response.or_else(Failure::response)
}

fn ping(raw: Option<&str>) -> Result<Response, Failure> {
    Parameters::parse(raw, &[] as &[Parameter])?;
    Ok(response::json(StatusCode::OK, &json!({}))?)
}

fn time(data: &Data, raw: Option<&str>) -> Result<Response, Failure> {
    Parameters::parse(raw, &[] as &[Parameter])?;
    Ok(response::json(StatusCode::OK, &json!({ "serverTime": data.now().millis() }))?)
}
