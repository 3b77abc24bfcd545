//! `/udf/symbols` and `/udf/search`: the facts that a chart needs about a symbol, and the search
//! for symbols.

use super::catalog::{EXCHANGE, TYPE, resolutions};
use super::parameters::{SYMBOL, UdfParameters};
use super::refusal::UdfError;
use crate::api::{day, symbols};
use crate::app::Data;
use crate::http::response::{self, Response};
use crate::market;
use crate::parameter::{Literal, Parameter};
use hyper::StatusCode;
use serde_json::{Value, json};
use tallow_model::Symbol;

const DEFAULT_LIMIT: u64 = 30;

/// The least and the most decimals that a chart shows.
const DECIMALS: (usize, usize) = (2, 10);

/// The parameters of a symbol.
pub(crate) const SYMBOL_PARAMETERS: [Parameter; 1] = [SYMBOL];
/// The parameters of a search.
pub(crate) const SEARCH_PARAMETERS: [Parameter; 4] = [
    Parameter::text("query", "", "What the symbol or its name has in it, in any case.")
        .like(Literal::Text("bit")),
    Parameter::text("type", "", "Only symbols of this type; all are `crypto`.").like(Literal::Text(TYPE)),
    Parameter::text("exchange", "", "Only symbols of this exchange; all are of `TALLOW`.")
        .like(Literal::Text(EXCHANGE)),
    Parameter::integer("limit", 0, u64::MAX, "How many at most.").or(Literal::Number(DEFAULT_LIMIT)),
];

/// Returns one symbol.
pub(super) async fn one(data: &Data, raw: Option<&str>) -> Result<Response, UdfError> {
    let symbol = UdfParameters::parse(raw, &SYMBOL_PARAMETERS).symbol(data).await?;
    let cached = day::newest_of(data, symbol).await;
    let price = day::price(data, symbol, cached.as_deref()).await?.ok_or(UdfError::UnknownSymbol)?;
    let document = json!({
        "name": symbol,
        "ticker": symbol,
        "description": description(symbol),
        "type": TYPE,
        "session": "24x7",
        "exchange": EXCHANGE,
        "listed_exchange": EXCHANGE,
        "timezone": "Etc/UTC",
        "format": "price",
        "minmov": 1,
        "pricescale": price_scale(price.value),
        "has_intraday": true,
        "intraday_multipliers": ["1", "5", "15", "60", "240"],
        "has_daily": true,
        "has_weekly_and_monthly": false,
        "supported_resolutions": resolutions(),
        "volume_precision": 8,
        "currency_code": market::QUOTE,
        "data_status": "streaming",
    });
    Ok(response::json(StatusCode::OK, &document)?)
}

/// Returns the symbols whose symbol or name contains the text: those that begin with it first.
pub(super) async fn search(data: &Data, raw: Option<&str>) -> Result<Response, UdfError> {
    let parameters = UdfParameters::parse(raw, &SEARCH_PARAMETERS);
    let limit = parameters.integer("limit")?.unwrap_or(DEFAULT_LIMIT);
    let query = parameters.text("query").unwrap_or_default().to_lowercase();
    let asked =
        |name, only: &str| parameters.text(name).is_none_or(|text: &str| text.eq_ignore_ascii_case(only));
    let mut found = Vec::new();
    if asked("type", TYPE) && asked("exchange", EXCHANGE) {
        for symbol in data.symbols().await? {
            let (short, long) = (symbol.to_string().to_lowercase(), symbols::name(symbol).to_lowercase());
            if short.contains(&query) || long.contains(&query) {
                found.push((!short.starts_with(&query), symbol));
            }
        }
    }
    found.sort();
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let found: Vec<Value> = found.into_iter().take(limit).map(|(_, symbol)| listed(symbol)).collect();
    Ok(response::json(StatusCode::OK, &found)?)
}

fn listed(symbol: Symbol) -> Value {
    json!({
        "symbol": symbol,
        "full_name": format!("{EXCHANGE}:{symbol}"),
        "description": description(symbol),
        "exchange": EXCHANGE,
        "ticker": symbol,
        "type": TYPE,
    })
}

fn description(symbol: Symbol) -> String {
    format!("{} / US dollar", symbols::name(symbol))
}

/// Returns the steps of a dollar on the chart: 10 to the power of the decimals of the newest price.
/// Prices of a symbol differ in their decimals only by zeros at the end.
fn price_scale(price: f64) -> u64 {
    let decimals = price.to_string().split_once('.').map_or(0, |(_, decimals)| decimals.len());
    10u64.pow(decimals.clamp(DECIMALS.0, DECIMALS.1) as u32)
}

#[cfg(test)]
mod tests {
    use super::price_scale;

    #[test]
    fn the_scale_of_a_price_has_its_decimals() {
        assert_eq!(price_scale(97004.0), 100);
        assert_eq!(price_scale(0.1234), 10_000);
        assert_eq!(price_scale(0.00000001), 100_000_000);
        assert_eq!(price_scale(1e-15), 10_000_000_000);
    }
}
