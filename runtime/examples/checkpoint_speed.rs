//! Measures how long a part of a checkpoint takes to write down and to read, and how many bytes it
//! has, with the compression that is used and with others.
//!
//! `cargo run --release -p tallow-connectors --example checkpoint_speed [SYMBOLS]`
#![allow(clippy::print_stdout, reason = "a program that prints its measurements")]

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::error::Error;
use std::time::{Duration, Instant};
use tallow_dataflow::{
    Bar, CheckpointId, RetainedMinute, RetainedReturn, RollupVersions, State, TickPosition,
};
use tallow_model::{EventTime, Interval, MINUTE_MS, Price, Symbol};
use tallow_runtime::checkpoint::{Origin, PartHead, StoredPart, encode};

const SYMBOLS: u64 = 10_000;
const MINUTES: u64 = 30;
const MOVES: u64 = 60;
const ROUNDS: usize = 5;
/// A time of which the minutes before are whole.
const NOW: u64 = 1_763_271_000_000;

/// A price with as many decimals as an exchange prints.
fn rounded(price: f64) -> Price {
    Price((price * 1e4).round() / 1e4)
}

/// One symbol's state: a random walk with some ticks a minute.
fn of_symbol(symbol: Symbol, random: &mut ChaCha8Rng) -> State {
    let mut state = State::default();
    let mut price = 10f64.powf(random.random_range(-2.0..4.5));
    let mut previous_close = None;
    let first = NOW / MINUTE_MS - MINUTES - MOVES;
    for minute in 0..MINUTES + MOVES {
        let start = EventTime((first + minute) * MINUTE_MS);
        let ticks: u32 = random.random_range(5..60);
        let open = price;
        let walk: Vec<f64> = (0..ticks)
            .map(|_| {
                price *= 1.0 + random.random_range(-4e-4..4e-4);
                price
            })
            .collect();
        let (open, close) = (rounded(open), rounded(price));
        if minute < MOVES {
            state.returns.push(RetainedReturn { symbol, start, open, close, previous_close, revision: 0 });
        } else {
            let mut order = |since_start_ms| TickPosition {
                since_start_ms,
                partition: random.random_range(0..3),
                offset: 40_000_000 + minute * 300_000 + random.random_range(0..300_000),
            };
            let (first, last) = (order(400), order(59_500));
            let size = i128::from(random.random_range(1_000_000_000_000u64..900_000_000_000_000_000));
            let bar = Bar {
                first,
                last,
                open,
                high: rounded(walk.iter().copied().fold(open.0, f64::max)),
                low: rounded(walk.iter().copied().fold(open.0, f64::min)),
                close,
                count: ticks,
                sized: ticks,
                price_sum: (walk.iter().sum::<f64>() * 1e4) as i128 * 10i128.pow(14),
                size_sum: size,
                notional_sum: size * (price * 1e4) as i128 / 10_000_000,
                day_volume: None,
            };
            state.minutes.push(RetainedMinute { symbol, start, bar, revision: 0, previous_close });
        }
        previous_close = Some(close);
    }
    for number in 0..4 {
        let start = EventTime(NOW - (number + 1) * Interval::FiveMinutes.millis());
        let interval = Interval::FiveMinutes;
        state.rollups.push(RollupVersions { symbol, interval, start, versions: 1 });
    }
    for number in 0..2 {
        let start = EventTime(NOW - (number + 1) * Interval::FifteenMinutes.millis());
        let interval = Interval::FifteenMinutes;
        state.rollups.push(RollupVersions { symbol, interval, start, versions: 1 });
    }
    state
}

/// The pieces as a graph gives them: some symbols at a time.
fn pieces(symbols: u64) -> Result<Vec<State>, Box<dyn Error>> {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut pieces = Vec::new();
    for number in 0..symbols {
        if number % 200 == 0 {
            pieces.push(State::default());
        }
        let symbol = of_symbol(format!("COIN{number}").parse()?, &mut random);
        if let Some(piece) = pieces.last_mut() {
            piece.minutes.extend(symbol.minutes);
            piece.returns.extend(symbol.returns);
            piece.rollups.extend(symbol.rollups);
        }
    }
    Ok(pieces)
}

