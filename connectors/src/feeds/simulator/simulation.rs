//! The running market: every listing, and the order of their next trades.

use super::listing::Listing;
use super::market::Market;
use super::settings::SimulatorSettings;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use tallow_model::error::Error;
use tallow_model::feed::FeedTick;
use tallow_model::{EventTime, MAX_EVENT_TIME, Price, Symbol};

/// A simulated market, open from a point in time on and for ever.
#[derive(Clone, Debug)]
pub struct Simulator {
    listings: Vec<Listing>,
    /// Next trade of each listing: its time in microseconds, and the index of the listing.
    next: BinaryHeap<Reverse<(u64, usize)>>,
}

impl Simulator {
    /// Opens the market at `start_ms`.
    ///
    /// # Errors
    /// When a setting is invalid, or the time is past the last event time.
    pub fn open(settings: &SimulatorSettings, start_ms: u64) -> Result<Simulator, Error> {
        Simulator::resume(settings, &[], start_ms)
    }

    /// Reopens the market at `from_ms`, each symbol at the price of its last trade and with its
    /// next trade strictly later. A symbol that `last` does not contain starts at its usual price;
    /// the volatility of each starts anew.
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

    /// Appends all trades before `until_ms` that have not been taken yet, in the order of their
    /// times.
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

    /// Returns the event time of the next trade, in milliseconds.
    pub fn next_ms(&self) -> u64 {
        self.next.peek().map_or(u64::MAX, |Reverse((time_us, _))| time_us / 1_000)
    }
}
