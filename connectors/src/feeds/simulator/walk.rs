//! The fair price of one market: geometric Brownian motion whose volatility clusters, and jumps.
//!
//! See the [module](super) for the formulas. State: five numbers. Cost: one normal variate a step;
//! a step is the time up to the next trade, minute or jump.

use super::market::Market;
use rand::{Rng, RngExt};
use rand_distr::{Exp1, StandardNormal};

/// Microseconds in a minute.
const MINUTE_US: u64 = 60_000_000;
/// Minutes in a year of 365 days.
const YEAR_MINUTES: f64 = 525_600.0;
/// φ: the share of a minute's log volatility that lasts into the next. The half-life is 23 minutes.
const PERSISTENCE: f64 = 0.97;
/// s: the standard deviation of the log volatility.
const LOG_VOLATILITY_SD: f64 = 0.35;
/// Smallest jump, in standard deviations of the minute it happens in.
const LEAST_JUMP: f64 = 7.0;
/// Mean excess of a jump over the smallest, in the same unit.
const MEAN_JUMP_EXCESS: f64 = 3.0;
/// Mean square of a jump, in the same unit.
const JUMP_MEAN_SQUARE: f64 =
    LEAST_JUMP * LEAST_JUMP + 2.0 * LEAST_JUMP * MEAN_JUMP_EXCESS + 2.0 * MEAN_JUMP_EXCESS * MEAN_JUMP_EXCESS;
/// Most price steps that a price can have: below this a float holds every one of them.
const MAX_UNITS: f64 = 1e15;
/// Highest price, in quote currency.
const MAX_PRICE: f64 = 1e11;

/// The state of the fair price.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    log_price: f64,
    /// Bounds of `log_price`: one price step, and the highest price.
    bounds: (f64, f64),
    /// h, the log volatility of this minute.
    log_volatility: f64,
    /// σ₀: the root mean square of the diffusive part's standard deviation over one minute.
    minute_deviation: f64,
    /// Mean time between jumps in microseconds; `None` for no jumps.
    jump_gap_us: Option<f64>,
    /// Time to which the price has been moved, in microseconds since the epoch.
    now_us: u64,
    /// Time of the next jump, in microseconds since the epoch.
    jump_us: u64,
}

impl Walk {
    /// Starts the walk of a market at `price` and `now_us`, with a volatility drawn from the
    /// stationary distribution.
    pub(super) fn new(
        market: &Market,
        price: f64,
        jumps_per_hour: f64,
        now_us: u64,
        rng: &mut impl Rng,
    ) -> Walk {
        let price_step = libm::pow(10.0, -f64::from(market.price_places));
        let per_minute = market.annual_volatility * market.annual_volatility / YEAR_MINUTES;
        let jumps_per_minute = jumps_per_hour / 60.0;
        let mut walk = Walk {
            log_price: libm::log(price),
            bounds: (libm::log(price_step), libm::log((price_step * MAX_UNITS).min(MAX_PRICE))),
            log_volatility: LOG_VOLATILITY_SD * rng.sample::<f64, _>(StandardNormal),
            minute_deviation: (per_minute / (1.0 + jumps_per_minute * JUMP_MEAN_SQUARE)).sqrt(),
            jump_gap_us: (jumps_per_hour > 0.0).then(|| MINUTE_US as f64 / jumps_per_minute),
            now_us,
            jump_us: 0,
        };
        walk.jump_us = walk.draw_jump(rng);
        walk
    }

    /// Moves the price on to `to_us`.
    pub(super) fn advance(&mut self, to_us: u64, rng: &mut impl Rng) {
        while self.now_us < to_us {
            let minute_end = (self.now_us / MINUTE_US + 1) * MINUTE_US;
            let until = to_us.min(minute_end).min(self.jump_us);
            let minutes = (until - self.now_us) as f64 / MINUTE_US as f64;
            let deviation = self.deviation();
            let normal: f64 = rng.sample(StandardNormal);
            let mut log_return = deviation * (minutes.sqrt() * normal - 0.5 * deviation * minutes);
            self.now_us = until;
            if until == self.jump_us {
                let size = LEAST_JUMP + MEAN_JUMP_EXCESS * rng.sample::<f64, _>(Exp1);
                log_return += if rng.random::<bool>() { size * deviation } else { -size * deviation };
                self.jump_us = self.draw_jump(rng);
            }
            self.log_price = (self.log_price + log_return).clamp(self.bounds.0, self.bounds.1);
            if until == minute_end {
                let innovation = LOG_VOLATILITY_SD * (1.0 - PERSISTENCE * PERSISTENCE).sqrt();
                self.log_volatility =
                    PERSISTENCE * self.log_volatility + innovation * rng.sample::<f64, _>(StandardNormal);
            }
        }
    }

    /// Returns the price at the current time.
    pub(super) fn price(&self) -> f64 {
        libm::exp(self.log_price)
    }

    /// Returns the activity of this minute relative to the mean: the more the price moves, the more
    /// is traded.
    pub(super) fn activity(&self) -> f64 {
        libm::exp(self.log_volatility - 0.5 * LOG_VOLATILITY_SD * LOG_VOLATILITY_SD)
    }

    /// Returns the standard deviation over one minute at this minute's volatility.
    fn deviation(&self) -> f64 {
        self.minute_deviation * libm::exp(self.log_volatility - LOG_VOLATILITY_SD * LOG_VOLATILITY_SD)
    }

    fn draw_jump(&self, rng: &mut impl Rng) -> u64 {
        let Some(mean) = self.jump_gap_us else { return u64::MAX };
        let gap = mean * rng.sample::<f64, _>(Exp1);
        self.now_us.saturating_add((gap as u64).max(1))
    }
}
