//! Bounds of settings, as types that serde reads and writes a field with.
//!
//! A setting is one field that names its bounds:
//!
//! ```
//! # use serde::{Deserialize, Serialize};
//! # use tallow_model::setting::{Bounded, Millis};
//! # use std::time::Duration;
//! #[derive(Deserialize, Serialize)]
//! struct Settings {
//!     #[serde(with = "Bounded::<1, 256>")]
//!     workers: usize,
//!     #[serde(rename = "timeout_ms", with = "Millis::<1, 60_000>")]
//!     timeout: Duration,
//! }
//! let refused = serde_json::from_str::<Settings>(r#"{"workers": 0, "timeout_ms": 5}"#);
//! assert!(refused.err().unwrap().to_string().starts_with("0 is below the minimum of 1"));
//! ```
//!
//! The error names the value and the bound. Whoever reads the settings adds the key. The fields
//! keep their plain types, so that a caller in Rust writes `workers: 4`.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt::Display;
use std::time::Duration;

/// The maximum of a setting that has none.
pub const UNBOUNDED: u64 = u64::MAX;
/// Milliseconds of a day.
pub const DAY_MS: u64 = 24 * 3_600 * 1_000;
/// Milliseconds of a week, the maximum of most durations.
pub const WEEK_MS: u64 = 7 * DAY_MS;
/// The maximum number of threads of one kind: far beyond the machines that the program runs on, and
/// below the number at which a system refuses threads.
pub const MAX_THREADS: u64 = 256;

/// An integer from `MIN` to `MAX`, both included.
#[derive(Clone, Copy, Debug)]
pub struct Bounded<const MIN: u64, const MAX: u64>;

/// A [`Duration`] of `MIN` to `MAX` milliseconds, both included, written as an integer.
#[derive(Clone, Copy, Debug)]
pub struct Millis<const MIN: u64, const MAX: u64>;

/// A floating-point number from `MIN` to `MAX`, both included.
#[derive(Clone, Copy, Debug)]
pub struct BoundedFloat<const MIN: u64, const MAX: u64>;

/// A finite floating-point number above 0.
#[derive(Clone, Copy, Debug)]
pub struct Positive;

/// A list of at least one element.
#[derive(Clone, Copy, Debug)]
pub struct NonEmpty;

impl<const MIN: u64, const MAX: u64> Bounded<MIN, MAX> {
    /// Reads the integer.
    ///
    /// # Errors
    /// If the value is no integer or is out of bounds.
    pub fn deserialize<'de, T: TryFrom<u64>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        let value = u64::deserialize(deserializer)?;
        check(value, &MIN, &MAX)?;
        // A bound above the maximum of `T` leaves this to be found.
        T::try_from(value).map_err(|_| D::Error::custom(format!("{value} is too large")))
    }

    /// Writes the integer.
    ///
    /// # Errors
    /// If the serializer fails.
    pub fn serialize<T: Serialize, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        value.serialize(serializer)
    }
}

impl<const MIN: u64, const MAX: u64> Millis<MIN, MAX> {
    /// Reads the duration.
    ///
    /// # Errors
    /// If the value is no integer or is out of bounds.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Bounded::<MIN, MAX>::deserialize(deserializer).map(Duration::from_millis)
    }

    /// Writes the duration.
    ///
    /// # Errors
    /// If the serializer fails.
    pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        u64::try_from(value.as_millis()).unwrap_or(u64::MAX).serialize(serializer)
    }
}

impl<const MIN: u64, const MAX: u64> BoundedFloat<MIN, MAX> {
    /// Reads the number.
    ///
    /// # Errors
    /// If the value is no number or is out of bounds.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        let value = f64::deserialize(deserializer)?;
        if value.is_nan() {
            return Err(D::Error::custom("NaN is not a number"));
        }
        check(value, &(MIN as f64), &(MAX as f64))?;
        Ok(value)
    }

    /// Writes the number.
    ///
    /// # Errors
    /// If the serializer fails.
    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        value.serialize(serializer)
    }
}

impl Positive {
    /// Reads the number.
    ///
    /// # Errors
    /// If the value is no finite number above 0.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        let value = f64::deserialize(deserializer)?;
        if value.is_finite() && value > 0.0 {
            return Ok(value);
        }
        Err(D::Error::custom(format!("{value} is not a finite number above 0")))
    }

    /// Writes the number.
    ///
    /// # Errors
    /// If the serializer fails.
    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        value.serialize(serializer)
    }
}

impl NonEmpty {
    /// Reads the list.
    ///
    /// # Errors
    /// If an element can't be read or there is none.
    pub fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<T>, D::Error> {
        let list = Vec::deserialize(deserializer)?;
        if list.is_empty() { Err(D::Error::custom("the list is empty")) } else { Ok(list) }
    }

    /// Writes the list.
    ///
    /// # Errors
    /// If the serializer fails.
    pub fn serialize<T: Serialize, S: Serializer>(list: &[T], serializer: S) -> Result<S::Ok, S::Error> {
        list.serialize(serializer)
    }
}

fn check<T: PartialOrd + Display, E: Error>(value: T, min: &T, max: &T) -> Result<(), E> {
    if value < *min {
        return Err(E::custom(format!("{value} is below the minimum of {min}")));
    }
    if value > *max {
        return Err(E::custom(format!("{value} is above the maximum of {max}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize, Serialize)]
    struct Settings {
        #[serde(with = "Bounded::<1, 4>")]
        count: u32,
        #[serde(rename = "wait_ms", with = "Millis::<10, WEEK_MS>")]
        wait: Duration,
        #[serde(with = "BoundedFloat::<0, 1>")]
        share: f64,
        #[serde(with = "Positive")]
        rate: f64,
        #[serde(with = "NonEmpty")]
        names: Vec<String>,
    }

    fn read(key: &str, value: serde_json::Value) -> Result<Settings, String> {
        let mut settings =
            serde_json::json!({"count": 4, "wait_ms": 10, "share": 0.5, "rate": 0.1, "names": ["a"]});
        settings[key] = value;
        serde_json::from_value(settings).map_err(|error| error.to_string())
    }

    #[test]
    fn a_value_within_its_bounds_is_read_and_written_as_it_was() {
        let settings = read("count", 4.into()).expect("within the bounds");
        assert_eq!((settings.count, settings.wait), (4, Duration::from_millis(10)));
        let written = serde_json::to_string(&settings).expect("written");
        assert_eq!(serde_json::from_str::<Settings>(&written).expect("read"), settings);
    }

    #[test]
    fn a_value_out_of_bounds_is_refused_with_the_bound() {
        for (key, value, expected) in [
            ("count", 0.into(), "0 is below the minimum of 1"),
            ("count", 5.into(), "5 is above the maximum of 4"),
            ("wait_ms", 9.into(), "9 is below the minimum of 10"),
            ("wait_ms", (WEEK_MS + 1).into(), "604800001 is above the maximum of 604800000"),
            ("share", 1.5.into(), "1.5 is above the maximum of 1"),
            ("share", (-0.5).into(), "-0.5 is below the minimum of 0"),
            ("rate", 0.0.into(), "0 is not a finite number above 0"),
            ("names", serde_json::json!([]), "the list is empty"),
        ] {
            assert_eq!(read(key, value), Err(expected.to_owned()), "{key}");
        }
    }
}
