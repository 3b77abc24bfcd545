//! Measures PostgreSQL: upserts a second, and how long typical queries take over a year of candles.
//! The database must be an empty one of its own.
//!
//! `cargo run --release -p tallow-connectors --example postgres_speed URL`
#![allow(clippy::print_stdout, reason = "a program that prints its measurements")]

use std::error::Error;
use std::time::Instant;
use tallow_connectors::stores::postgres::{PostgresConfig, PostgresHistory, PostgresSink, Share, migrate};
use tallow_model::store::{CandleQuery, History, Sink, Span};
use tallow_model::{Candle, EventTime, Interval, MINUTE_MS, Price, SettledCandle, Step, Symbol};

const SYMBOLS: u64 = 100;
const MINUTES: u64 = 10_000;
const BATCH: usize = 20_000;
const YEAR: u64 = 365 * 24 * 4;

fn settled(symbol: Symbol, interval: Interval, number: u64) -> SettledCandle {
    let window_start = EventTime(number * interval.millis());
    let price = Price(100.0 + (number % 1_000) as f64 / 7.0);
    let candle = Candle {
        window_start,
        open: price,
        high: price,
        low: price,
        close: price,
        count: 100,
        sized: 100,
        price_sum: 10i128.pow(22),
        size_sum: 10i128.pow(17),
        notional_sum: 10i128.pow(16),
        day_volume: None,
    };
    let settled_at = EventTime(window_start.millis() + interval.millis());
    SettledCandle { symbol, interval, candle, revision: 0, settled_at }
}

fn write(sink: &mut PostgresSink, what: &str, candles: &[SettledCandle]) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    for batch in candles.chunks(BATCH) {
        sink.write(&[Step { candles: batch.to_vec(), frontier: Some(EventTime(0)), ..Step::default() }])?;
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{what}: {:.0} candles/s", candles.len() as f64 / seconds);
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("the URL of an empty database is missing")?;
    let config = PostgresConfig { url: url.into(), pool_size: 1, ..PostgresConfig::default() };
    migrate(&config)?;
    let mut sink = PostgresSink::open(&config, Share::whole(1))?;
    let symbols: Vec<Symbol> =
        (0..SYMBOLS).map(|number| format!("COIN{number:02}").parse()).collect::<Result<_, _>>()?;
    let by_time: Vec<SettledCandle> = (0..MINUTES)
        .flat_map(|minute| symbols.iter().map(move |symbol| settled(*symbol, Interval::OneMinute, minute)))
        .collect();
    write(&mut sink, "new candles, in the order of time", &by_time)?;
    write(&mut sink, "the same again", &by_time)?;
    let quarters: Vec<SettledCandle> =
        (0..YEAR).map(|number| settled(symbols[0], Interval::FifteenMinutes, number)).collect();
    write(&mut sink, "a year of quarter hours of one symbol", &quarters)?;

    let history = PostgresHistory::open(&config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(history.ping())?;
    let hours = |hours: u64| Span { base: Interval::FifteenMinutes, window_ms: hours * 60 * MINUTE_MS };
    for (what, span) in [
        ("1m", Interval::OneMinute.into()),
        ("15m", Interval::FifteenMinutes.into()),
        ("1h", hours(1)),
        ("1d", hours(24)),
    ] {
        for limit in [100, 1_000] {
            let query = CandleQuery { limit, counted: true, ..CandleQuery::newest(symbols[0], span) };
            let start = Instant::now();
            let page = runtime.block_on(history.candles(&query))?;
            let (rows, total, elapsed) = (page.rows.len(), page.total.unwrap_or(0), start.elapsed());
            println!("{rows} of {total} windows of {what}: {elapsed:.2?}");
            if limit == 1_000 {
                let start = Instant::now();
                runtime.block_on(history.stats(&query))?;
                println!("figures over {total} windows of {what}: {:.2?}", start.elapsed());
            }
        }
    }
    Ok(())
}
