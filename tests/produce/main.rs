//! `tallow produce` as its users meet it: the real binary, a real broker, and what another client
//! reads from the topic.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![allow(clippy::print_stderr, reason = "what is skipped is said")]

mod files;
mod outages;
mod process;
mod quotes;

use process::Producing;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tallow_connectors::feeds::simulator::{Simulator, SimulatorSettings};
use tallow_model::{Symbol, Tick, decode};
use tallow_testing::services::{kafka, unique};
use tallow_testing::topic::{Read, Topic};

/// An hour of the past: from here to one hour later.
const START: (&str, u64) = ("2025-11-16T05:00:00Z", 1_763_269_200_000);
const HOUR_MS: u64 = 3_600_000;
/// A market of eight symbols over an hour.
const HOUR: [&str; 8] = ["--feed", "sim", "--speed", "max", "--start", START.0, "--duration", "60m"];

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// The ticks of the records by their symbol, which must be the key.
fn by_symbol(records: &[Read]) -> BTreeMap<Symbol, Vec<Tick>> {
    let mut ticks: BTreeMap<Symbol, Vec<Tick>> = BTreeMap::new();
    for record in records {
        let tick = decode(record.payload.as_ref().unwrap()).unwrap();
        assert_eq!(record.key.as_deref(), Some(tick.symbol.text().as_bytes()));
        ticks.entry(tick.symbol).or_default().push(tick);
    }
    ticks
}

/// The identity of a trade: time, digits and exponent of the price, digits of the size.
type Trade = (u64, u64, i32, Option<u64>);

fn trade(tick: &Tick) -> Trade {
    (tick.time.millis(), tick.price.mantissa, tick.price.exponent, tick.size.map(|size| size.mantissa))
}

/// The trades of [`HOUR`], by symbol.
fn hour_of_trades() -> BTreeMap<Symbol, Vec<Trade>> {
    let settings = SimulatorSettings { seed: 7, trades_per_second: 1.0, ..SimulatorSettings::default() };
    let mut ticks = Vec::new();
    Simulator::open(&settings, START.1).unwrap().ticks_until(START.1 + HOUR_MS, &mut ticks);
    let mut trades: BTreeMap<Symbol, Vec<_>> = BTreeMap::new();
    for tick in ticks {
        let trade = (tick.time.millis(), tick.price.mantissa, tick.price.exponent, Some(tick.size.mantissa));
        trades.entry(tick.symbol).or_default().push(trade);
    }
    trades
}

#[test]
fn an_hour_of_the_market_is_in_the_topic_whole_and_in_order() {
    let Some(brokers) = kafka() else { return };
    let topic = Topic::make(&brokers, unique("hour"), 3, &[]);
    let started = now_ms();
    let mut arguments = HOUR.to_vec();
    arguments.extend(["--seed", "7"]);
    let said = Producing::start(&brokers, &topic.name, &arguments).succeeds();
    let ended = now_ms();

    let records = topic.read();
    assert!(records.len() > 20_000, "only {} records", records.len());
    for words in ["producing", "SIMULATED", "ready", &format!("acknowledged={}", records.len()), "failed=0"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!said.contains("WARN") && !said.contains("ERROR"), "{said}");
    assert!(
        records.iter().all(|record| (started..=ended).contains(&record.timestamp)),
        "a record time is off"
    );
    let read: BTreeMap<Symbol, Vec<_>> = by_symbol(&records)
        .into_iter()
        .map(|(symbol, ticks)| (symbol, ticks.iter().map(trade).collect()))
        .collect();
    assert!(read == hour_of_trades(), "the trades are not those of the market");
}

#[test]
fn disorder_delays_trades_and_loses_none() {
    let Some(brokers) = kafka() else { return };
    let topic = Topic::make(&brokers, unique("disorder"), 3, &[]);
    let mut arguments = HOUR.to_vec();
    arguments.extend(["--seed", "7", "--disorder"]);
    Producing::start(&brokers, &topic.name, &arguments).succeeds();
    let mut read: BTreeMap<Symbol, Vec<_>> = BTreeMap::new();
    let (mut late, mut records) = (0, 0);
    for (symbol, ticks) in by_symbol(&topic.read()) {
        let mut newest = 0;
        for tick in &ticks {
            newest = newest.max(tick.time.millis());
            late += u64::from(tick.time.millis() + 10_000 < newest);
            records += 1;
        }
        assert!(!ticks.is_sorted_by_key(|tick| tick.time), "{symbol} is in order");
        read.insert(symbol, ticks.iter().map(trade).collect());
    }
    assert!(late > 0 && late < records / 100, "{late} of {records} are late");
    let mut expected = hour_of_trades();
    for trades in read.values_mut().chain(expected.values_mut()) {
        trades.sort_unstable();
    }
    assert!(read == expected, "the trades are not those of the market");
}

#[test]
fn a_live_market_is_at_its_pace_and_a_signal_ends_it_with_everything_acknowledged() {
    let Some(brokers) = kafka() else { return };
    for signal in ["INT", "TERM"] {
        let topic = Topic::make(&brokers, unique("live"), 3, &[]);
        let arguments = ["--feed", "sim", "--symbols", "BTC,ETH", "--rate", "200"];
        let producing = Producing::start(&brokers, &topic.name, &arguments);
        process::until("records", || topic.count() > 200);
        producing.signal(signal);
        let said = producing.succeeds();
        let records = topic.read();
        assert!(said.contains(&format!("acknowledged={}", records.len())), "{said}");
        for record in &records {
            let tick = decode(record.payload.as_ref().unwrap()).unwrap();
            // Milliseconds after it happened, and never before.
            let age = record.timestamp - tick.time.millis() as i64;
            assert!((0..5_000).contains(&age), "sent {age} ms after it happened");
        }
    }
}

#[test]
fn a_market_may_run_faster_than_the_clock_up_to_the_present() {
    let Some(brokers) = kafka() else { return };
    let topic = Topic::make(&brokers, unique("faster"), 3, &[]);
    let started = std::time::Instant::now();
    let arguments = ["--feed", "sim", "--duration", "2m", "--speed", "60", "--rate", "5"];
    Producing::start(&brokers, &topic.name, &arguments).succeeds();
    assert!(started.elapsed() > Duration::from_millis(1_800), "took {:?}", started.elapsed());
    for record in topic.read() {
        let tick = decode(record.payload.as_ref().unwrap()).unwrap();
        assert!(tick.time.millis() as i64 <= record.timestamp, "a trade of the future");
    }
}

#[test]
fn a_missing_topic_is_said_with_what_makes_it() {
    let Some(brokers) = kafka() else { return };
    let topic = unique("missing");
    let said = Producing::start(&brokers, &topic, &["--feed", "sim"]).fails();
    assert_eq!(
        said,
        format!("tallow: topic {topic} does not exist at {brokers}; 'tallow migrate' creates it")
    );
}
