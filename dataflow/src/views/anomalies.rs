//! Anomalies: one-minute candles whose return lies far outside the symbol's recent returns.
//!
//! - **Formula.** *r* is the candle's log return (`state/log_return.rs`). Its baseline are the
//!   returns of the symbol's candles that started in the `lookback` before this one, itself
//!   excluded. *z* = (*r* − mean) / max(σ, floor), σ the sample standard deviation (n − 1). An
//!   alert is raised where |*z*| ≥ threshold and the baseline has at least `min_samples` returns.
//! - **Exactness.** Returns are integers, so mean and variance come from exact integer sums: they
//!   depend on no order, and a window slides without drift.
//! - **Key.** Symbol. When one of its retained returns changes, all of them are judged again in one
//!   pass.
//! - **Retraction.** A correction of a candle can raise, change or retract its own alert and those
//!   of the candles that start in the next `lookback`.
//! - **Ties.** None: a symbol has one return a minute.
//! - **State.** The retained returns of a symbol, freed as they expire, and its standing alerts.
//! - **Cost.** One pass over the symbol's retained returns per minute and per correction; none per
//!   tick.
//!
//! Oracle: `tests/oracle.rs::every_version_at_every_time_equals_the_sequential_computation`.

use crate::settings::AnomalySettings;
use crate::state::log_return::{LogReturn, RETURN_UNITS};
use differential_dataflow::VecCollection;
use differential_dataflow::operators::arrange::arrangement::arrange_core;
use differential_dataflow::trace::implementations::{ValBatcher, ValBuilder, ValSpine};
use tallow_model::{Alert, Price, Symbol};
use timely::dataflow::channels::pact::Pipeline;

/// Exact sums over the returns of a sliding baseline.
#[derive(Clone, Copy, Debug, Default)]
struct Baseline {
    samples: i128,
    sum: i128,
    squares: i128,
}

impl Baseline {
    fn slide(&mut self, candle: &LogReturn, sign: i128) {
        if candle.previous_close().is_some() {
            let log_return = i128::from(candle.log_return);
            self.samples += sign;
            self.sum += sign * log_return;
            self.squares += sign * log_return * log_return;
        }
    }

    fn mean(&self) -> f64 {
        self.sum as f64 / self.samples as f64 / RETURN_UNITS
    }

    fn stddev(&self) -> f64 {
        // n·Σr² − (Σr)²: exact, and never negative.
        let spread = self.samples * self.squares - self.sum * self.sum;
        (spread as f64 / (self.samples * (self.samples - 1)) as f64).sqrt() / RETURN_UNITS
    }
}

/// Judges a symbol's returns, which are in order of time, and calls `raise` for each anomaly.
pub(crate) fn judge<'a>(
    symbol: Symbol,
    returns: impl Iterator<Item = &'a LogReturn> + Clone,
    settings: &AnomalySettings,
    mut raise: impl FnMut(Alert),
) {
    let mut baseline = Baseline::default();
    let mut oldest = returns.clone();
    let mut next_oldest = oldest.next();
    for candle in returns {
        while let Some(old) = next_oldest
            && candle.window_start.millis() - old.window_start.millis() > settings.lookback_ms
        {
            baseline.slide(old, -1);
            next_oldest = oldest.next();
        }
        // At least two samples, whatever the setting: one has no standard deviation.
        if let Some(previous_close) = candle.previous_close()
            && baseline.samples >= i128::from(settings.min_samples.max(2))
        {
            let (mean, stddev) = (baseline.mean(), baseline.stddev());
            let log_return = candle.log_return as f64 / RETURN_UNITS;
            let z_score = (log_return - mean) / stddev.max(settings.stddev_floor);
            if z_score.abs() >= settings.threshold {
                raise(Alert {
                    symbol,
                    window_start: candle.window_start,
                    open: candle.open,
                    close: candle.close,
                    previous_close,
                    z_score: Price(z_score),
                    mean: Price(mean),
                    stddev: Price(stddev),
                    samples: u32::try_from(baseline.samples).unwrap_or(u32::MAX),
                    threshold: Price(settings.threshold),
                    revision: candle.revision,
                });
            }
        }
        baseline.slide(candle, 1);
    }
}

/// The standing alerts of each symbol.
pub(crate) fn anomalies<'scope>(
    returns: VecCollection<'scope, u64, (Symbol, LogReturn), isize>,
    settings: AnomalySettings,
) -> VecCollection<'scope, u64, Alert, isize> {
    // The returns of a symbol are on one worker already: no exchange.
    arrange_core::<_, _, _, ValSpine<_, _, _, _>>(
        returns.inner,
        Pipeline,
        "Arrange: anomalies",
        ValBatcher::new,
    )
    .reduce_abelian::<_, ValBuilder<_, _, _, _>, ValSpine<_, Alert, _, _>, _, _>(
        "anomalies",
        move |symbol: &Symbol, returns: &[(&LogReturn, isize)], alerts: &mut Vec<(Alert, isize)>| {
            judge(*symbol, returns.iter().map(|(log_return, _)| *log_return), &settings, |alert| {
                alerts.push((alert, 1))
            });
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
    use tallow_model::EventTime;

    fn returns(closes: &[f64]) -> Vec<LogReturn> {
        let mut previous = None;
        let mut minute = 0;
        closes
            .iter()
            .map(|close| {
                let start = EventTime(minute * 60_000);
                let candle = LogReturn::of(start, Price(*close), Price(*close), previous, 0);
                previous = Some(candle.close);
                minute += 1;
                candle
            })
            .collect()
    }

    fn alerts(returns: &[LogReturn], settings: &AnomalySettings) -> Vec<Alert> {
        let mut alerts = Vec::new();
        judge(Symbol::parse(b"BTC").expect("a symbol"), returns.iter(), settings, |alert| alerts.push(alert));
        alerts
    }

    #[test]
    fn a_jump_after_a_quiet_hour_is_raised_with_its_explanation() {
        let mut closes: Vec<f64> = (0..61).map(|i| if i % 2 == 0 { 100.0 } else { 100.1 }).collect();
        closes.push(102.0);
        let alerts = alerts(&returns(&closes), &AnomalySettings::default());
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
        assert_eq!(alerts(&returns(&closes), &AnomalySettings::default()), []);
        closes.insert(0, 100.0);
        assert_eq!(alerts(&returns(&closes), &AnomalySettings::default()).len(), 1);
    }

    #[test]
    fn a_flat_market_is_measured_against_the_floor() {
        let mut closes = vec![100.0; 30];
        closes.push(100.03);
        assert_eq!(alerts(&returns(&closes), &AnomalySettings::default()), []);
        closes.push(100.08);
        let alerts = alerts(&returns(&closes), &AnomalySettings::default());
        assert_eq!(alerts.len(), 1);
        assert!(alerts[0].stddev.0 < 0.0001);
    }

    #[test]
    fn absurd_prices_neither_overflow_nor_yield_nan() {
        let closes: Vec<f64> = (0..1440).map(|i| if i % 2 == 0 { 1e-18 } else { 1e12 }).collect();
        let settings =
            AnomalySettings { lookback_ms: 86_400_000, threshold: 0.0, ..AnomalySettings::default() };
        let alerts = alerts(&returns(&closes), &settings);
        assert!(alerts.len() > 1000);
        assert!(alerts.iter().all(|alert| alert.z_score.0.is_finite() && alert.stddev.0.is_finite()));
    }
}
