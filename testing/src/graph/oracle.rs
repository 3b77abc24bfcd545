//! The oracle: a plain sequential computation, compared with the graph at every logical time.
//!
//! It shares no code with the graph: it keeps every tick with its price in whole hundredths,
//! computes every state from scratch, and runs the detector in floats with two passes.

use super::memory::{Outcome, Random, tick};
use std::collections::{BTreeMap, BTreeSet};
use tallow_dataflow::Settings;
use tallow_model::AlertStatus;

/// A tick in whole numbers.
#[derive(Clone, Debug)]
pub struct Plain {
    /// The symbol of the market.
    pub symbol: &'static str,
    /// Event time in milliseconds.
    pub ms: u64,
    /// Price in hundredths.
    pub price: u64,
    /// Size in thousandths.
    pub size: u64,
}

/// An accepted tick with its logical time and its position among the others.
#[derive(Clone, Debug)]
struct Accepted {
    plain: Plain,
    logical: u64,
    order: (u64, usize, usize),
}

/// A version of a candle in whole numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The symbol of the market.
    pub symbol: String,
    /// The interval as text, `1m`.
    pub interval: String,
    /// Start of the window in milliseconds.
    pub start: u64,
    /// The number of changes before this version.
    pub revision: u32,
    /// Logical time of settling in milliseconds.
    pub settled_at: u64,
    /// Open, high, low, close and sum of prices in hundredths; count; sum of sizes in thousandths;
    /// sum of notionals in 10⁻⁵.
    pub figures: [u128; 8],
}

/// A settled change of an alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The symbol of the market.
    pub symbol: String,
    /// Start of the window in milliseconds.
    pub start: u64,
    /// Logical time of settling in milliseconds.
    pub settled_at: u64,
    /// Whether the alert is raised or retracted.
    pub raised: bool,
    /// The number of changes before this version.
    pub revision: u32,
    /// The number of returns in the baseline.
    pub samples: u32,
    /// The z-score of the return.
    pub z: f64,
}

/// The expected results of a log.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// All versions of all candles.
    pub versions: Vec<Version>,
    /// All changes of alerts.
    pub changes: Vec<Change>,
    /// The number of ticks on time.
    pub on_time: u64,
    /// The number of late ticks that still count.
    pub late: u64,
    /// The number of ticks that come too late.
    pub too_late: u64,
}

const MINUTE: u64 = 60_000;

/// Computes the expected results of these partitions.
pub fn expected(partitions: &[Vec<Plain>], settings: &Settings) -> Expected {
    let mut expected = Expected::default();
    let mut ticks: BTreeMap<&str, Vec<Accepted>> = BTreeMap::new();
    for (partition, plains) in partitions.iter().enumerate() {
        let mut newest: Option<u64> = None;
        for (offset, plain) in plains.iter().enumerate() {
            let end = plain.ms / MINUTE * MINUTE + MINUTE;
            let watermark = newest.map_or(0, |ms| ms.saturating_sub(settings.max_out_of_orderness_ms));
            let logical = if watermark < end { end } else { (watermark / 1000 + 1) * 1000 };
            if logical >= end + settings.allowed_lateness_ms {
                expected.too_late += 1;
                continue;
            }
            *(if logical == end { &mut expected.on_time } else { &mut expected.late }) += 1;
            newest = newest.max(Some(plain.ms));
            let order = (plain.ms, partition, offset);
            ticks.entry(plain.symbol).or_default().push(Accepted { plain: plain.clone(), logical, order });
        }
    }
    for (symbol, accepted) in &ticks {
        versions_of(symbol, accepted, &mut expected.versions);
        changes_of(symbol, accepted, settings, &mut expected.changes);
    }
    expected.versions.sort();
    expected
}

fn versions_of(symbol: &str, accepted: &[Accepted], versions: &mut Vec<Version>) {
    for (interval, length) in [("1m", MINUTE), ("5m", 5 * MINUTE), ("15m", 15 * MINUTE)] {
        let mut windows: BTreeMap<u64, Vec<(u64, &Accepted)>> = BTreeMap::new();
        for tick in accepted {
            let start = tick.plain.ms / length * length;
            windows.entry(start).or_default().push((tick.logical.max(start + length), tick));
        }
        for (start, ticks) in windows {
            let times: BTreeSet<u64> = ticks.iter().map(|(time, _)| *time).collect();
            for (revision, settled_at) in (0..).zip(times) {
                let seen: Vec<&Accepted> =
                    ticks.iter().filter(|(time, _)| *time <= settled_at).map(|(_, t)| *t).collect();
                let (symbol, interval) = (symbol.to_owned(), interval.to_owned());
                versions.push(Version {
                    symbol,
                    interval,
                    start,
                    revision,
                    settled_at,
                    figures: figures(&seen),
                });
            }
        }
    }
}