/// The shortest of some rounds, and what it gave.
fn measure<T>(mut work: impl FnMut() -> Result<T, Box<dyn Error>>) -> Result<(Duration, T), Box<dyn Error>> {
    let mut best: Option<(Duration, T)> = None;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let result = work()?;
        let took = start.elapsed();
        if best.as_ref().is_none_or(|(shortest, _)| took < *shortest) {
            best = Some((took, result));
        }
    }
    best.ok_or_else(|| "nothing was measured".into())
}

fn report(what: &str, took: Duration, raw: usize, bytes: usize) {
    let (millis, megabytes) = (took.as_secs_f64() * 1e3, raw as f64 / 1e6);
    println!(
        "{what:<28} {millis:>7.0} ms  {:>6.1} MB  {:>6.0} MB/s of rows",
        bytes as f64 / 1e6,
        megabytes / took.as_secs_f64()
    );
}

/// Rows as they are before they are compressed, by section and in chunks as a part has them.
fn raw_chunks(pieces: &[State]) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
    fn add<R: serde::Serialize>(rows: &[R], chunks: &mut Vec<Vec<u8>>) -> Result<(), Box<dyn Error>> {
        for rows in rows.chunks(8_192) {
            let mut chunk = Vec::new();
            for row in rows {
                chunk = postcard::to_extend(row, chunk)?;
            }
            chunks.push(chunk);
        }
        Ok(())
    }
    let mut chunks = Vec::new();
    for piece in pieces {
        add(&piece.minutes, &mut chunks)?;
        add(&piece.returns, &mut chunks)?;
        add(&piece.rollups, &mut chunks)?;
    }
    Ok(chunks)
}

fn main() -> Result<(), Box<dyn Error>> {
    let symbols = std::env::args().nth(1).map_or(Ok(SYMBOLS), |symbols| symbols.parse())?;
    let pieces = pieces(symbols)?;
    let id = CheckpointId { frontier: EventTime(NOW), run: 1 };
    let source = (PartHead { id, worker: 0, workers: 1, partitions: Vec::new() }, pieces);
    let origin = Origin { source: "kafka:crypto-prices".to_owned(), meaning: Vec::new() };
    let (took, chunks) = measure(|| raw_chunks(&source.1))?;
    let raw = chunks.iter().map(Vec::len).sum();
    report("rows alone", took, raw, raw);
    for level in [-5, -1, 1, 3, 6] {
        let (took, compressed) = measure(|| {
            let mut compressor = zstd::bulk::Compressor::new(level)?;
            Ok(chunks.iter().map(|chunk| compressor.compress(chunk)).collect::<Result<Vec<_>, _>>()?)
        })?;
        let bytes = compressed.iter().map(Vec::len).sum();
        report(&format!("compressed, zstd level {level}"), took, raw, bytes);
        let (took, _) = measure(|| {
            let mut decompressor = zstd::bulk::Decompressor::new()?;
            for chunk in &compressed {
                decompressor.decompress(chunk, 4 << 20)?;
            }
            Ok(())
        })?;
        report(&format!("expanded, zstd level {level}"), took, raw, bytes);
    }
    let (took, part) = measure(|| Ok(encode(&source, &origin)?))?;
    let bytes = part.into_bytes();
    report("a part encoded", took, raw, bytes.len());
    let (took, stored) = measure(|| Ok(StoredPart::read("part", bytes.clone())?))?;
    report("a part verified", took, raw, bytes.len());
    let (took, state) = measure(|| {
        let mut state = State::default();
        stored.decode_into(&mut state)?;
        Ok(state)
    })?;
    report("a part decoded", took, raw, bytes.len());
    println!(
        "{} minutes, {} moves, {} roll-ups of {symbols} symbols",
        state.minutes.len(),
        state.returns.len(),
        state.rollups.len()
    );
    Ok(())
}
