//! The reference decoder: a plain and slow decoder of ticks on `serde_json`, over each field's raw
//! text.

use crate::exact;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use tallow_model::{MAX_EVENT_TIME, MAX_NOTIONAL, MAX_PRICE, MAX_SIZE, MAX_SYMBOL_LEN, MIN_PRICE};

/// The most levels of objects and arrays that `serde_json` reads.
const MAX_DEPTH: usize = 127;

/// Classification of an input.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The input is no JSON object.
    NotAnObject,
    /// The input is an object but no tick.
    NotATick,
    /// The input is a tick.
    Tick(Expected),
}

/// The expected fields of a tick. Numbers whose digits count are kept as text.
#[derive(Debug)]
pub(crate) struct Expected {
    pub(crate) symbol: String,
    pub(crate) time: u64,
    pub(crate) price: String,
    pub(crate) size: Option<String>,
    pub(crate) day_volume: Option<f64>,
    pub(crate) received: Option<u64>,
}

/// The fields of an object as text. If a name occurs twice, the last one counts.
type Fields<'a> = BTreeMap<String, &'a RawValue>;

/// Classifies an input.
pub(crate) fn judge(bytes: &[u8]) -> Verdict {
    let object = std::str::from_utf8(bytes).ok().filter(|text| is_object(text));
    // The result must agree with serde_json's own tree, which can't hold every number.
    match serde_json::from_slice::<Value>(bytes) {
        Ok(value) => {
            assert_eq!(object.is_some(), value.is_object(), "the reference is wrong about an object")
        }
        Err(error) if error.to_string().starts_with("number out of range") => {}
        Err(error) => assert!(object.is_none(), "the reference takes for an object what is none: {error}"),
    }
    let Some(fields) = object.and_then(|text| serde_json::from_str::<Fields<'_>>(text).ok()) else {
        return Verdict::NotAnObject;
    };
    tick(&fields).map_or(Verdict::NotATick, Verdict::Tick)
}

fn is_object(text: &str) -> bool {
    text.trim_start_matches([' ', '\n', '\t', '\r']).starts_with('{') && is_well_formed(text, 1)
}

/// Whether `serde_json` reads the text. A raw value is checked for its grammar, but not for its
/// escapes and depth.
fn is_well_formed(text: &str, depth: usize) -> bool {
    match text.trim_start_matches([' ', '\n', '\t', '\r']).as_bytes().first() {
        Some(b'{') => {
            // Every name and value counts, also if a name occurs twice.
            depth <= MAX_DEPTH
                && serde_json::from_str::<Entries<'_>>(text)
                    .is_ok_and(|entries| entries.0.iter().all(|value| is_well_formed(value.get(), depth + 1)))
        }
        Some(b'[') => {
            depth <= MAX_DEPTH
                && serde_json::from_str::<Vec<&RawValue>>(text)
                    .is_ok_and(|values| values.iter().all(|value| is_well_formed(value.get(), depth + 1)))
        }
        Some(b'"') => serde_json::from_str::<String>(text).is_ok(),
        _ => serde_json::from_str::<&RawValue>(text).is_ok(),
    }
}

/// Every value of an object, whatever its name.
struct Entries<'a>(Vec<&'a RawValue>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Entries<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Entries<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Entries<'de>, A::Error> {
                let mut values = Vec::new();
                while let Some((_, value)) = map.next_entry::<String, &'de RawValue>()? {
                    values.push(value);
                }
                Ok(Entries(values))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

fn tick(fields: &Fields<'_>) -> Option<Expected> {
    let field = |name: &str| fields.get(name).map(|raw| raw.get()).filter(|text| *text != "null");
    let symbol = serde_json::from_str::<String>(field("symbol")?).ok()?.to_ascii_uppercase();
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if !(1..=MAX_SYMBOL_LEN).contains(&symbol.len()) || !symbol.bytes().all(allowed) {
        return None;
    }
    let price = number(field("price_usd").or_else(|| field("price"))?)?;
    if !(MIN_PRICE..=MAX_PRICE).contains(&exact::float(price)) {
        return None;
    }
    let time = time(field("timestamp")?)?;
    let size = match field("size") {
        None => None,
        Some(text) => Some(number(text).filter(|size| {
            let (size, price) = (exact::float(size), exact::float(price));
            size <= MAX_SIZE && price * size <= MAX_NOTIONAL
        })?),
    };
    let day_volume = match field("volume_24h") {
        None => None,
        Some(text) => Some(number(text).map(exact::float).filter(|volume| volume.is_finite())?),
    };
    Some(Expected {
        symbol,
        time,
        price: price.to_owned(),
        size: size.map(str::to_owned),
        day_volume,
        received: field("received").and_then(self::time),
    })
}

/// Returns the text if it is a number that is not negative.
fn number(text: &str) -> Option<&str> {
    let is_number = text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    (is_number && !exact::is_negative(text)).then_some(text)
}

/// Parses integer milliseconds of at most 19 digits, or a time that `jiff` reads; from 1970 to
/// 9999.
fn time(text: &str) -> Option<u64> {
    let millis = if text.starts_with('"') {
        let instant: jiff::Timestamp = serde_json::from_str::<String>(text).ok()?.parse().ok()?;
        if instant < jiff::Timestamp::UNIX_EPOCH {
            return None;
        }
        u64::try_from(instant.as_millisecond()).ok()?
    } else {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.len() > 19 {
            return None;
        }
        u64::try_from(text.parse::<i128>().ok()?).ok()?
    };
    (millis <= MAX_EVENT_TIME.millis()).then_some(millis)
}
