//! Settings of the simulated market, and their bounds.

use super::market::NAMED;
use std::ops::RangeInclusive;
use tallow_model::Symbol;
use tallow_model::error::Error;

/// Valid start prices.
const START_PRICES: RangeInclusive<f64> = 1e-9..=1e9;
/// Valid trading rates of a symbol, in trades a second: from one in eleven days.
const TRADE_RATES: RangeInclusive<f64> = 1e-6..=10_000.0;
/// Valid jump rates of a symbol, in jumps an hour.
const JUMP_RATES: RangeInclusive<f64> = 0.0..=60.0;

/// The settings of a simulated market.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulatorSettings {
    /// Seed of everything random.
    pub seed: u64,
    /// The markets. Their order does not matter, and duplicates count once.
    pub symbols: Vec<Symbol>,
    /// Prices to start from instead of the usual ones, in quote currency, from 10⁻⁹ to 10⁹.
    pub start_prices: Vec<(Symbol, f64)>,
    /// Mean rate of trades of a symbol of usual activity, from 10⁻⁶ to 10⁴ a second. The named
    /// symbols differ in activity; over the eight of them the mean is this rate.
    pub trades_per_second: f64,
    /// Mean rate of jumps of a symbol, from 0 to 60 an hour.
    pub jumps_per_hour: f64,
    /// Longest time without a trade of a symbol, in milliseconds: a longer gap is cut, so that a
    /// viewer sees every symbol move. `None` leaves the gaps as they are drawn.
    pub longest_gap_ms: Option<u64>,
}

impl Default for SimulatorSettings {
    fn default() -> SimulatorSettings {
        SimulatorSettings {
            seed: 1,
            symbols: NAMED.iter().filter_map(|(name, _)| name.parse().ok()).collect(),
            start_prices: Vec::new(),
            trades_per_second: 2.0,
            jumps_per_hour: 0.4,
            longest_gap_ms: Some(900),
        }
    }
}

impl SimulatorSettings {
    /// Checks the settings; the error names the invalid one.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.symbols.is_empty() {
            return Err(Error::Invalid("simulate a market without symbols".to_owned()));
        }
        within("trades_per_second", self.trades_per_second, &TRADE_RATES)?;
        within("jumps_per_hour", self.jumps_per_hour, &JUMP_RATES)?;
        if self.longest_gap_ms == Some(0) {
            return Err(Error::Invalid("longest_gap_ms is 0, the least is 1".to_owned()));
        }
        self.start_prices.iter().try_for_each(|(symbol, price)| {
            within(&format!("start price of {symbol}"), *price, &START_PRICES)
        })
    }
}

fn within(what: &str, value: f64, range: &RangeInclusive<f64>) -> Result<(), Error> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(Error::Invalid(format!("{what} {value} is not within {:e} and {:e}", range.start(), range.end())))
}
