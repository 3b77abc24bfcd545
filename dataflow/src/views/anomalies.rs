//! Anomalies: one-minute candles whose return lies far outside the symbol's recent returns.
//!
//! - **Formula.** *r* = ln(close / previous close), *previous* being the symbol's last candle that started at most
//!   `lookback` before this one. Baseline: the returns of the candles that started in the `lookback` before this one,
//!   itself not included. *z* = (*r* − mean) / max(σ, floor), σ the sample standard deviation (n − 1). Raised where
//!   |*z*| ≥ threshold and the baseline has at least `min_samples` returns.
//! - **Unit.** A return is kept as an integer of 10⁻¹⁴, and mean and variance come from exact integer sums: they
//!   depend on no order, and a window slides without drift. Returns beyond ±50 (a factor of 10²¹ in a minute) count
//!   as ±50, so that the sums of a day's candles fit 128 bits.
//! - **Key.** Symbol. All of its retained moves are judged again when one changes, in one pass.
//! - **Retraction.** A correction of a candle can raise, change or undo its own alert and those of the next `lookback`.
//! - **State.** The retained moves of a symbol, freed as they expire, and its standing alerts.
//!   Cost: one pass over the symbol's retained moves per minute and per correction.
//!
//! The logarithm is `libm`'s and not the platform's, which differs in the last bit from machine to machine.

use crate::checkpoint::RetainedMove;
use crate::settings::AnomalySettings;
use differential_dataflow::VecCollection;
use differential_dataflow::operators::arrange::arrangement::arrange_core;
use differential_dataflow::trace::implementations::{ValBatcher, ValBuilder, ValSpine};
use serde::{Deserialize, Serialize};
use tallow_model::Alert;
use tallow_model::EventTime;
use tallow_model::Price;
use tallow_model::Symbol;
use timely::dataflow::channels::pact::Pipeline;

/// Units of a return: 10¹⁴ to one.
const RETURN_UNITS: f64 = 1e14;
/// The largest return that is told apart from larger ones.
const MAX_RETURN: f64 = 50.0;

/// A candle as the detector sees it: its close against the close before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Move {
    /// The start of the candle's window.
    pub(crate) window_start: EventTime,
    /// The candle's open.
    pub(crate) open: Price,
    /// The candle's close.
    pub(crate) close: Price,
    /// The close of the candle before it; 0, which is no price, if there is none within the lookback. Not an
    /// `Option`, because there is one of these for every symbol-minute of the lookback.
    pub(crate) previous_close: Price,
    /// ln(close / previous close) in units of 10⁻¹⁴; 0 without a previous close.
    pub(crate) log_return: i64,
    /// The candle's revision.
    pub(crate) revision: u32,
}

impl Move {
    pub(crate) fn of(
        window_start: EventTime,
        open: Price,
        close: Price,
        previous_close: Option<Price>,
        revision: u32,
    ) -> Move {
        let log_return = previous_close.map_or(0, |previous| {
            let log_return = libm::log(close.0 / previous.0).clamp(-MAX_RETURN, MAX_RETURN);
            libm::rint(log_return * RETURN_UNITS) as i64
        });
        Move {
            window_start,
            open,
            close,
            previous_close: previous_close.unwrap_or_default(),
            log_return,
            revision,
        }
    }

    /// As a checkpoint has it.
    pub(crate) fn retained(&self, symbol: Symbol) -> RetainedMove {
        RetainedMove {
            symbol,
            start: self.window_start,
            open: self.open,
            close: self.close,
            previous_close: self.previous_close(),
            revision: self.revision,
        }
    }

    /// The close of the candle before it, if there is one within the lookback.
    pub(crate) fn previous_close(&self) -> Option<Price> {
        (self.previous_close.0 > 0.0).then_some(self.previous_close)
    }
}

/// Exact sums over the returns of a sliding baseline.
#[derive(Clone, Copy, Debug, Default)]
struct Baseline {
    samples: i128,
    sum: i128,
    squares: i128,
}

impl Baseline {
    fn slide(&mut self, moved: &Move, sign: i128) {
        if moved.previous_close().is_some() {
            let log_return = i128::from(moved.log_return);
            self.samples += sign;
            self.sum += sign * log_return;
            self.squares += sign * log_return * log_return;
        }
    }

    fn mean(&self) -> f64 {
        self.sum as f64 / self.samples as f64 / RETURN_UNITS
    }

    fn stddev(&self) -> f64 {
        // n·Σr² − (Σr)², exact and never negative.
        let spread = self.samples * self.squares - self.sum * self.sum;
        (spread as f64 / (self.samples * (self.samples - 1)) as f64).sqrt() / RETURN_UNITS
    }
}

