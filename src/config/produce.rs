//! `[produce]`: what `tallow produce` feeds into the log, and how fast.

use anyhow::bail;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use tallow_model::Symbol;

/// `[produce]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProduceConfig {
    pub(crate) feed: FeedKind,
    pub(crate) speed: Speed,
    pub(crate) seed: u64,
    pub(crate) symbols: Vec<Symbol>,
    pub(crate) trades_per_second: f64,
}

impl ProduceConfig {
    /// Checks what types can't say.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let rate = self.trades_per_second;
        if !(rate.is_finite() && rate > 0.0) {
            bail!("produce.trades_per_second is {rate}, not a finite number above 0");
        }
        if self.symbols.is_empty() {
            bail!("produce.symbols names no symbol");
        }
        Ok(())
    }
}

/// Where records come from.
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

/// How fast event time runs against the clock.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Speed {
    /// So many times as fast.
    Times(f64),
    /// As fast as it goes.
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
