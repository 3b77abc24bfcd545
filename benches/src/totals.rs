//! Totals of a run, counted the same way for every system.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tallow_model::{AlertStatus, Counts, EventTime, SettledAlert, SettledCandle, Symbol};

/// Collector of figures of the settled results.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Counts of the records.
    pub records: Counts,
    /// First versions of candles, by interval.
    candles: [u64; 3],
    /// Later versions of candles, by interval.
    corrections: [u64; 3],
    /// Every version of an alert, retractions included.
    alert_versions: u64,
    /// The last status of each alert.
    alerts: BTreeMap<(Symbol, EventTime), AlertStatus>,
    checksum: u64,
    kept: Option<Versions>,
}

/// All versions of candles and alerts in settled order.
#[derive(Clone, Debug, Default)]
pub struct Versions {
    /// Versions of candles.
    pub candles: Vec<SettledCandle>,
    /// Versions of alerts, retractions included.
    pub alerts: Vec<SettledAlert>,
}

/// Figures of a whole run, equal for systems that do the same work.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// Records by bucket.
    pub records: BTreeMap<String, u64>,
    /// First versions of candles: 1m, 5m, 15m.
    pub candles: [u64; 3],
    /// Corrections of candles: 1m, 5m, 15m.
    pub corrections: [u64; 3],
    /// Alerts that stand at the end.
    pub alerts: u64,
    /// Versions of alerts, retractions included.
    pub alert_versions: u64,
    /// Checksum over every version of every candle and alert, with its values and logical time. It
    /// does not depend on their order.
    pub checksum: u64,
}

impl Totals {
    /// Creates totals that keep every version too.
    pub fn keeping() -> Totals {
        Totals { kept: Some(Versions::default()), ..Totals::default() }
    }

    /// Returns the versions; empty unless they were kept.
    pub fn into_versions(self) -> Versions {
        self.kept.unwrap_or_default()
    }

    /// Adds a version of a candle.
    pub fn candle(&mut self, settled: &SettledCandle) {
        let counts = if settled.revision == 0 { &mut self.candles } else { &mut self.corrections };
        counts[settled.interval as usize] += 1;
        if let Some(kept) = &mut self.kept {
            kept.candles.push(*settled);
        }
        let candle = &settled.candle;
        self.add([
            settled.symbol.stable_hash() ^ settled.interval.millis(),
            candle.window_start.millis(),
            candle.open.0.to_bits(),
            candle.high.0.to_bits(),
            candle.low.0.to_bits(),
            candle.close.0.to_bits(),
            u64::from(candle.count) << 32 | u64::from(settled.revision),
            // The low halves of the sums distinguish as well as the whole.
            (candle.price_sum ^ candle.size_sum ^ candle.notional_sum) as u64,
            settled.settled_at.millis(),
        ]);
    }

    /// Adds a version of an alert. The versions of one symbol must come in order of logical time.
    pub fn alert(&mut self, settled: &SettledAlert) {
        let alert = &settled.alert;
        self.alert_versions += 1;
        if let Some(kept) = &mut self.kept {
            kept.alerts.push(*settled);
        }
        self.alerts.insert((alert.symbol, alert.window_start), settled.status);
        self.add([
            alert.symbol.stable_hash(),
            alert.window_start.millis(),
            alert.z_score.0.to_bits(),
            alert.mean.0.to_bits(),
            alert.stddev.0.to_bits(),
            u64::from(alert.samples),
            u64::from(alert.revision),
            settled.status as u64,
            settled.settled_at.millis(),
        ]);
    }

    fn add(&mut self, words: [u64; 9]) {
        let mixed = words
            .into_iter()
            .fold(0u64, |mixed, word| (mixed.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        self.checksum = self.checksum.wrapping_add(mixed ^ mixed >> 32);
    }

    /// Adds the totals of another worker, which has other symbols and other partitions.
    pub fn merge(&mut self, other: Totals) {
        self.records.add(&other.records);
        for (sum, more) in self.candles.iter_mut().zip(other.candles) {
            *sum += more;
        }
        for (sum, more) in self.corrections.iter_mut().zip(other.corrections) {
            *sum += more;
        }
        self.alert_versions += other.alert_versions;
        self.alerts.extend(other.alerts);
        self.checksum = self.checksum.wrapping_add(other.checksum);
    }

    /// Returns the figures of the run.
    pub fn settled(&self) -> Settled {
        let standing = self.alerts.values().filter(|status| **status == AlertStatus::Raised);
        Settled {
            records: self.records.buckets().map(|(name, count)| (name.to_owned(), count)).into(),
            candles: self.candles,
            corrections: self.corrections,
            alerts: standing.count() as u64,
            alert_versions: self.alert_versions,
            checksum: self.checksum,
        }
    }
}
