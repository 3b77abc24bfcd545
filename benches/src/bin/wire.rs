//! `wire-bench`: the cost of sending partial bars from one process to another, in each of their
//! encodings.

use anyhow::{Context, Result, ensure};
use clap::Parser;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};
// Linked for its allocator, which Tallow's own program uses too.
use tallow_benches as _;
use tallow_dataflow::{WireBytes, WireEncoding, WireSample};
use tallow_model::{Tick, decode};

/// Encodes and decodes partial bars, in turns in one encoding and in the other, and prints the cost
/// of each.
#[derive(Parser)]
struct Arguments {
    /// Number of bars in a run
    #[arg(long, default_value_t = 1_000_000)]
    bars: usize,
    /// Number of bars sent at a time; a container of the graph has room for some forty
    #[arg(long, default_value_t = 40)]
    batch: usize,
    /// Number of runs; the median counts
    #[arg(long, default_value_t = 9)]
    runs: usize,
}

/// Measurements of one run.
#[derive(Clone, Copy)]
struct Run {
    encode: Duration,
    decode: Duration,
    bytes: usize,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ensure!(arguments.bars > 0 && arguments.batch > 0 && arguments.runs > 0, "nothing to measure");
    let batches = batches(arguments.bars, arguments.batch)?;
    let encodings = [("abomonation", WireEncoding::Abomonation), ("serde", WireEncoding::Serde)];
    let mut runs = encodings.map(|_| Vec::new());
    for _ in 0..arguments.runs {
        for ((_, encoding), runs) in encodings.iter().zip(&mut runs) {
            runs.push(run(&batches, *encoding));
        }
    }
    let mut out = std::io::stdout();
    writeln!(
        out,
        "{} bars, {} at a time, median of {} runs\n",
        arguments.bars, arguments.batch, arguments.runs
    )?;
    writeln!(out, "| encoding | bytes a bar | encode | decode | both |")?;
    writeln!(out, "| --- | --- | --- | --- | --- |")?;
    for ((name, _), runs) in encodings.iter().zip(&runs) {
        let bytes = runs.first().context("a run")?.bytes;
        let speed = |time: fn(&Run) -> Duration| {
            let mut times: Vec<Duration> = runs.iter().map(time).collect();
            times.sort_unstable();
            let seconds = times[times.len() / 2].as_secs_f64();
            let (bars, gigabytes) = (arguments.bars as f64 / seconds / 1e6, bytes as f64 / seconds / 1e9);
            format!("{bars:.1} M bars/s, {gigabytes:.2} GB/s")
        };
        let [encode, decode, both] =
            [speed(|run| run.encode), speed(|run| run.decode), speed(|run| run.encode + run.decode)];
        let each = bytes as f64 / arguments.bars as f64;
        writeln!(out, "| {name} | {each:.1} | {encode} | {decode} | {both} |")?;
    }
    Ok(())
}

/// Encodes and decodes every batch.
fn run(batches: &[WireSample], encoding: WireEncoding) -> Run {
    let mut run = Run { encode: Duration::ZERO, decode: Duration::ZERO, bytes: 0 };
    let mut room = Vec::new();
    for batch in batches {
        let start = Instant::now();
        black_box(batch).encode(encoding, &mut room);
        run.encode += start.elapsed();
        run.bytes += room.len();
        let bytes = WireBytes::of(room.clone());
        let start = Instant::now();
        let again = black_box(&bytes).decode(encoding);
        run.decode += start.elapsed();
        assert!(&again == batch, "the bars are not those that were sent");
    }
    run
}

/// Returns bars of trades and quotes in a hundred markets, the same in every run.
fn batches(bars: usize, batch: usize) -> Result<Vec<WireSample>> {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let ticks = (0..bars).map(|number| {
        let (market, time) = (random.random_range(0..100), 1_700_000_000_000 + 10 * number);
        let (price, size) = (random.random_range(1..10_000_000), random.random_range(1..10_000_000));
        let volume = if number % 10 == 0 { format!(r#","volume_24h":{size}"#) } else { String::new() };
        let line = format!(
            r#"{{"symbol":"M{market}-USD","price_usd":{}.{:02},"size":{}.{:04},"timestamp":{time}{volume}}}"#,
            price / 100,
            price % 100,
            size / 10_000,
            size % 10_000
        );
        decode(line.as_bytes()).map_err(|error| anyhow::anyhow!("{line}: {error:?}"))
    });
    let ticks = ticks.collect::<Result<Vec<Tick>>>()?;
    Ok(ticks.chunks(batch).map(WireSample::of).collect())
}
