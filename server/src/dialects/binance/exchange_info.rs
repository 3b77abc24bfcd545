//! `/api/v3/exchangeInfo`: the symbols, and of each what clients need to know before they ask for more.

use super::mistake::Failure;
use super::parameters::Parameters;
use super::symbols::{self, Which};
use crate::app::Data;
use crate::http::response::{self, Response};
use crate::market;
use crate::parameter::Parameter;
use hyper::StatusCode;
use serde_json::{Value, json};
use tallow_model::Symbol;

/// Decimals of prices and quantities, as clients round them; the prices here are rounded to none.
const PRECISION: u32 = 8;
/// The step of these decimals.
const STEP: &str = "0.00000001";
/// More than any price or quantity.
const MOST: &str = "1000000000000.00000000";

/// What can be asked for.
pub(crate) const PARAMETERS: [Parameter; 2] = [symbols::SYMBOL, symbols::SYMBOLS];

/// The symbols asked for.
pub(super) async fn list(data: &Data, raw: Option<&str>) -> Result<Response, Failure> {
    let parameters = Parameters::parse(raw, &PARAMETERS)?;
    let symbols = match symbols::which(data, &parameters).await? {
        Which::One(symbol) => vec![symbol],
        Which::Several(symbols) => symbols,
    };
    let document = json!({
        "timezone": "UTC",
        "serverTime": data.now().millis(),
        // None: nothing is limited here.
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
