//! The logs that are settled, generated once from fixed seeds with the same bytes on every machine.
//!
//! A log is a folder with one JSONL file for each of four partitions. A symbol's ticks are all in
//! one partition. Symbols are assigned in turn, so that partitions have equal sizes.

use anyhow::{Context, Result};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use tallow_connectors::feeds::simulator::{Disorder, DisorderSettings, Simulator, SimulatorSettings};
use tallow_model::feed::{decimal, write_decimal};
use tallow_model::{Decimal, MINUTE_MS, Symbol};

/// Number of partitions of a log.
const PARTITIONS: usize = 4;
/// The start of a log: 2025-11-16T05:30:00Z.
const START_MS: u64 = 1_763_271_000_000;
/// Version of the logs' bytes, increased with every change, so that old files are not used.
const EDITION: u32 = 1;

/// A log to be settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Log {
    /// 5 million trades of 100 symbols over 6 hours, 2 % of them up to 8 s out of order and 0.1 %
    /// later than the watermark. It shows the cost of a tick.
    Ticks,
    /// 100,000 symbols with one tick a minute each for an hour, in order. It shows the cost of a
    /// symbol-minute.
    Symbols,
}

impl Log {
    /// All the logs.
    pub const ALL: [Log; 2] = [Log::Ticks, Log::Symbols];

    /// Returns the description of the log for the table.
    pub fn title(self) -> &'static str {
        match self {
            Log::Ticks => "5,000,000 ticks, 100 symbols, 6 hours, 2 % out of order, 0.1 % late",
            Log::Symbols => "6,000,000 ticks, 100,000 symbols, one tick a minute each, 1 hour",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Log::Ticks => "ticks",
            Log::Symbols => "symbols",
        }
    }

    /// Returns the partitions' files in `folder`, and generates them if they are missing.
    ///
    /// # Errors
    /// Returns an error if the files can't be written.
    pub fn files(self, folder: &Path) -> Result<Vec<PathBuf>> {
        let log = folder.join(format!("{}-{EDITION}", self.name()));
        let files = (0..PARTITIONS).map(|i| log.join(format!("partition-{i}.jsonl"))).collect();
        if log.is_dir() {
            return Ok(files);
        }
        // The log has another name until it is complete, so that an interrupted run leaves no
        // partial log.
        let unfinished = log.with_extension("unfinished");
        std::fs::create_dir_all(&unfinished).with_context(|| format!("create {}", unfinished.display()))?;
        let mut writer = LogWriter::create(&unfinished)?;
        match self {
            Log::Ticks => write_ticks(&mut writer),
            Log::Symbols => write_symbols(&mut writer),
        }
        .and_then(|()| writer.finish())
        .with_context(|| format!("write {}", unfinished.display()))?;
        std::fs::rename(&unfinished, &log).with_context(|| format!("rename to {}", log.display()))?;
        Ok(files)
    }
}

/// The open files of a log.
struct LogWriter {
    files: Vec<BufWriter<File>>,
    line: Vec<u8>,
}

/// The fields of a tick's line.
struct Line<'a> {
    symbol: &'a str,
    time_ms: u64,
    price: Decimal,
    size: Decimal,
    trade_id: u64,
    side: &'static str,
}

impl LogWriter {
    fn create(folder: &Path) -> Result<LogWriter> {
        let files = (0..PARTITIONS).map(|i| {
            let path = folder.join(format!("partition-{i}.jsonl"));
            let file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
            Ok(BufWriter::with_capacity(1 << 20, file))
        });
        Ok(LogWriter { files: files.collect::<Result<_>>()?, line: Vec::new() })
    }

