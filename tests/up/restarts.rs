//! Stopped or killed and started again: nothing settled is lost, nothing comes twice, the market
//! goes on.

use crate::process::{SETTINGS, ready, spawn};
use crate::reference::{Books, ticks};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use tallow_connectors::feeds::simulator::{Simulator, SimulatorSettings};
use tallow_connectors::logs::filelog::{FileLogConfig, FileLogWriter};
use tallow_model::clock::SystemClock;
use tallow_model::{Clock, EventTime, Symbol, Tick};
use tallow_testing::process::Tallow;
use tallow_testing::wait::until;

const PARTITIONS: u32 = 3;
const MINUTE_MS: u64 = 60_000;

/// A log of BTC, ETH and SOL from so many minutes ago to so many minutes ago.
fn write_log(data: &Path, from_minutes_ago: u64, to_minutes_ago: u64) -> EventTime {
    let now_ms = SystemClock.now_ms();
    let symbols = ["BTC", "ETH", "SOL"].map(|symbol| symbol.parse().unwrap()).to_vec();
    let settings = SimulatorSettings { symbols, trades_per_second: 1.0, ..SimulatorSettings::default() };
    let mut market = Simulator::open(&settings, now_ms - from_minutes_ago * MINUTE_MS).unwrap();
    let mut trades = Vec::new();
    market.ticks_until(now_ms - to_minutes_ago * MINUTE_MS, &mut trades);
    let mut log = FileLogWriter::open(&FileLogConfig::new(data.join("log"))).unwrap();
    for trade in &trades {
        let mut line = Vec::new();
        trade.to_json_line(trade.time.millis(), &mut line);
        log.append(log.partition_of(trade.symbol), &line).unwrap();
    }
    log.close().unwrap();
    trades.last().unwrap().time
}

/// The ticks of each symbol, in the order of the log.
fn by_symbol(data: &Path) -> BTreeMap<Symbol, Vec<Tick>> {
    let mut symbols: BTreeMap<Symbol, Vec<Tick>> = BTreeMap::new();
    for tick in (0..PARTITIONS).flat_map(|partition| ticks(data, partition)) {
        symbols.entry(tick.symbol).or_default().push(tick);
    }
    symbols
}

/// The closed candles of every symbol and interval that end by `until_ms`, as the API writes them.
fn history(tallow: &Tallow, until_ms: u64) -> BTreeMap<String, String> {
    let mut answers = BTreeMap::new();
    for symbol in ["BTC", "ETH", "SOL"] {
        for (interval, length) in [("1m", MINUTE_MS), ("5m", 5 * MINUTE_MS), ("15m", 15 * MINUTE_MS)] {
            let end = until_ms - length;
            let path = format!("/api/v1/historical/{symbol}?interval={interval}&end_time={end}&limit=1000");
            let (status, body) = tallow.get(&path);
            assert_eq!(status, 200, "{path}: {body}");
            answers.insert(path, body);
        }
    }
    answers
}

/// The start of the newest closed one-minute candle.
fn newest_minute(tallow: &Tallow) -> EventTime {
    rfc3339(&tallow.json("/api/v1/historical/BTC/latest")["window_start"])
}

fn rfc3339(time: &Value) -> EventTime {
    tallow_model::rows::rfc3339::deserialize(time).unwrap()
}