fn figures(ticks: &[&Accepted]) -> [u128; 8] {
    let first = ticks.iter().min_by_key(|tick| tick.order).unwrap();
    let last = ticks.iter().max_by_key(|tick| tick.order).unwrap();
    let prices = || ticks.iter().map(|tick| u128::from(tick.plain.price));
    [
        u128::from(first.plain.price),
        prices().max().unwrap(),
        prices().min().unwrap(),
        u128::from(last.plain.price),
        prices().sum(),
        ticks.len() as u128,
        ticks.iter().map(|tick| u128::from(tick.plain.size)).sum(),
        ticks.iter().map(|tick| u128::from(tick.plain.size) * u128::from(tick.plain.price)).sum(),
    ]
}

/// Judges every candle anew at every logical time.
fn changes_of(symbol: &str, accepted: &[Accepted], settings: &Settings, changes: &mut Vec<Change>) {
    let times: BTreeSet<u64> = accepted.iter().map(|tick| tick.logical).collect();
    let mut standing: BTreeMap<u64, (u32, u32, u64)> = BTreeMap::new();
    let mut of_window: BTreeMap<u64, Vec<Change>> = BTreeMap::new();
    for time in times {
        let alerts = judge(accepted, time, settings);
        let starts: BTreeSet<u64> = standing.keys().chain(alerts.keys()).copied().collect();
        for start in starts {
            if time >= start + MINUTE + settings.allowed_lateness_ms {
                continue;
            }
            let shown = |(revision, samples, z): (u32, u32, f64)| (revision, samples, z.to_bits());
            let now = alerts.get(&start).copied();
            let before = standing.get(&start).copied();
            // Float sums of equal states differ in the last bits, so the comparison has a
            // tolerance.
            let same = match (before, now) {
                (Some((r0, n0, z0)), Some((r1, n1, z1))) => {
                    r0 == r1 && n0 == n1 && (f64::from_bits(z0) - z1).abs() < 1e-9
                }
                (None, None) => true,
                _ => false,
            };
            if !same {
                let (revision, samples, z) = now.unwrap_or_else(|| {
                    let (revision, samples, z) = before.unwrap();
                    (revision, samples, f64::from_bits(z))
                });
                of_window.entry(start).or_default().push(Change {
                    symbol: symbol.to_owned(),
                    start,
                    settled_at: time,
                    raised: now.is_some(),
                    revision,
                    samples,
                    z,
                });
                match now {
                    Some(now) => standing.insert(start, shown(now)),
                    None => standing.remove(&start),
                };
            }
        }
    }
    changes.extend(of_window.into_values().flatten());
}

/// Returns the alerts of the state as of `time`: window start → revision, samples, z.
fn judge(accepted: &[Accepted], time: u64, settings: &Settings) -> BTreeMap<u64, (u32, u32, f64)> {
    // Close, position of the tick that made it, logical times of all ticks.
    type Minute = (f64, (u64, usize, usize), BTreeSet<u64>);
    let mut closes: BTreeMap<u64, Minute> = BTreeMap::new();
    for tick in accepted.iter().filter(|tick| tick.logical <= time) {
        let start = tick.plain.ms / MINUTE * MINUTE;
        let close = closes.entry(start).or_insert((0.0, (0, 0, 0), BTreeSet::new()));
        close.2.insert(tick.logical);
        if close.2.len() == 1 && close.0 == 0.0 || tick.order >= close.1 {
            (close.0, close.1) = (tick.plain.price as f64 / 100.0, tick.order);
        }
    }
    let lookback = settings.anomalies.lookback_ms;
    let mut returns: BTreeMap<u64, f64> = BTreeMap::new();
    for (start, (close, ..)) in &closes {
        if let Some((before, (previous, ..))) = closes.range(..start).next_back()
            && start - before <= lookback
        {
            returns.insert(*start, (close / previous).ln());
        }
    }
    let mut alerts = BTreeMap::new();
    for (start, r) in &returns {
        let baseline: Vec<f64> =
            returns.range(start.saturating_sub(lookback)..*start).map(|(_, r)| *r).collect();
        let n = baseline.len();
        if n < settings.anomalies.min_samples.max(2) as usize {
            continue;
        }
        let mean = baseline.iter().sum::<f64>() / n as f64;
        let variance = baseline.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / (n - 1) as f64;
        let z = (r - mean) / variance.sqrt().max(settings.anomalies.stddev_floor);
        if z.abs() >= settings.anomalies.threshold {
            alerts.insert(*start, (closes[start].2.len() as u32 - 1, n as u32, z));
        }
    }
    alerts
}