    /// Writes a tick of the symbol with this number: the fields of the API contract, in about 150
    /// bytes.
    fn write(&mut self, number: usize, tick: &Line<'_>) -> Result<()> {
        let line = &mut self.line;
        line.clear();
        for part in ["{\"symbol\":\"", tick.symbol, "\",\"price_usd\":"] {
            line.extend_from_slice(part.as_bytes());
        }
        write_decimal(&tick.price, line);
        line.extend_from_slice(b",\"size\":");
        write_decimal(&tick.size, line);
        line.extend_from_slice(b",\"trade_id\":");
        line.extend_from_slice(itoa::Buffer::new().format(tick.trade_id).as_bytes());
        line.extend_from_slice(b",\"timestamp\":");
        line.extend_from_slice(itoa::Buffer::new().format(tick.time_ms).as_bytes());
        for part in [",\"side\":\"", tick.side, "\",\"producer_id\":\"tallow-simulator\"}\n"] {
            line.extend_from_slice(part.as_bytes());
        }
        self.files[number % PARTITIONS].write_all(line)?;
        Ok(())
    }

    fn finish(self) -> Result<()> {
        for file in self.files {
            file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
        }
        Ok(())
    }
}

fn write_ticks(writer: &mut LogWriter) -> Result<()> {
    const TICKS: u64 = 5_000_000;
    const SYMBOLS: usize = 100;
    const SECONDS: f64 = 6.0 * 3_600.0;
    let names = (0..SYMBOLS).map(|i| format!("COIN{i:03}")).collect::<Vec<_>>();
    let symbols = names.iter().map(|name| name.parse()).collect::<Result<Vec<Symbol>, _>>()?;
    let market = SimulatorSettings {
        seed: 1,
        symbols: symbols.clone(),
        trades_per_second: TICKS as f64 / SYMBOLS as f64 / SECONDS,
        longest_gap_ms: None,
        ..SimulatorSettings::default()
    };
    let market = Simulator::open(&market, START_MS)?;
    let mut feed = Disorder::try_new(DisorderSettings::default(), market)?;
    let (mut written, mut until_ms, mut arrivals) = (0, START_MS, Vec::new());
    // The log ends by the number of ticks and not by the hour, because the market's pace is random.
    while written < TICKS {
        until_ms += MINUTE_MS;
        feed.arrivals_until(until_ms, &mut arrivals);
        for arrival in arrivals.drain(..).take((TICKS - written) as usize) {
            let tick = &arrival.tick;
            let number = symbols.binary_search(&tick.symbol).unwrap_or_else(|place| place);
            let line = Line {
                symbol: &tick.symbol.text(),
                time_ms: tick.time.millis(),
                price: tick.price,
                size: tick.size,
                trade_id: tick.trade_id,
                side: tick.side.name(),
            };
            writer.write(number, &line)?;
            written += 1;
        }
    }
    Ok(())
}

fn write_symbols(writer: &mut LogWriter) -> Result<()> {
    const SYMBOLS: usize = 100_000;
    const MINUTES: u64 = 60;
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let names: Vec<String> = (0..SYMBOLS).map(|i| format!("S{i:05}")).collect();
    // Each symbol has its own millisecond of the minute. Prices go from 10 to 1000 in steps of
    // 10⁻⁴.
    let mut phases: Vec<(u64, usize)> = (0..SYMBOLS).map(|i| (rng.random_range(0..MINUTE_MS), i)).collect();
    phases.sort_unstable();
    let mut prices: Vec<f64> = (0..SYMBOLS).map(|_| rng.random_range(1e5..1e7)).collect();
    for minute in 0..MINUTES {
        for &(phase, number) in &phases {
            let normal: f64 = rng.sample(StandardNormal);
            prices[number] *= 1.0 + 0.001 * normal;
            let line = Line {
                symbol: &names[number],
                time_ms: START_MS + minute * MINUTE_MS + phase,
                price: decimal(prices[number].round().max(1.0) as u64, 4),
                size: decimal(rng.random_range(1..10_000_000), 6),
                trade_id: minute,
                side: if normal > 0.0 { "buy" } else { "sell" },
            };
            writer.write(number, &line)?;
        }
    }
    Ok(())
}
