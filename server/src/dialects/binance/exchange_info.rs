//! `/api/v3/exchangeInfo`: the symbols, each with the facts that clients read before any other
//! request.

use super::mistake::Failure;
use super::parameters::BinanceParameters;
use super::symbols::{self, Which};
use crate::app::Data;
use crate::http::response::{self, Response};
use crate::market;
use crate::parameter::Parameter;
use hyper::StatusCode;
use serde_json::{Value, json};
use tallow_model::Symbol;

/// The decimals to which clients round prices and quantities; prices here are not rounded at all.
const PRECISION: u32 = 8;
/// The step of the last decimal.
const STEP: &str = "0.00000001";
/// A bound above every price and quantity.
const MOST: &str = "1000000000000.00000000";

/// The parameters of the route.
pub(crate) const PARAMETERS: [Parameter; 2] = [symbols::SYMBOL, symbols::SYMBOLS];

/// Returns the symbols that the request names, or all.
pub(super) async fn list(data: &Data, raw: Option<&str>) -> Result<Response, Failure> {
    let parameters = BinanceParameters::parse(raw, &PARAMETERS)?;
    let symbols = match symbols::which(data, &parameters).await? {
        Which::One(symbol) => vec![symbol],
        Which::Several(symbols) => symbols,
    };
    let document = json!({
        "timezone": "UTC",
        "serverTime": data.now().millis(),
        // Empty, as nothing is limited here.
        "rateLimits": [],
        "exchangeFilters": [],
        "symbols": symbols.into_iter().map(listed).collect::<Vec<Value>>(),
    });
    Ok(response::json(StatusCode::OK, &document)?)
}

fn listed(symbol: Symbol) -> Value {
    json!({
        "symbol": market::name(symbol),
        "status": "TRADING",
        "baseAsset": symbol,
        "baseAssetPrecision": PRECISION,
        "quoteAsset": market::QUOTE,
        "quotePrecision": PRECISION,
        "quoteAssetPrecision": PRECISION,
        "baseCommissionPrecision": PRECISION,
        "quoteCommissionPrecision": PRECISION,
        "orderTypes": ["LIMIT", "MARKET"],
        "icebergAllowed": false,
        "ocoAllowed": false,
        "otoAllowed": false,
        "quoteOrderQtyMarketAllowed": false,
        "allowTrailingStop": false,
        "cancelReplaceAllowed": false,
        "isSpotTradingAllowed": true,
        "isMarginTradingAllowed": false,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": STEP, "maxPrice": MOST, "tickSize": STEP},
            {"filterType": "LOT_SIZE", "minQty": STEP, "maxQty": MOST, "stepSize": STEP},
            {"filterType": "MIN_NOTIONAL", "minNotional": STEP, "applyToMarket": true, "avgPriceMins": 0},
            {"filterType": "NOTIONAL", "minNotional": STEP, "applyMinToMarket": true, "maxNotional": MOST,
                "applyMaxToMarket": false, "avgPriceMins": 0},
        ],
        "permissions": ["SPOT"],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
    })
}
