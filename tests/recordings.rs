//! `tallow backtest` on recorded trades of real exchanges, which stand beside the checkout.

use std::collections::HashMap;
use tallow_testing::program::{backtest, buckets, succeed, summary, text};
use tallow_testing::recordings::recording;

#[test]
fn krakens_trades_give_krakens_bars_to_the_digit() {
    let (Some(ticks), Some(bars)) = (recording("kraken/ticks.jsonl"), recording("kraken/bars_1m.csv")) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    succeed(&mut backtest(&[ticks], folder.path()));
    let table = text(folder.path(), "candles.csv");
    let minutes: HashMap<&str, Vec<&str>> = table
        .lines()
        .map(|line| line.split(',').collect::<Vec<_>>())
        .filter(|fields| fields[1] == "1m")
        .map(|fields| (fields[2], fields))
        .collect();
    let exact = |number: &str| match number.split_once('.') {
        Some((whole, fraction)) => {
            format!("{whole}.{}", fraction.trim_end_matches('0')).trim_end_matches('.').to_owned()
        }
        None => number.to_owned(),
    };
    let mut compared = 0;
    for bar in std::fs::read_to_string(bars).expect("the bars").lines().skip(1) {
        let bar_fields: Vec<&str> = bar.split(',').collect();
        let Some(candle) = minutes.get(bar_fields[1]) else {
            assert_eq!(bar_fields[7], "0", "{bar}");
            continue;
        };
        // open, high, low, close, volume, count
        for (of_bar, of_candle) in [(2, 4), (3, 5), (4, 6), (5, 7), (6, 10), (7, 12)] {
            assert_eq!(exact(bar_fields[of_bar]), candle[of_candle], "{bar} is not {candle:?}");
        }
        let vwap: f64 = candle[9].parse().expect("a number");
        let truncated = (vwap * 10.0).floor() / 10.0;
        assert_eq!(truncated.to_string(), exact(bar_fields[8]), "{bar} is not {candle:?}");
        compared += 1;
    }
    assert!(compared > 200, "only {compared} bars were compared");
}

#[test]
fn every_record_of_the_binance_recording_is_accounted_for() {
    let Some(ticks) = recording("binance/ticks.jsonl.gz") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    succeed(backtest(&[ticks], folder.path()).args(["--workers", "2"]));
    assert_eq!(buckets(folder.path()), [("on_time", 69_808)]);
    assert_eq!(summary(folder.path())["records_in"], 69_808);
    for interval in ["1m", "5m", "15m"] {
        let table = text(folder.path(), "candles.csv");
        let candles = table.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let trades: u64 = candles
            .filter(|fields| fields[1] == interval)
            .map(|fields| fields[12].parse::<u64>().expect("a count"))
            .sum();
        assert_eq!(trades, 69_808, "{interval}");
    }
}
