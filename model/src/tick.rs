//! The tick: one observation of a price, and its decoder from JSON.
//!
//! The decoder is a single pass over the bytes, written by hand for one reason: sums are exact only
//! if the decimals are taken as they were written, and a general JSON library hands out floats.
//! (Keeping each number's raw text through `serde_json` costs three times the whole decoding.) It
//! accepts exactly the JSON that `serde_json` accepts, which a fuzz target checks, and then asks
//! for the fields of a tick. Unknown fields are ignored, `null` means absent, and of a name that
//! stands twice the last one counts.

mod error;
mod json;

use crate::number::{Decimal, MAX_NOTIONAL, MAX_PRICE, MAX_SIZE, MIN_PRICE, Price};
use crate::symbol::Symbol;
use crate::time::{EventTime, MAX_EVENT_TIME};
pub use error::DecodeError;
use json::{Scanner, Value};

/// One observed price.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tick {
    /// The market's symbol.
    pub symbol: Symbol,
    /// Event time: the time at which the price was observed.
    pub time: EventTime,
    /// The price in quote currency, within [`MIN_PRICE`] and [`MAX_PRICE`].
    pub price: Decimal,
    /// The traded base quantity; `None` for a quote.
    pub size: Option<Decimal>,
    /// The rolling 24-hour volume that came with a quote.
    pub day_volume: Option<Price>,
    /// The time at which the record was written to its log, if the record states it (`received`).
    pub received: Option<EventTime>,
}

/// The fields of interest, as found.
#[derive(Default)]
struct Fields<'a> {
    symbol: Option<Value<'a>>,
    price_usd: Option<Value<'a>>,
    price: Option<Value<'a>>,
    timestamp: Option<Value<'a>>,
    size: Option<Value<'a>>,
    volume_24h: Option<Value<'a>>,
    received: Option<Value<'a>>,
}

/// Reads a tick from the bytes of one record.
///
/// # Errors
/// [`DecodeError::Malformed`] and [`DecodeError::Invalid`], with the field and the value in the
/// text.
pub fn decode(bytes: &[u8]) -> Result<Tick, DecodeError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|e| DecodeError::Malformed(format!("not UTF-8 at byte {}", e.valid_up_to())))?;
    let mut fields = Fields::default();
    let mut scanner = Scanner::new(text);
    scanner.object(|name, value| {
        let slot = match name {
            "symbol" => &mut fields.symbol,
            "price_usd" => &mut fields.price_usd,
            "price" => &mut fields.price,
            "timestamp" => &mut fields.timestamp,
            "size" => &mut fields.size,
            "volume_24h" => &mut fields.volume_24h,
            "received" => &mut fields.received,
            _ => return,
        };
        *slot = (!matches!(value, Value::Null)).then_some(value);
    })?;

    let symbol = match required(&fields.symbol, "symbol")? {
        Value::Text(text) => {
            Symbol::parse(text.as_bytes()).map_err(|e| DecodeError::Invalid(format!("{e}: {text:?}")))?
        }
        other => return Err(wrong_type("symbol", "a string", other)),
    };
    let price = match required(
        if fields.price_usd.is_some() { &fields.price_usd } else { &fields.price },
        "price_usd",
    )? {
        Value::Number(number) => number
            .unsigned()
            .filter(|price| (MIN_PRICE..=MAX_PRICE).contains(&price.value))
            .ok_or_else(|| {
                DecodeError::Invalid(format!(
                    "price_usd {number} is not within {MIN_PRICE:e} and {MAX_PRICE:e}"
                ))
            })?,
        other => return Err(wrong_type("price_usd", "a number", other)),
    };
    let time = event_time("timestamp", required(&fields.timestamp, "timestamp")?)?;
    let size = match &fields.size {
        None => None,
        Some(Value::Number(number)) => {
            Some(number.unsigned().filter(|size| size.value <= MAX_SIZE).ok_or_else(|| {
                DecodeError::Invalid(format!("size {number} is not within 0 and {MAX_SIZE:e}"))
            })?)
        }
        Some(other) => return Err(wrong_type("size", "a number", other)),
    };
    if let Some(size) = &size
        && price.value * size.value > MAX_NOTIONAL
    {
        return Err(DecodeError::Invalid(format!(
            "price × size is {:e}, more than {MAX_NOTIONAL:e}",
            price.value * size.value
        )));
    }
    let day_volume = match &fields.volume_24h {
        None => None,
        Some(Value::Number(number)) => {
            let volume = number.unsigned().filter(|volume| volume.value.is_finite());
            Some(Price(
                volume
                    .ok_or_else(|| {
                        DecodeError::Invalid(format!("volume_24h {number} is not a finite number from 0"))
                    })?
                    .value,
            ))
        }
        Some(other) => return Err(wrong_type("volume_24h", "a number", other)),
    };
    // Another producer's field of this name is no reason to reject its tick.
    let received = fields.received.as_ref().and_then(|value| event_time("received", value).ok());
    Ok(Tick { symbol, time, price, size, day_volume, received })
}

