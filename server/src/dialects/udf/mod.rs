//! TradingView's data feed over HTTP, [UDF], under `/udf`: for its charts and whatever else reads
//! such feeds.
//!
//! Times are epoch seconds. A symbol is a symbol of Tallow, `BTC`; with the exchange before it or
//! the dollar behind it, `TALLOW:BTC` and `BTCUSD`, it is understood too. Unknown parameters are
//! ignored, as every version of the charts sends more of them. Mistakes are
//! `{"s":"error","errmsg":…}` with a status of 4xx.
//!
//! [UDF]: https://www.tradingview.com/charting-library-docs/latest/connecting_data/UDF

mod catalog;
mod history;
mod marks;
mod parameters;
mod refusal;
mod symbols;

use crate::app::Data;
use crate::http::problem::Problem;
use crate::http::response::{self, Response};
use catalog::{EXCHANGE, TYPE, resolutions};
use hyper::StatusCode;
use refusal::UdfError;
use serde_json::json;

pub(crate) use history::PARAMETERS as HISTORY_PARAMETERS;
pub(crate) use marks::PARAMETERS as MARKS_PARAMETERS;
pub(crate) use symbols::{SEARCH_PARAMETERS, SYMBOL_PARAMETERS};

/// The routes of the dialect.
#[derive(Clone, Copy, Debug)]
pub(crate) enum UdfRoute {
    Config,
    Symbols,
    Search,
    History,
    Time,
    Marks,
}

/// Responds to a request.
pub(crate) async fn respond(data: &Data, route: UdfRoute, raw: Option<&str>) -> Result<Response, Problem> {
    let response = match route {
        UdfRoute::Config => config(),
        UdfRoute::Symbols => symbols::one(data, raw).await,
        UdfRoute::Search => symbols::search(data, raw).await,
        UdfRoute::History => history::bars(data, raw).await,
        UdfRoute::Time => Ok(time(data)),
        UdfRoute::Marks => marks::list(data, raw).await,
    };
    response.or_else(UdfError::response)
}

fn config() -> Result<Response, UdfError> {
    let document = json!({
        "supported_resolutions": resolutions(),
        "supports_search": true,
        "supports_group_request": false,
        "supports_marks": true,
        "supports_timescale_marks": false,
        "supports_time": true,
        "exchanges": [
            {"value": "", "name": "All exchanges", "desc": ""},
            {"value": EXCHANGE, "name": "Tallow", "desc": "Tallow"},
        ],
        "symbols_types": [{"name": "All types", "value": ""}, {"name": "Crypto", "value": TYPE}],
    });
    Ok(response::json(StatusCode::OK, &document)?)
}

/// Returns the server's time as text.
fn time(data: &Data) -> Response {
    let seconds = data.now().millis() / 1000;
    response::with_body(StatusCode::OK, "text/plain; charset=utf-8", seconds.to_string())
}
