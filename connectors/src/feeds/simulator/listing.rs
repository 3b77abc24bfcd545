//! The trades of one market: time, price, size and side of each.
//!
//! A trade id is the event time in milliseconds times 1000, plus a counter within the millisecond:
//! unique and growing, also after a restart, which only knows the time of the last trade.

use super::market::Market;
use super::settings::SimulatorSettings;
use super::walk::Walk;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Exp1, StandardNormal};
use tallow_model::feed::{FeedTick, Producer, Side, decimal};
use tallow_model::{EventTime, Symbol};

/// Producer of simulated ticks; its source says `simulated`.
pub static PRODUCER: Producer = Producer { id: "tallow-simulator", source: "simulated" };

/// Microseconds in a millisecond.
const MS_US: u64 = 1_000;
/// Most trades of a symbol in a millisecond.
const IDS_PER_MS: u64 = 1_000;
/// q: the share of trades that follow at once on the one before, as when one order fills in parts.
const BURST_SHARE: f64 = 0.3;
/// b: the mean gap within a burst, in mean gaps.
const BURST_GAP: f64 = 0.05;
/// Mean gap between bursts, in mean gaps, such that the mean over all gaps is one.
const CALM_GAP: f64 = (1.0 - BURST_SHARE * BURST_GAP) / (1.0 - BURST_SHARE);
/// Standard deviation of the logarithm of a trade's value.
const LOG_SIZE_SD: f64 = 1.3;
/// Most size steps that a size can have: below this a float holds every one of them.
const MAX_SIZE_UNITS: f64 = 1e15;

/// A market with its own stream of random numbers, so that no other market changes it.
#[derive(Clone, Debug)]
pub(super) struct Listing {
    symbol: Symbol,
    market: Market,
    walk: Walk,
    rng: ChaCha8Rng,
    /// Mean gap between trades at mean activity, in microseconds.
    mean_gap_us: f64,
    longest_gap_us: u64,
    /// Time of the next trade, in microseconds since the epoch.
    next_us: u64,
    next_id: u64,
    /// Side of the next trade, if it belongs to the burst of the one before.
    burst_side: Option<Side>,
}

impl Listing {
    /// Opens the market of `symbol` with this price at `from_ms`; its first trade is no earlier.
    pub(super) fn new(
        symbol: Symbol,
        market: Market,
        settings: &SimulatorSettings,
        price: f64,
        from_ms: u64,
    ) -> Listing {
        let mut rng = rng_of(settings.seed, symbol, from_ms);
        let from_us = from_ms * MS_US;
        let walk = Walk::new(&market, price, settings.jumps_per_hour, from_us, &mut rng);
        let mut listing = Listing {
            symbol,
            market,
            walk,
            rng,
            mean_gap_us: 1e6 / (settings.trades_per_second * market.activity),
            longest_gap_us: settings.longest_gap_ms.map_or(u64::MAX, |ms| ms.saturating_mul(MS_US)),
            next_us: from_us,
            next_id: from_ms * IDS_PER_MS,
            burst_side: None,
        };
        listing.schedule();
        listing
    }

    /// Returns the time of the next trade, in microseconds since the epoch.
    pub(super) fn next_us(&self) -> u64 {
        self.next_us
    }

    /// Returns the next trade.
    pub(super) fn trade(&mut self) -> FeedTick {
        self.walk.advance(self.next_us, &mut self.rng);
        let side = self
            .burst_side
            .take()
            .unwrap_or_else(|| if self.rng.random::<bool>() { Side::Buy } else { Side::Sell });
        let price = self.walk.price();
        let tick = FeedTick {
            producer: &PRODUCER,
            symbol: self.symbol,
            time: EventTime(self.next_us / MS_US),
            price: self.quote(price, side),
            size: self.draw_size(price),
            trade_id: self.next_id,
            side,
        };
        self.next_id += 1;
        if self.schedule() {
            self.burst_side = Some(side);
        }
        tick
    }

    /// Returns the fair price, rounded to the price step on the taker's side: the spread is one
    /// step.
    fn quote(&self, price: f64, side: Side) -> tallow_model::Decimal {
        let units = price * 10f64.powi(i32::from(self.market.price_places));
        let units = match side {
            Side::Buy => units.ceil(),
            Side::Sell => units.floor(),
        };
        // The walk's bounds keep it far below 2⁵³.
        decimal(units.max(1.0) as u64, self.market.price_places)
    }

    fn draw_size(&mut self, price: f64) -> tallow_model::Decimal {
        let normal: f64 = self.rng.sample(StandardNormal);
        let size = self.market.median_notional * libm::exp(LOG_SIZE_SD * normal) / price;
        let units = (size * 10f64.powi(i32::from(self.market.size_places))).round();
        decimal(units.clamp(1.0, MAX_SIZE_UNITS) as u64, self.market.size_places)
    }

    /// Draws the time of the next trade; returns whether it belongs to the same burst.
    fn schedule(&mut self) -> bool {
        let burst = self.rng.random::<f64>() < BURST_SHARE;
        let mean_gaps = if burst { BURST_GAP } else { CALM_GAP };
        let gap = self.rng.sample::<f64, _>(Exp1) * mean_gaps * self.mean_gap_us / self.walk.activity();
        self.next_us = self.next_us.saturating_add((gap as u64).min(self.longest_gap_us));
        let first_id = self.next_us / MS_US * IDS_PER_MS;
        if self.next_id >= first_id + IDS_PER_MS {
            // The ids of this millisecond are used up: the trade waits for the next.
            self.next_us = self.next_id.div_ceil(IDS_PER_MS) * MS_US;
        }
        self.next_id = self.next_id.max(self.next_us / MS_US * IDS_PER_MS);
        burst
    }
}

/// Returns the random numbers of one market from one point in time on.
fn rng_of(seed: u64, symbol: Symbol, from_ms: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (bytes, word) in key.chunks_exact_mut(8).zip([seed, symbol.stable_hash(), from_ms]) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}
