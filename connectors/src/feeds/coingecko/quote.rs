//! Quotes: the fields of each coin in a response, and the tick that it becomes.
//!
//! A number passes digit for digit: its text is copied from the response into the tick, and no
//! float is made of it. A coin whose quote is unusable is left out with a reason, and the others
//! continue. The decoder that will read the tick from the log decides what is usable.

use super::config::TimeOf;
use super::errors::{self, RequestFailure};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use tallow_model::coins::Coin;
use tallow_model::feed::Producer;
use tallow_model::{EventTime, Symbol, decode};

/// Producer of these ticks.
pub static PRODUCER: Producer = Producer { id: "tallow-coingecko", source: "coingecko" };

/// The price of a coin, as it is written to a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Symbol of the coin.
    pub symbol: Symbol,
    /// The tick as one line of JSON.
    pub line: Vec<u8>,
}

/// The result for one coin: its quote, or the reason why there is none.
pub type Found = (Symbol, Result<Quote, String>);

/// The fields of one coin in a response.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    usd: Option<&'a RawValue>,
    #[serde(borrow)]
    usd_market_cap: Option<&'a RawValue>,
    #[serde(borrow)]
    usd_24h_vol: Option<&'a RawValue>,
    #[serde(borrow)]
    usd_24h_change: Option<&'a RawValue>,
    #[serde(borrow)]
    last_updated_at: Option<&'a RawValue>,
}

/// Parses a response: for each coin, in the order of the settings, its quote or the reason why
/// there is none.
///
/// # Errors
/// When the response as a whole is not usable.
pub fn quotes(
    body: &[u8],
    coins: &[Coin],
    time_of: TimeOf,
    observed: EventTime,
) -> Result<Vec<Found>, RequestFailure> {
    let unreadable = |error: serde_json::Error| {
        let start = errors::shown(&String::from_utf8_lossy(body));
        RequestFailure::unexpected(format!("the answer can't be read: {error}; it begins with {start:?}"))
    };
    let found: BTreeMap<String, &RawValue> = serde_json::from_slice(body).map_err(unreadable)?;
    if found.contains_key("error") || found.contains_key("status") {
        let json = serde_json::from_slice(body).map_err(unreadable)?;
        if let Some(message) = errors::message(&json) {
            return Err(RequestFailure::unexpected(format!(
                "the answer is an error: {}",
                errors::shown(message)
            )));
        }
    }
    let quote = |coin: &Coin| match found.get(&coin.id) {
        Some(raw) => quote(raw, coin, time_of, observed),
        None => Err("the answer does not have it".to_owned()),
    };
    Ok(coins.iter().map(|coin| (coin.symbol, quote(coin))).collect())
}

fn quote(raw: &RawValue, coin: &Coin, time_of: TimeOf, observed: EventTime) -> Result<Quote, String> {
    let fields: Fields<'_> = serde_json::from_str(raw.get())
        .map_err(|_| format!("its quote can't be read: {}", errors::shown(raw.get())))?;
    let price = fields.usd.ok_or("it has no price in US dollars")?;
    let updated = fields.last_updated_at.and_then(|raw| raw.get().parse::<u64>().ok());
    let time = match time_of {
        TimeOf::Observed => observed,
        TimeOf::Source => {
            let seconds = updated.ok_or("it does not say when it was last updated")?;
            EventTime(seconds.saturating_mul(1_000))
        }
    };
    let symbol = coin.symbol.text();
    let mut line =
        format!(r#"{{"symbol":"{}","coin_id":"{}","price_usd":{}"#, &*symbol, coin.id, price.get());
    for (name, value, least) in [
        ("volume_24h", fields.usd_24h_vol, 0.0),
        ("market_cap", fields.usd_market_cap, 0.0),
        ("price_change_24h", fields.usd_24h_change, f64::MIN),
    ] {
        if let Some(number) = value.map(RawValue::get).filter(|text| is_number(text, least)) {
            line.push_str(&format!(r#","{name}":{number}"#));
        }
    }
    if let Some(updated) = updated {
        line.push_str(&format!(r#","last_updated":{updated}"#));
    }
    line.push_str(&format!(
        r#","timestamp":"{}","producer_id":"{}","source":"{}","message_id":"{}-{}"}}"#,
        time.rfc3339(),
        PRODUCER.id,
        PRODUCER.source,
        &*symbol,
        observed.millis()
    ));
    let line = line.into_bytes();
    decode(&line).map_err(|error| error.to_string())?;
    Ok(Quote { symbol: coin.symbol, line })
}

/// Returns whether a JSON value is a finite number of at least `least`. An optional field that is
/// none is left out.
fn is_number(text: &str, least: f64) -> bool {
    text.parse().is_ok_and(|number: f64| number.is_finite() && number >= least)
}
