//! The hand-written loop against the plainest computation: at every logical time, everything anew
//! from all ticks.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use tallow_benches::baseline::settle;
use tallow_benches::totals::{Settled, Totals};
use tallow_connectors::feeds::simulator::{Disorder, DisorderSettings, Simulator, SimulatorSettings};
use tallow_dataflow::{Bar, Settings};
use tallow_model::{
    Alert, AlertStatus, Candle, EventTime, Interval, Price, SettledAlert, SettledCandle, Symbol, Tick,
    decode, next_second,
};

const START_MS: u64 = 1_763_271_000_000;
const NOW_MS: u64 = START_MS + 86_400_000;

/// Returns a log of a few symbols with much disorder, as lines.
fn log(seed: u64) -> Vec<Vec<u8>> {
    let market = SimulatorSettings {
        seed,
        symbols: ["BTC", "ETH", "PEPE"].map(|name| name.parse().expect("a symbol")).to_vec(),
        trades_per_second: 0.02,
        jumps_per_hour: 6.0,
        longest_gap_ms: None,
        ..SimulatorSettings::default()
    };
    let disorder = DisorderSettings {
        seed,
        out_of_order_share: 0.2,
        late_share: 0.1,
        late_delay_ms: 12_000..=1_300_000,
        ..DisorderSettings::default()
    };
    let market = Simulator::open(&market, START_MS).expect("a market");
    let mut feed = Disorder::try_new(disorder, market).expect("a feed");
    let mut arrivals = Vec::new();
    feed.arrivals_until(START_MS + 3 * 3_600_000, &mut arrivals);
    let line = |arrival: tallow_connectors::feeds::simulator::Arrival| {
        let mut line = Vec::new();
        arrival.tick.to_json_line(arrival.at_ms, &mut line);
        line
    };
    arrivals.into_iter().map(line).collect()
}

fn write(lines: &[Vec<u8>]) -> (tempfile::TempDir, Vec<std::path::PathBuf>) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log.jsonl");
    let mut file = std::fs::File::create(&path).expect("a file");
    for line in lines {
        file.write_all(line).expect("a line");
        file.write_all(b"\n").expect("a line feed");
    }
    (folder, vec![path])
}

fn baseline(lines: &[Vec<u8>]) -> Settled {
    let (_folder, files) = write(lines);
    settle(&files, &Settings::default(), NOW_MS).expect("totals").settled()
}

/// An accepted tick, its logical time and its offset.
struct Placed {
    tick: Tick,
    logical: u64,
    offset: u64,
}

/// Gives every line its logical time by the definition.
fn place(lines: &[Vec<u8>], totals: &mut Totals) -> Vec<Placed> {
    let settings = Settings::default();
    let (mut offset, mut max) = (0, None::<u64>);
    let mut placed = Vec::new();
    for line in lines {
        let tick = decode(line).expect("a tick");
        let end = Interval::OneMinute.window_end(tick.time).millis();
        let watermark = max.map_or(0, |max| max.saturating_sub(settings.max_out_of_orderness_ms));
        let logical = if watermark < end { end } else { next_second(watermark) };
        totals.records.records_in += 1;
        if logical >= end + settings.allowed_lateness_ms {
            totals.records.too_late += 1;
        } else {
            *(if logical == end { &mut totals.records.on_time } else { &mut totals.records.late }) += 1;
            max = max.max(Some(tick.time.millis()));
            placed.push(Placed { tick, logical, offset });
        }
        offset += line.len() as u64 + 1;
    }
    placed
}

/// Returns every candle of a symbol that is settled as of `now`.
fn candles(ticks: &[&Placed], now: u64) -> BTreeMap<(Interval, u64), Candle> {
    let mut bars = BTreeMap::<(Interval, u64), Bar>::new();
    for Placed { tick, logical, offset } in ticks {
        for interval in Interval::ALL {
            let start = interval.window_start(tick.time);
            if *logical <= now && interval.window_end(tick.time).millis() <= now {
                let bar = Bar::of(tick, start, 0, *offset);
                let whole = bars.entry((interval, start.millis()));
                whole.and_modify(|whole| whole.merge(&bar)).or_insert(bar);
            }
        }
    }
    bars.into_iter().map(|(key, bar)| (key, bar.candle(EventTime(key.1)))).collect()
}

