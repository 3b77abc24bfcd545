//! The simulated market: trades of any symbols from one seed, for trying Tallow out and for its tests and benchmarks.
//!
//! **Deterministic.** The ticks are a function of the settings and the time at which the market opens: not of the
//! clock, nor of how often or in which portions they are taken. Each symbol draws from a ChaCha8 stream of its own,
//! keyed by (seed, symbol, opening time), so adding a symbol changes no other symbol's ticks.
//!
//! **Price.** The fair log price `x` of a symbol moves by geometric Brownian motion, jumps added; `t` in minutes:
//!
//! ```text
//! dx  = σ dW − σ²/2 dt + J dN        N: Poisson, jumps_per_hour / 60 a minute
//! σ   = σ₀ exp(h − s²)               constant within a minute, E σ² = σ₀²
//! h   ← φ h + s √(1 − φ²) ε          once a minute, ε standard normal; φ = 0.97, s = 0.35
//! |J| = σ (7 + 3 E)                  E standard exponential; either sign
//! σ₀² = a² / 525 600 / (1 + jumps_per_hour / 60 · E(|J| / σ)²)
//! ```
//!
//! where `a` is the annual volatility of the symbol, 45–100 %, jumps included. So volatility clusters (its half-life
//! is 23 minutes), tails are heavy, and a jump is an event that a z-score detector over one-minute returns sees.
//! The price stays between one price step and 10¹¹.
//!
//! **Trades.** A gap between trades is exponential with mean `g·b` with probability `q`, a burst, else with mean
//! `g·(1 − q·b)/(1 − q)`; `q = 0.3`, `b = 0.05`, and `1/g` is the symbol's rate times `exp(h − s²/2)`: trading is busier
//! where the price moves more. Gaps are cut at [`SimulatorSettings::longest_gap_ms`]. A buyer pays the
//! fair price rounded up to the price step, a seller gets it rounded down, either with probability ½ and the same
//! throughout a burst. The traded value is log-normal, its logarithm with a standard deviation of 1.3.
//!
//! **Units.** Event times in whole milliseconds, prices and sizes as exact decimals of the symbol's steps.
//! **State** per symbol: some 500 bytes. **Cost** per tick: five random numbers, four
//! exponentials, one heap step.

mod disorder;
mod listing;
mod market;
mod settings;
mod walk;

pub use disorder::{Arrival, Disorder, DisorderSettings};
pub use settings::SimulatorSettings;

use listing::Listing;
use market::Market;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use tallow_model::error::Error;
use tallow_model::feed::{FeedTick, Producer};
use tallow_model::{EventTime, MAX_EVENT_TIME, Price, Symbol};

/// The producer of simulated ticks: whatever is simulated says so.
pub static PRODUCER: Producer = Producer { id: "tallow-simulator", source: "simulated" };

/// A simulated market, open from a point in time on and for ever.
#[derive(Clone, Debug)]
pub struct Simulator {
    listings: Vec<Listing>,
    /// The next trade of each listing: its time in microseconds, and the listing's place.
    next: BinaryHeap<Reverse<(u64, usize)>>,
}

impl Simulator {
    /// Opens the market at `start_ms`.
    ///
    /// # Errors
    /// When a setting can't be, or the time is past the last event time there is.
    pub fn open(settings: &SimulatorSettings, start_ms: u64) -> Result<Simulator, Error> {
        Simulator::resume(settings, &[], start_ms)
    }

    /// Opens the market again at `from_ms`, each symbol at the price of its last trade and with its next trade
    /// strictly later. A symbol that `last` does not know starts at its usual price; the volatility of each starts
    /// anew.
    ///
    /// # Errors
    /// As [`Simulator::open`].
    pub fn resume(
        settings: &SimulatorSettings,
        last: &[(Symbol, Price, EventTime)],
        from_ms: u64,
    ) -> Result<Simulator, Error> {
        settings.check()?;
        let last: BTreeMap<Symbol, (Price, EventTime)> =
            last.iter().map(|(symbol, price, time)| (*symbol, (*price, *time))).collect();
        let start_prices: BTreeMap<Symbol, f64> = settings.start_prices.iter().copied().collect();
        let open = |symbol: Symbol| {
            let market = Market::of(symbol, start_prices.get(&symbol).copied());
            let (price, from_ms) = match last.get(&symbol) {
                Some((price, time)) => (price.0, from_ms.max(time.millis().saturating_add(1))),
                None => (market.start_price, from_ms),
            };
            if from_ms > MAX_EVENT_TIME.millis() {
                return Err(Error::Invalid(format!(
                    "open the market of {symbol} at {from_ms} ms, after 9999"
                )));
            }
            if !(price.is_finite() && price > 0.0) {
                return Err(Error::Invalid(format!("open the market of {symbol} at a price of {price}")));
            }
            Ok(Listing::new(symbol, market, settings, price, from_ms))
        };
        let mut symbols = settings.symbols.clone();
        symbols.sort_unstable();
        symbols.dedup();
        let listings = symbols.into_iter().map(open).collect::<Result<Vec<_>, _>>()?;
        let next = listings.iter().enumerate().map(|(i, listing)| Reverse((listing.next_us(), i))).collect();
        Ok(Simulator { listings, next })
    }

    /// Appends all trades before `until_ms` that have not been taken yet, in the order in which they happen.
    pub fn ticks_until(&mut self, until_ms: u64, out: &mut Vec<FeedTick>) {
        while let Some(mut earliest) = self.next.peek_mut() {
            let Reverse((time_us, i)) = *earliest;
            if time_us / 1_000 >= until_ms {
                break;
            }
            let listing = &mut self.listings[i];
            out.push(listing.trade());
            *earliest = Reverse((listing.next_us(), i));
        }
    }

    /// The event time of the next trade.
    pub fn next_ms(&self) -> u64 {
        self.next.peek().map_or(u64::MAX, |Reverse((time_us, _))| time_us / 1_000)
    }
}
