//! The returns of one symbol, and the z-score of the newest over the ones before it.
//!
//! Returns are integers in units of 10⁻¹⁴, so their sums and squares slide without drift.

use std::collections::VecDeque;
use tallow_dataflow::AnomalySettings;

/// Units of a return: 10¹⁴ to one.
const RETURN_UNITS: f64 = 1e14;
/// Bound of a return's magnitude; larger returns count as this one.
const MAX_RETURN: f64 = 50.0;

/// One minute's return.
struct Return {
    /// Start of the minute, milliseconds since the epoch.
    start: u64,
    close: f64,
    /// `None` if no candle started within the lookback before.
    log_return: Option<i64>,
}

/// A return that is far out.
pub(super) struct Anomaly {
    pub(super) previous_close: f64,
    pub(super) z_score: f64,
    pub(super) mean: f64,
    pub(super) stddev: f64,
    pub(super) samples: u32,
}

/// The returns of one symbol in order of time, and the sums over those from `oldest` on.
#[derive(Default)]
pub(super) struct Returns {
    list: VecDeque<Return>,
    oldest: usize,
    samples: i128,
    sum: i128,
    squares: i128,
}

impl Returns {
    /// Adds the minute that follows on those before, and judges it.
    pub(super) fn push(&mut self, start: u64, close: f64, settings: &AnomalySettings) -> Option<Anomaly> {
        while let Some(old) = self.list.get(self.oldest)
            && start - old.start > settings.lookback_ms
        {
            let log_return = old.log_return;
            self.oldest += 1;
            self.slide(log_return, -1);
        }
        let last = self.list.back().filter(|last| start - last.start <= settings.lookback_ms);
        let previous_close = last.map(|last| last.close);
        let log_return = previous_close.map(|previous| {
            let log_return = libm::log(close / previous).clamp(-MAX_RETURN, MAX_RETURN);
            libm::rint(log_return * RETURN_UNITS) as i64
        });
        let verdict = match (previous_close, log_return) {
            (Some(previous_close), Some(log_return)) => self.judge(previous_close, log_return, settings),
            _ => None,
        };
        self.list.push_back(Return { start, close, log_return });
        self.slide(log_return, 1);
        verdict
    }

    /// Forgets the minutes from `start` on, to be pushed again.
    pub(super) fn rewind(&mut self, start: u64) {
        self.list.truncate(self.list.partition_point(|minute| minute.start < start));
        // The baseline may have slid past minutes that count again for an earlier one.
        (self.oldest, self.samples, self.sum, self.squares) = (0, 0, 0, 0);
        for at in 0..self.list.len() {
            self.slide(self.list[at].log_return, 1);
        }
    }

    /// Frees the minutes that start before `start`; no baseline may need them any more.
    pub(super) fn expire(&mut self, start: u64) {
        while let Some(first) = self.list.front()
            && first.start < start
        {
            match self.oldest.checked_sub(1) {
                Some(oldest) => self.oldest = oldest,
                None => self.slide(first.log_return, -1),
            }
            self.list.pop_front();
        }
    }

    fn slide(&mut self, log_return: Option<i64>, sign: i128) {
        if let Some(log_return) = log_return.map(i128::from) {
            self.samples += sign;
            self.sum += sign * log_return;
            self.squares += sign * log_return * log_return;
        }
    }

    fn judge(&self, previous_close: f64, log_return: i64, settings: &AnomalySettings) -> Option<Anomaly> {
        let samples = self.samples;
        if samples < i128::from(settings.min_samples.max(2)) {
            return None;
        }
        let mean = self.sum as f64 / samples as f64 / RETURN_UNITS;
        // n·Σr² − (Σr)², exact and never negative.
        let spread = samples * self.squares - self.sum * self.sum;
        let stddev = (spread as f64 / (samples * (samples - 1)) as f64).sqrt() / RETURN_UNITS;
        let z_score = (log_return as f64 / RETURN_UNITS - mean) / stddev.max(settings.stddev_floor);
        (z_score.abs() >= settings.threshold).then(|| Anomaly {
            previous_close,
            z_score,
            mean,
            stddev,
            samples: u32::try_from(samples).unwrap_or(u32::MAX),
        })
    }
}