#[test]
fn after_a_kill_what_had_settled_is_there_byte_for_byte_and_new_candles_follow() {
    let folder = tempfile::tempdir().unwrap();
    // Closes a minute a second after its end.
    let settings = [("TALLOW__DATAFLOW__MAX_OUT_OF_ORDERNESS_MS", "1000")];
    let tallow = ready(folder.path(), &settings);
    let newest = newest_minute(&tallow);
    let settled_through = newest.millis() + MINUTE_MS;
    let before = history(&tallow, settled_through);
    until("a checkpoint", || {
        tallow.json("/api/v1/stats")["checkpoint"]["stored"].as_u64().filter(|it| *it > 0)
    });
    tallow.kill();
    let ends: BTreeMap<Symbol, usize> =
        by_symbol(folder.path()).iter().map(|(symbol, ticks)| (*symbol, ticks.len())).collect();
    // As if it had been killed in mid-write.
    let segment = folder.path().join("log/partition-0/00000000000000000000.jsonl");
    let mut segment = std::fs::OpenOptions::new().append(true).open(segment).unwrap();
    segment.write_all(br#"{"symbol":"BTC","trade_id":17"#).unwrap();

    let tallow = ready(folder.path(), &settings);
    assert!(tallow.said().contains("starting from a checkpoint"), "{}", tallow.said());
    assert_eq!(history(&tallow, settled_through), before);
    until("a new candle", || (newest_minute(&tallow) > newest).then_some(()));
    assert_eq!(history(&tallow, settled_through), before);
    let starts = |path: &str| -> Vec<EventTime> {
        tallow.json(path).as_array().unwrap().iter().map(|row| rfc3339(&row["window_start"])).collect()
    };
    let minutes = starts("/api/v1/historical/BTC?order_by=asc&limit=1000");
    assert!(minutes.windows(2).all(|pair| pair[0].millis() + MINUTE_MS == pair[1].millis()), "{minutes:?}");
    tallow.kill();

    for (symbol, ticks) in by_symbol(folder.path()) {
        assert!(ticks.windows(2).all(|pair| pair[0].time <= pair[1].time), "{symbol} goes back in time");
        let [last, first] = &ticks[ends[&symbol] - 1..=ends[&symbol]] else {
            panic!("{symbol}: no new tick")
        };
        assert!(first.time > last.time, "{symbol}: {first:?} after {last:?}");
        let jump = (first.price.value / last.price.value).ln().abs();
        assert!(jump < 0.03, "{symbol} jumps from {last:?} to {first:?}");
    }
}

#[test]
fn a_checkpoint_of_other_settings_is_refused_and_can_be_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let tallow = ready(folder.path(), &[]);
    until("a checkpoint", || {
        tallow.json("/api/v1/stats")["checkpoint"]["stored"].as_u64().filter(|it| *it > 0)
    });
    let counted = tallow.json("/api/v1/stats")["records_in"].as_u64().unwrap();
    tallow.stop();

    let other = [("TALLOW__ANOMALIES__THRESHOLD", "3.5")];
    let (status, said) = spawn(folder.path(), &other).ended();
    assert_eq!(status.code(), Some(1), "{said}");
    let last = said.trim_end().lines().last().unwrap();
    for words in ["anomalies.threshold", "2.5", "3.5", "--from-scratch"] {
        assert!(last.contains(words), "{words}: {last}");
    }

    let data = [("TALLOW__UP__DATA", folder.path().to_str().unwrap())];
    let mut tallow =
        Tallow::start(&["up", "--from-scratch"], &[&SETTINGS[..], &data[..], &other[..]].concat());
    tallow.says("ready");
    assert!(tallow.said().contains("starting from scratch"), "{}", tallow.said());
    assert!(tallow.json("/api/v1/stats")["records_in"].as_u64() >= Some(counted));
    tallow.stop();
}

#[test]
fn the_store_holds_what_the_log_makes_row_for_row() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [("TALLOW__DATAFLOW__WORKERS", "2")];
    ready(folder.path(), &settings).kill();
    let tallow = ready(folder.path(), &settings);
    let stats = tallow.json("/api/v1/stats");
    let watermark = rfc3339(&stats["watermark"]).millis();
    tallow.stop();

    let (stored, expected) = (Books::stored(folder.path()), Books::of_log(folder.path()));
    // What has settled between the question and the stop may be there too, and is then right as
    // well.
    for (key, row) in &stored.candles {
        assert_eq!(Some(row), expected.candles.get(key));
    }
    for (id, row) in &stored.alerts {
        assert_eq!(Some(row), expected.alerts.get(id));
    }
    assert!(stored.candles.len() >= 3 * (118 + 23 + 7), "{}", stored.candles.len());
    assert!(!stored.alerts.is_empty());
    assert_eq!(stored.before(watermark), expected.before(watermark));
}