/// Judges a symbol's moves, which are in order of time, and calls `raise` for each that is an anomaly.
pub(crate) fn judge<'a>(
    symbol: Symbol,
    moves: impl Iterator<Item = &'a Move> + Clone,
    settings: &AnomalySettings,
    mut raise: impl FnMut(Alert),
) {
    let mut baseline = Baseline::default();
    let mut oldest = moves.clone();
    let mut next_oldest = oldest.next();
    for moved in moves {
        while let Some(old) = next_oldest
            && moved.window_start.millis() - old.window_start.millis() > settings.lookback_ms
        {
            baseline.slide(old, -1);
            next_oldest = oldest.next();
        }
        // Two samples at least, whatever the setting: one has no deviation.
        if let Some(previous_close) = moved.previous_close()
            && baseline.samples >= i128::from(settings.min_samples.max(2))
        {
            let (mean, stddev) = (baseline.mean(), baseline.stddev());
            let log_return = moved.log_return as f64 / RETURN_UNITS;
            let z_score = (log_return - mean) / stddev.max(settings.stddev_floor);
            if z_score.abs() >= settings.threshold {
                raise(Alert {
                    symbol,
                    window_start: moved.window_start,
                    open: moved.open,
                    close: moved.close,
                    previous_close,
                    z_score: Price(z_score),
                    mean: Price(mean),
                    stddev: Price(stddev),
                    samples: u32::try_from(baseline.samples).unwrap_or(u32::MAX),
                    threshold: Price(settings.threshold),
                    revision: moved.revision,
                });
            }
        }
        baseline.slide(moved, 1);
    }
}

/// The standing alerts of each symbol.
pub(crate) fn anomalies<'scope>(
    moves: VecCollection<'scope, u64, (Symbol, Move), isize>,
    settings: AnomalySettings,
) -> VecCollection<'scope, u64, Alert, isize> {
    // The moves of a symbol are on one worker already: no exchange.
    arrange_core::<_, _, _, ValSpine<_, _, _, _>>(
        moves.inner,
        Pipeline,
        "Arrange: anomalies",
        ValBatcher::new,
    )
    .reduce_abelian::<_, ValBuilder<_, _, _, _>, ValSpine<_, Alert, _, _>, _, _>(
        "anomalies",
        move |symbol: &Symbol, moves: &[(&Move, isize)], alerts: &mut Vec<(Alert, isize)>| {
            judge(*symbol, moves.iter().map(|(moved, _)| *moved), &settings, |alert| alerts.push((alert, 1)));
        },
        |batch, symbol, updates| {
            batch.clear();
            batch.extend(updates.drain(..).map(|(alert, time, diff)| ((*symbol, alert), time, diff)));
        },
    )
    .as_collection(|_, alert| *alert)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moves(closes: &[f64]) -> Vec<Move> {
        let mut previous = None;
        let mut minute = 0;
        closes
            .iter()
            .map(|close| {
                let moved = Move::of(EventTime(minute * 60_000), Price(*close), Price(*close), previous, 0);
                previous = Some(moved.close);
                minute += 1;
                moved
            })
            .collect()
    }

    fn alerts(moves: &[Move], settings: &AnomalySettings) -> Vec<Alert> {
        let mut alerts = Vec::new();
        judge(Symbol::parse(b"BTC").expect("a symbol"), moves.iter(), settings, |alert| alerts.push(alert));
        alerts
    }

    #[test]
    fn a_jump_after_a_quiet_hour_is_raised_with_its_explanation() {
        let mut closes: Vec<f64> = (0..61).map(|i| if i % 2 == 0 { 100.0 } else { 100.1 }).collect();
        closes.push(102.0);
        let alerts = alerts(&moves(&closes), &AnomalySettings::default());
        assert_eq!(alerts.len(), 1);
        let alert = alerts[0];
        assert_eq!((alert.samples, alert.previous_close, alert.close), (60, Price(100.0), Price(102.0)));
        // 60 returns of ±ln(1.001): σ = ln(1.001) · √(60/59).
        let step = 1.001f64.ln();
        assert!((alert.stddev.0 - step * (60.0f64 / 59.0).sqrt()).abs() < 1e-12);
        assert!((alert.z_score.0 - (1.02f64.ln() - alert.mean.0) / alert.stddev.0).abs() < 1e-9);
    }

    #[test]
    fn a_baseline_with_too_few_returns_raises_nothing() {
        let mut closes = vec![100.0; 20];
        closes.push(200.0);
        assert_eq!(alerts(&moves(&closes), &AnomalySettings::default()), []);
        closes.insert(0, 100.0);
        assert_eq!(alerts(&moves(&closes), &AnomalySettings::default()).len(), 1);
    }

    #[test]
    fn a_flat_market_is_measured_against_the_floor() {
        let mut closes = vec![100.0; 30];
        closes.push(100.03);
        assert_eq!(alerts(&moves(&closes), &AnomalySettings::default()), []);
        closes.push(100.08);
        let alerts = alerts(&moves(&closes), &AnomalySettings::default());
        assert_eq!(alerts.len(), 1);
        assert!(alerts[0].stddev.0 < 0.0001);
    }

    #[test]
    fn absurd_prices_neither_overflow_nor_yield_nan() {
        let closes: Vec<f64> = (0..1440).map(|i| if i % 2 == 0 { 1e-18 } else { 1e12 }).collect();
        let settings =
            AnomalySettings { lookback_ms: 86_400_000, threshold: 0.0, ..AnomalySettings::default() };
        let alerts = alerts(&moves(&closes), &settings);
        assert!(alerts.len() > 1000);
        assert!(alerts.iter().all(|alert| alert.z_score.0.is_finite() && alert.stddev.0.is_finite()));
    }
}