/// Returns every alert of a symbol as of its minutes.
fn alerts(symbol: Symbol, minutes: &[(Candle, u32)]) -> BTreeMap<u64, Alert> {
    let settings = Settings::default().anomalies;
    let mut returns = Vec::<(u64, i64)>::new();
    let mut alerts = BTreeMap::new();
    for (i, (candle, revision)) in minutes.iter().enumerate() {
        let start = candle.window_start.millis();
        let Some((previous, _)) = i.checked_sub(1).map(|i| &minutes[i]) else { continue };
        if start - previous.window_start.millis() > settings.lookback_ms {
            continue;
        }
        let log_return = libm::rint(libm::log(candle.close.0 / previous.close.0) * 1e14) as i64;
        let baseline = returns.iter().filter(|(of, _)| start - of <= settings.lookback_ms);
        let baseline: Vec<i128> = baseline.map(|(_, r)| i128::from(*r)).collect();
        returns.push((start, log_return));
        let samples = baseline.len() as i128;
        if samples < i128::from(settings.min_samples) {
            continue;
        }
        let sum: i128 = baseline.iter().sum();
        let squares: i128 = baseline.iter().map(|r| r * r).sum();
        let mean = sum as f64 / samples as f64 / 1e14;
        let variance = (samples * squares - sum * sum) as f64 / (samples * (samples - 1)) as f64;
        let stddev = variance.sqrt() / 1e14;
        let z_score = (log_return as f64 / 1e14 - mean) / stddev.max(settings.stddev_floor);
        if z_score.abs() >= settings.threshold {
            let alert = Alert {
                symbol,
                window_start: candle.window_start,
                open: candle.open,
                close: candle.close,
                previous_close: previous.close,
                z_score: Price(z_score),
                mean: Price(mean),
                stddev: Price(stddev),
                samples: samples as u32,
                threshold: Price(settings.threshold),
                revision: *revision,
            };
            alerts.insert(start, alert);
        }
    }
    alerts
}

fn oracle(lines: &[Vec<u8>]) -> Settled {
    let mut totals = Totals::default();
    let placed = place(lines, &mut totals);
    for symbol in placed.iter().map(|placed| placed.tick.symbol).collect::<BTreeSet<_>>() {
        let ticks: Vec<&Placed> = placed.iter().filter(|placed| placed.tick.symbol == symbol).collect();
        let mut times: BTreeSet<u64> = ticks.iter().map(|placed| placed.logical).collect();
        for interval in Interval::ALL {
            times.extend(ticks.iter().map(|placed| interval.window_end(placed.tick.time).millis()));
        }
        let mut settled = BTreeMap::<(Interval, u64), (Candle, u32)>::new();
        let mut standing = BTreeMap::<u64, Alert>::new();
        for now in times {
            let settled_at = EventTime(now);
            for ((interval, start), candle) in candles(&ticks, now) {
                let before = settled.get(&(interval, start));
                if before.is_none_or(|(before, _)| *before != candle) {
                    let revision = before.map_or(0, |(_, revision)| revision + 1);
                    totals.candle(&SettledCandle { symbol, interval, candle, revision, settled_at });
                    settled.insert((interval, start), (candle, revision));
                }
            }
            let minutes: Vec<(Candle, u32)> =
                settled.range(..(Interval::FiveMinutes, 0)).map(|(_, minute)| *minute).collect();
            let alerts = alerts(symbol, &minutes);
            for (start, alert) in &alerts {
                if standing.get(start) != Some(alert) {
                    totals.alert(&SettledAlert { alert: *alert, status: AlertStatus::Raised, settled_at });
                }
            }
            for (start, alert) in &standing {
                if !alerts.contains_key(start) {
                    let status = AlertStatus::Retracted;
                    totals.alert(&SettledAlert { alert: *alert, status, settled_at });
                }
            }
            standing = alerts;
        }
    }
    totals.settled()
}

#[test]
fn the_loop_settles_what_the_definition_says_version_for_version() {
    let mut retracted = 0;
    for seed in 0..12 {
        let lines = log(seed);
        let settled = baseline(&lines);
        assert_eq!(settled, oracle(&lines), "seed {seed}");
        assert!(settled.corrections.iter().all(|n| *n > 0) && settled.records["too_late"] > 0);
        retracted += settled.alert_versions - settled.alerts;
    }
    assert!(retracted > 0, "no alert was ever retracted or raised anew");
}

#[test]
fn a_gap_of_months_neither_loses_a_window_nor_takes_long() {
    let line = |ms: u64| format!(r#"{{"symbol":"BTC","price":1,"timestamp":{ms}}}"#).into_bytes();
    let lines = [5, 90_000_000_000, 90_000_000_001, NOW_MS - 1].map(line);
    let settled = baseline(&lines);
    assert_eq!(settled, oracle(&lines));
    assert_eq!(settled.candles, [3, 3, 3]);
}

#[test]
fn every_record_ends_in_one_bucket() {
    let good = r#"{"symbol":"BTC","price":1,"timestamp":1763271000000}"#;
    let future = format!(r#"{{"symbol":"BTC","price":1,"timestamp":{}}}"#, NOW_MS + 60_001);
    let lines = [good, "", "{", r#"{"symbol":"BTC","price":-1,"timestamp":1}"#, &future];
    let lines = lines.map(|line| line.as_bytes().to_vec());
    let settled = baseline(&lines);
    let records: Vec<(&str, u64)> = settled.records.iter().map(|(name, n)| (name.as_str(), *n)).collect();
    let expected = [("future", 1), ("invalid", 1), ("late", 0), ("malformed", 2), ("on_time", 1)];
    assert_eq!(records[..5], expected);
    assert_eq!(settled.candles, [1, 1, 1]);
}
