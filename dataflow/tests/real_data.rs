//! Recorded trades of real trading venues: the bars must equal the venue's own, and every record
//! must be accounted for.
//!
//! The recordings lie beside the checkout (`../shared/data`). Without them the tests print that
//! they are skipped and pass, unless `TALLOW_REQUIRE_ALL` is set.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use tallow_dataflow::Settings;
use tallow_model::Interval;
use tallow_testing::graph::settle;
use tallow_testing::recordings::recording;

#[test]
fn krakens_trades_give_krakens_bars_to_the_digit() {
    let Some(path) = recording("kraken/ticks.jsonl") else { return };
    let lines = std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect();
    let outcome = settle(&[lines], 1, &Settings::default());
    let bars = std::fs::read_to_string(recording("kraken/bars_1m.csv").unwrap()).unwrap();
    let mut compared = 0;
    for bar in bars.lines().skip(1) {
        let fields: Vec<&str> = bar.split(',').collect();
        let (start, count): (u64, u64) = (fields[1].parse().unwrap(), fields[7].parse().unwrap());
        let candle = outcome
            .candles
            .iter()
            .filter(|c| c.interval == Interval::OneMinute && c.candle.window_start.millis() == start)
            .map(|c| c.candle)
            .next_back();
        assert_eq!(candle.map_or(0, |candle| u64::from(candle.count)), count, "{bar}");
        let Some(candle) = candle else { continue };
        let exact = |text: &str| text.trim_end_matches('0').trim_end_matches('.').to_owned();
        let shown = [candle.open, candle.high, candle.low, candle.close].map(|price| price.to_string());
        assert_eq!(shown, [2, 3, 4, 5].map(|column| exact(fields[column])), "{bar}");
        assert_eq!(candle.traded_volume().to_string(), exact(fields[6]), "{bar}");
        let vwap = (candle.vwap().unwrap().0 * 10.0).floor() / 10.0;
        assert_eq!(vwap, fields[8].parse::<f64>().unwrap(), "{bar}");
        compared += 1;
    }
    assert!(compared > 200, "only {compared} bars were compared");
}

#[test]
fn every_record_of_the_binance_recording_is_accounted_for() {
    let Some(path) = recording("binance/ticks.jsonl.gz") else { return };
    let output = std::process::Command::new("gzip").arg("-dc").arg(path).output().unwrap();
    let lines: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 69_808);
    let counts = |outcome: &tallow_testing::graph::Outcome| {
        assert_eq!(outcome.counts.buckets().iter().map(|(_, n)| n).sum::<u64>(), outcome.counts.records_in);
        let minutes = outcome.candles.iter().filter(|c| c.interval == Interval::OneMinute);
        minutes.map(|c| u64::from(c.candle.count)).sum::<u64>()
    };
    let whole = settle(std::slice::from_ref(&lines), 1, &Settings::default());
    assert_eq!(counts(&whole), 69_808);
    assert!(whole.candles.iter().all(|candle| candle.revision == 0));
    // One partition a market; two of them end at midnight.
    let mut markets = vec![Vec::new(); 4];
    for line in lines {
        let market = ["\"BTCUSDT\"", "\"ETHUSDT\"", "\"BTCUSDT.P\"", "\"ETHUSDT.P\""];
        markets[market.iter().position(|name| line.contains(name)).unwrap()].push(line);
    }
    let split = settle(&markets, 2, &Settings::default());
    assert_eq!(counts(&split), 69_808);
    let closes = |outcome: &tallow_testing::graph::Outcome| {
        let figures = |c: &tallow_model::SettledCandle| {
            (c.symbol, c.interval, c.candle.window_start, c.candle.size_sum)
        };
        outcome.candles.iter().map(figures).collect::<Vec<_>>()
    };
    assert_eq!(closes(&split), closes(&whole));
}
