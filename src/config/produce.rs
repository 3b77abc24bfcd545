//! `[produce]`: the feed of `tallow produce`, and its speed.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use tallow_model::Symbol;
use tallow_model::setting::{NonEmpty, Positive};

/// `[produce]`: the feed of `tallow produce`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProduceConfig {
    pub(crate) feed: FeedKind,
    pub(crate) speed: Speed,
    pub(crate) seed: u64,
    #[serde(with = "NonEmpty")]
    pub(crate) symbols: Vec<Symbol>,
    #[serde(with = "Positive")]
    pub(crate) trades_per_second: f64,
}

/// The source of the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FeedKind {
    CoinGecko,
    Sim,
    File,
}

impl FeedKind {
    pub(crate) const ALL: [FeedKind; 3] = [FeedKind::CoinGecko, FeedKind::Sim, FeedKind::File];

    /// The name in settings and flags.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            FeedKind::CoinGecko => "coingecko",
            FeedKind::Sim => "sim",
            FeedKind::File => "file",
        }
    }
}

/// The speed of event time relative to the clock.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Speed {
    /// A factor above 0.
    Times(f64),
    /// Without waits.
    Max,
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Speed, String> {
        if text == "max" {
            return Ok(Speed::Max);
        }
        match text.parse() {
            Ok(times) if times > 0.0 && f64::is_finite(times) => Ok(Speed::Times(times)),
            _ => Err(format!("{text:?} is neither a number above 0 nor max")),
        }
    }
}

impl TryFrom<String> for Speed {
    type Error = String;

    fn try_from(text: String) -> Result<Speed, String> {
        text.parse()
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Speed::Times(times) => write!(f, "{times}"),
            Speed::Max => f.write_str("max"),
        }
    }
}

impl From<Speed> for String {
    fn from(speed: Speed) -> String {
        speed.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_a_number_above_zero_or_max() {
        for (text, speed) in [("1", Speed::Times(1.0)), ("0.5", Speed::Times(0.5)), ("max", Speed::Max)] {
            assert_eq!(text.parse(), Ok(speed));
            assert_eq!(speed.to_string(), text);
        }
        for text in ["0", "-1", "inf", "NaN", "fast", ""] {
            assert_eq!(text.parse::<Speed>(), Err(format!("{text:?} is neither a number above 0 nor max")));
        }
    }
}