/// Fails if the results of the graph and the oracle differ.
pub fn assert_same(outcome: &Outcome, expected: &Expected) {
    assert_eq!(outcome.counts.on_time, expected.on_time, "on time");
    assert_eq!(outcome.counts.late, expected.late, "late");
    assert_eq!(outcome.counts.too_late, expected.too_late, "too late");
    let mut versions: Vec<Version> = outcome
        .candles
        .iter()
        .map(|settled| {
            let c = &settled.candle;
            let hundredths = |price: f64| (price * 100.0).round() as u128;
            let unscale = |sum: i128, units: i128| {
                assert_eq!(sum % units, 0, "{settled:?}");
                (sum / units) as u128
            };
            Version {
                symbol: settled.symbol.to_string(),
                interval: settled.interval.to_string(),
                start: c.window_start.millis(),
                revision: settled.revision,
                settled_at: settled.settled_at.millis(),
                figures: [
                    hundredths(c.open.0),
                    hundredths(c.high.0),
                    hundredths(c.low.0),
                    hundredths(c.close.0),
                    unscale(c.price_sum, 10i128.pow(16)),
                    u128::from(c.count),
                    unscale(c.size_sum, 10i128.pow(12)),
                    unscale(c.notional_sum, 10i128.pow(7)),
                ],
            }
        })
        .collect();
    versions.sort();
    for (got, wanted) in versions.iter().zip(&expected.versions) {
        assert_eq!(got, wanted);
    }
    assert_eq!(versions.len(), expected.versions.len(), "versions of candles");
    for (got, wanted) in outcome.alerts.iter().zip(&expected.changes) {
        let got = Change {
            symbol: got.alert.symbol.to_string(),
            start: got.alert.window_start.millis(),
            settled_at: got.settled_at.millis(),
            raised: got.status == AlertStatus::Raised,
            revision: got.alert.revision,
            samples: got.alert.samples,
            z: got.alert.z_score.0,
        };
        assert!((got.z - wanted.z).abs() <= 1e-6 * wanted.z.abs().max(1.0), "{got:?}\n{wanted:?}");
        assert_eq!(Change { z: wanted.z, ..got }, *wanted);
    }
    assert_eq!(outcome.alerts.len(), expected.changes.len(), "changes of alerts");
}

/// Returns the log of a seed: several symbols in every partition, ticks out of order, late and too
/// late, gaps, jumps, and several ticks in one millisecond.
pub fn random_log(seed: u64, partitions: usize, ticks: usize) -> Vec<Vec<Plain>> {
    const SYMBOLS: [&str; 4] = ["BTC", "ETH", "XRP-PERP", "A.1"];
    let mut random = Random(seed);
    let mut prices = [10_000u64, 20_000, 30_000, 40_000];
    let mut log = vec![Vec::new(); partitions];
    for plains in &mut log {
        let mut now = 1_700_000_000_000 + random.below(600_000);
        for _ in 0..ticks {
            now += random.below(9_000);
            if random.chance(1) && random.chance(20) {
                now += random.below(7_200_000);
            }
            let which = random.below(4) as usize;
            let step = if random.chance(2) { 1_500 } else { 12 };
            prices[which] = (prices[which] + random.below(2 * step + 1)).saturating_sub(step).max(1_000);
            let delay = match random.below(100) {
                0..70 => 0,
                70..92 => random.below(10_000),
                92..99 => random.below(600_000),
                _ => random.below(2_400_000),
            };
            let ms = (now - delay) / 10 * 10;
            plains.push(Plain {
                symbol: SYMBOLS[which],
                ms,
                price: prices[which],
                size: random.below(5_000),
            });
        }
    }
    log
}

/// Returns the log as lines of JSON.
pub fn lines(log: &[Vec<Plain>]) -> Vec<Vec<String>> {
    let line = |plain: &Plain| tick(plain.symbol, plain.ms, plain.price, plain.size);
    log.iter().map(|plains| plains.iter().map(line).collect()).collect()
}