fn required<'v, 'a>(value: &'v Option<Value<'a>>, name: &str) -> Result<&'v Value<'a>, DecodeError> {
    value.as_ref().ok_or_else(|| DecodeError::Malformed(format!("{name} is missing")))
}

fn wrong_type(name: &str, wanted: &str, found: &Value<'_>) -> DecodeError {
    DecodeError::Malformed(format!("{name} is {}, not {wanted}", found.kind()))
}

/// RFC 3339, or integer milliseconds since the epoch.
fn event_time(name: &str, value: &Value<'_>) -> Result<EventTime, DecodeError> {
    let out_of_range = |shown: &dyn std::fmt::Display| {
        DecodeError::Invalid(format!("{name} {shown} is not within the years 1970 and 9999"))
    };
    match value {
        Value::Number(number) => {
            let Some(millis) = number.integer() else {
                return Err(DecodeError::Malformed(format!(
                    "{name} {number} is not an integer of milliseconds"
                )));
            };
            let time = u64::try_from(millis).ok().map(EventTime).filter(|time| *time <= MAX_EVENT_TIME);
            time.ok_or_else(|| out_of_range(number))
        }
        Value::Text(text) => {
            let instant: jiff::Timestamp = text
                .parse()
                .map_err(|_| DecodeError::Malformed(format!("{name} {text:?} is not an RFC 3339 time")))?;
            // A time before the epoch is rounded towards zero here, and then refused.
            if instant < jiff::Timestamp::UNIX_EPOCH {
                return Err(out_of_range(&text));
            }
            let time = u64::try_from(instant.as_millisecond()).ok().map(EventTime);
            time.filter(|time| *time <= MAX_EVENT_TIME).ok_or_else(|| out_of_range(&text))
        }
        other => Err(wrong_type(name, "a string or an integer", other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(line: &str) -> String {
        match decode(line.as_bytes()) {
            Ok(tick) => format!("accepted as {tick:?}"),
            Err(DecodeError::Malformed(detail)) => format!("malformed: {detail}"),
            Err(DecodeError::Invalid(detail)) => format!("invalid: {detail}"),
        }
    }

    #[test]
    fn the_contracts_example_is_a_tick() {
        let tick = decode(
            br#"{"symbol":"btc","coin_id":"bitcoin","price_usd":95750.12,"volume_24h":78701577213.28,
            "market_cap":1.9e12,"price_change_24h":-1.42,"last_updated":1763271030,
            "timestamp":"2025-11-16T05:30:31.120Z","producer_id":"x","nested":{"a":[1,"}",null]}}"#,
        )
        .expect("a tick");
        assert_eq!(&*tick.symbol.text(), "BTC");
        assert_eq!(tick.time, EventTime(1_763_271_031_120));
        assert_eq!((tick.price.mantissa, tick.price.exponent, tick.price.value), (9_575_012, -2, 95750.12));
        assert_eq!(tick.day_volume, Some(Price(78_701_577_213.28)));
        assert_eq!(tick.size, None);
    }

    #[test]
    fn trailing_zeros_are_not_digits_and_nothing_is_lost_of_seventeen() {
        let tick = decode(br#"{"symbol":"X","price":1219.3455852742827,"size":0.01000000,"timestamp":5}"#)
            .expect("a tick");
        assert_eq!(tick.price.value.to_string(), "1219.3455852742827");
        let size = tick.size.expect("a size");
        assert_eq!((size.mantissa, size.exponent), (1, -2));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            ("", "malformed: expected '{' at byte 0"),
            ("[1]", "malformed: expected '{' at byte 0"),
            (r#"{"symbol":"BTC"}"#, "malformed: price_usd is missing"),
            (r#"{"symbol":null,"price":1,"timestamp":1}"#, "malformed: symbol is missing"),
            (r#"{"symbol":7,"price":1,"timestamp":1}"#, "malformed: symbol is a number, not a string"),
            (
                r#"{"symbol":"B C","price":1,"timestamp":1}"#,
                r#"invalid: symbol has ' ', allowed are A-Z 0-9 . _ -: "B C""#,
            ),
            (r#"{"symbol":"B","price":"1","timestamp":1}"#, "malformed: price_usd is a string, not a number"),
            (
                r#"{"symbol":"B","price":0,"timestamp":1}"#,
                "invalid: price_usd 0 is not within 1e-18 and 1e12",
            ),
            (
                r#"{"symbol":"B","price":-1.5,"timestamp":1}"#,
                "invalid: price_usd -1.5 is not within 1e-18 and 1e12",
            ),
            (
                r#"{"symbol":"B","price":1e400,"timestamp":1}"#,
                "invalid: price_usd 1e400 is not within 1e-18 and 1e12",
            ),
            (r#"{"symbol":"B","price":NaN,"timestamp":1}"#, "malformed: expected a value at byte 22"),
            (
                r#"{"symbol":"B","price":1,"timestamp":1.5}"#,
                "malformed: timestamp 1.5 is not an integer of milliseconds",
            ),
            (
                r#"{"symbol":"B","price":1,"timestamp":"yesterday"}"#,
                r#"malformed: timestamp "yesterday" is not an RFC 3339 time"#,
            ),
            (
                r#"{"symbol":"B","price":1,"timestamp":"0001-01-01T00:00:00Z"}"#,
                "invalid: timestamp 0001-01-01T00:00:00Z is not within the years 1970 and 9999",
            ),
            (
                r#"{"symbol":"B","price":1,"timestamp":-1}"#,
                "invalid: timestamp -1 is not within the years 1970 and 9999",
            ),
            (
                r#"{"symbol":"B","price":1,"timestamp":1,"size":-2}"#,
                "invalid: size -2 is not within 0 and 1e15",
            ),
            (r#"{"symbol":"B","price":1,"timestamp":1} x"#, "malformed: trailing characters at byte 39"),
            (r#"{"symbol":"B","price":1,"timestamp":1"#, "malformed: expected ',' or '}' at byte 37"),
            (r#"{"symbol":"B","price":01,"timestamp":1}"#, "malformed: expected ',' or '}' at byte 23"),
        ];
        for (line, expected) in cases {
            assert_eq!(reason(line), expected, "{line}");
        }
        assert!(decode(b"{\"symbol\":\"\xff\"}").is_err());
    }

    #[test]
    fn escapes_are_understood_in_names_and_values() {
        let tick = decode(br#"{"\u0073ymbol":"\u0042TC","price":1,"timestamp":1,"note":"\ud83d\ude00\\\""}"#)
            .expect("a tick");
        assert_eq!(&*tick.symbol.text(), "BTC");
    }

    #[test]
    fn deep_nesting_is_refused_and_does_not_overflow_the_stack() {
        let line = format!(r#"{{"x":{}"#, "[".repeat(1_000_000));
        assert_eq!(reason(&line), "malformed: nested deeper than 127 levels at byte 131");
    }
}