#[test]
fn the_time_since_the_end_of_the_log_is_traded_too() {
    let folder = tempfile::tempdir().unwrap();
    let end = write_log(folder.path(), 100, 40);
    let tallow = ready(folder.path(), &[]);
    let rows = tallow.json("/api/v1/historical/ETH?order_by=asc&limit=1000");
    let minutes: Vec<u64> =
        rows.as_array().unwrap().iter().map(|row| rfc3339(&row["window_start"]).millis()).collect();
    assert!(minutes.len() >= 98, "{minutes:?}");
    assert!(minutes.windows(2).all(|pair| pair[0] + MINUTE_MS == pair[1]), "{minutes:?}");
    assert!(!tallow.stop().contains("gap"));
    for (symbol, ticks) in by_symbol(folder.path()) {
        let at = ticks.partition_point(|tick| tick.time <= end);
        let (last, first) = (&ticks[at - 1], &ticks[at]);
        assert!(first.time.millis() - end.millis() < 10_000, "{symbol}: {first:?}");
        assert!((first.price.value / last.price.value).ln().abs() < 0.03, "{symbol}: {last:?} {first:?}");
    }
    let (stored, expected) = (Books::stored(folder.path()), Books::of_log(folder.path()));
    assert!(stored.candles.iter().all(|(key, row)| expected.candles.get(key) == Some(row)));
}

#[test]
fn a_gap_longer_than_the_backfill_stays_and_a_new_symbol_starts_at_its_own_price() {
    let folder = tempfile::tempdir().unwrap();
    let end = write_log(folder.path(), 180, 120);
    let settings = [("TALLOW__UP__BACKFILL_HOURS", "1"), ("TALLOW__UP__SYMBOLS", "BTC,ETH,SOL,DOGE,AVAX")];
    let tallow = ready(folder.path(), &settings);
    let doge = tallow.json("/api/v1/historical/DOGE?order_by=asc&limit=1000");
    assert!(doge.as_array().unwrap().len() >= 58, "{doge}");
    let price = doge[0]["open_price"].as_f64().unwrap();
    assert!((price / 0.1612).ln().abs() < 0.1, "{price}");
    let stats = tallow.json("/api/v1/stats");
    assert_eq!(stats["records_in"], stats["records"]["on_time"], "{stats}");
    assert!(tallow.stop().contains("history has a gap"));
    for (symbol, ticks) in by_symbol(folder.path()) {
        let at = ticks.partition_point(|tick| tick.time <= end);
        assert!(ticks[at].time.millis() >= end.millis() + 59 * MINUTE_MS, "{symbol}: {:?}", ticks[at]);
    }
}

#[test]
fn symbols_that_are_not_traded_any_more_hold_nothing_up() {
    let folder = tempfile::tempdir().unwrap();
    write_log(folder.path(), 100, 40);
    assert!((0..PARTITIONS).filter(|partition| !ticks(folder.path(), *partition).is_empty()).count() > 1);
    let settings = [("TALLOW__UP__SYMBOLS", "BTC"), ("TALLOW__DATAFLOW__IDLE_TIMEOUT_MS", "600000")];
    let tallow = ready(folder.path(), &settings);
    let count = |symbol| {
        let rows = tallow.json(&format!("/api/v1/historical/{symbol}?limit=1000"));
        rows.as_array().unwrap().len()
    };
    assert!(count("BTC") >= 98, "{}", count("BTC"));
    // The last of them was cut short and has closed all the same.
    assert!((60..=61).contains(&count("ETH")), "{}", count("ETH"));
    tallow.stop();
}
