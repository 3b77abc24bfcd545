//! Types of settings whose bounds are part of the type: a value out of bounds can't be read.
//!
//! A setting is one field of such a type and one commented line of `config/default.toml`.

use serde::{Deserialize, Deserializer, Serialize, de};
use std::fmt;
use std::time::Duration;

/// The most milliseconds of an ordinary duration: a week.
pub const WEEK_MS: u64 = 7 * 24 * 3_600 * 1_000;

/// A whole number from `MIN` to `MAX`, both included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Bounded<const MIN: u64, const MAX: u64>(u64);

/// A duration in whole milliseconds, from `MIN` to `MAX`, both included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Millis<const MIN: u64, const MAX: u64>(Bounded<MIN, MAX>);

/// A number is out of the bounds of its setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutOfBounds {
    /// The number is too small.
    #[error("{value} is below {least}, the least")]
    TooSmall {
        /// The number.
        value: u64,
        /// The least number that is allowed.
        least: u64,
    },
    /// The number is too large.
    #[error("{value} is above {most}, the most")]
    TooLarge {
        /// The number.
        value: u64,
        /// The largest number that is allowed.
        most: u64,
    },
}

impl<const MIN: u64, const MAX: u64> Bounded<MIN, MAX> {
    /// Returns the number if it is within the bounds.
    ///
    /// # Errors
    /// If the number is out of bounds; the error names the bound.
    pub const fn try_new(value: u64) -> Result<Bounded<MIN, MAX>, OutOfBounds> {
        if value < MIN {
            return Err(OutOfBounds::TooSmall { value, least: MIN });
        }
        if value > MAX {
            return Err(OutOfBounds::TooLarge { value, most: MAX });
        }
        Ok(Bounded(value))
    }

    /// Returns the number within the bounds that is nearest to `value`.
    pub const fn clamped(value: u64) -> Bounded<MIN, MAX> {
        Bounded(if value < MIN {
            MIN
        } else if value > MAX {
            MAX
        } else {
            value
        })
    }

    /// Returns the number itself.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Returns the number as a count in memory; the largest count if it is larger.
    pub fn count(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl<const MIN: u64, const MAX: u64> Millis<MIN, MAX> {
    /// Returns the duration if it is within the bounds.
    ///
    /// # Errors
    /// If the duration is out of bounds; the error names the bound.
    pub fn try_new(millis: u64) -> Result<Millis<MIN, MAX>, OutOfBounds> {
        Bounded::try_new(millis).map(Millis)
    }

    /// Returns the duration within the bounds that is nearest to `millis`.
    pub const fn clamped(millis: u64) -> Millis<MIN, MAX> {
        Millis(Bounded::clamped(millis))
    }

    /// Returns the number of milliseconds.
    pub const fn millis(self) -> u64 {
        self.0.get()
    }

    /// Returns the duration.
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.millis())
    }
}

impl<const MIN: u64, const MAX: u64> From<Duration> for Millis<MIN, MAX> {
    /// The setting that is nearest to the duration.
    fn from(duration: Duration) -> Millis<MIN, MAX> {
        Millis::clamped(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Bounded<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Bounded<MIN, MAX>, D::Error> {
        Bounded::try_new(u64::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Millis<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Millis<MIN, MAX>, D::Error> {
        Bounded::deserialize(deserializer).map(Millis)
    }
}

impl<const MIN: u64, const MAX: u64> fmt::Debug for Bounded<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<const MIN: u64, const MAX: u64> fmt::Debug for Millis<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_out_of_bounds_is_refused_with_the_bound() {
        let read =
            |text: &str| serde_json::from_str::<Millis<1, 10>>(text).map_err(|error| error.to_string());
        assert_eq!(read("1"), Ok(Millis::clamped(1)));
        assert_eq!(read("10").map(Millis::duration), Ok(Duration::from_millis(10)));
        assert!(read("0").is_err_and(|error| error.starts_with("0 is below 1, the least")));
        assert!(read("11").is_err_and(|error| error.starts_with("11 is above 10, the most")));
        assert!(read("-1").is_err());
        assert!(read("\"1\"").is_err());
    }

    #[test]
    fn a_clamped_value_is_the_nearest_one_that_is_allowed() {
        assert_eq!(Bounded::<1, 10>::clamped(0).get(), 1);
        assert_eq!(Bounded::<1, 10>::clamped(5).get(), 5);
        assert_eq!(Bounded::<1, 10>::clamped(11).count(), 10);
    }
}
