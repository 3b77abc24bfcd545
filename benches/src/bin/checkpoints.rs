//! `checkpoint-bench`: the cost of checkpoints. Their size and duration, the speed of settling a
//! log with and without them, and the time for which the frontier stands still while one is
//! written.
//!
//! The log is in memory. For the frontier, the log is replayed until the state has its full size,
//! and then at a fixed pace. The time from the record that lets the frontier move to the step with
//! that frontier is measured at every step; steps while a checkpoint is encoded and stored are
//! counted apart. Checkpoints are taken at times that are no ends of minutes, because closing a
//! minute takes time with or without checkpoints.

use anyhow::{Context, Result, anyhow};
use clap::Parser;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tallow_benches::report::spread;
use tallow_dataflow::{CheckpointPart, CheckpointPolicy, Output, Settings, WorkerIo, run};
use tallow_model::clock::SystemClock;
use tallow_model::{
    LiveCandle, MINUTE_MS, PartitionProgress, PartitionReader, ReadStatus, Record, Reject, Step, next_second,
};
use tallow_runtime::checkpoint::{
    CheckpointConfig, CheckpointStatus, CheckpointStore, CheckpointWriter, Origin, WriterSettings,
};

/// The start of the log, a full hour.
const START_MS: u64 = 1_763_272_800_000;
/// Number of partitions of the log.
const PARTITIONS: usize = 4;

/// Measures the cost of checkpoints.
#[derive(Parser)]
struct Arguments {
    /// Number of measurements of each throughput
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Time for which the frontier is watched, in seconds
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Speed of event time relative to the clock while the frontier is watched
    #[arg(long, default_value_t = 20)]
    speed: u64,
    /// Folder for the checkpoints
    #[arg(long, default_value = "target/bench")]
    data: std::path::PathBuf,
}

/// The size of a log: symbols, minutes, and ticks per symbol and minute.
#[derive(Clone, Copy)]
struct Shape {
    symbols: u64,
    ticks: u64,
    minutes: u64,
}

/// One partition of a log.
struct Partition {
    number: u32,
    bytes: Vec<u8>,
    /// The end of each line, and its event time.
    lines: Vec<(usize, u64)>,
}

/// Generates a log in order of time.
fn make(shape: Shape) -> Vec<Arc<Partition>> {
    let mut partitions: Vec<Partition> = (0..PARTITIONS as u32)
        .map(|number| Partition { number, bytes: Vec::new(), lines: Vec::new() })
        .collect();
    let mut seed = 1u64;
    for minute in 0..shape.minutes {
        for tick in 0..shape.symbols * shape.ticks {
            let symbol = tick % shape.symbols;
            let ms = START_MS + minute * MINUTE_MS + tick * MINUTE_MS / (shape.symbols * shape.ticks);
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let price = 1_000 + symbol % 100 + (seed >> 60);
            let partition = &mut partitions[symbol as usize % PARTITIONS];
            let line = format!(
                r#"{{"symbol":"S{symbol:05}","price_usd":{price}.{:02},"size":0.{:03},"timestamp":{ms}}}"#,
                (seed >> 40) % 100,
                1 + (seed >> 30) % 999
            );
            partition.bytes.extend_from_slice(line.as_bytes());
            partition.lines.push((partition.bytes.len(), ms));
        }
    }
    partitions.into_iter().map(Arc::new).collect()
}

/// Start of the paced part of a log.
struct Pace {
    from_ms: u64,
    speed: u64,
    started: OnceLock<Instant>,
}

/// Times at which each partition let the frontier move, with the frontier.
type Offered = Arc<Mutex<Vec<Vec<(u64, Instant)>>>>;

/// Reader of one partition.
struct Reader {
    partition: Arc<Partition>,
    next: usize,
    pace: Option<Arc<Pace>>,
    offered: Offered,
    newest: u64,
}

impl PartitionReader for Reader {
    fn partition(&self) -> u32 {
        self.partition.number
    }

    fn read(&mut self, limit: usize, visit: &mut dyn FnMut(Record<'_>)) -> ReadStatus {
        let partition = Arc::clone(&self.partition);
        for _ in 0..limit {
            let Some((end, time)) = partition.lines.get(self.next).copied() else {
                return ReadStatus::Finished;
            };
            if let Some(pace) = self.pace.as_ref().filter(|pace| time >= pace.from_ms) {
                let started = *pace.started.get_or_init(Instant::now);
                if started.elapsed().as_millis() as u64 * pace.speed < time - pace.from_ms {
                    return ReadStatus::CaughtUp;
                }
                let frontier = next_second(time - Settings::default().max_out_of_orderness_ms);
                if frontier > self.newest {
                    self.newest = frontier;
                    let mut offered = self.offered.lock().unwrap_or_else(PoisonError::into_inner);
                    offered[partition.number as usize].push((frontier, Instant::now()));
                }
            }
            let start = self.next.checked_sub(1).map_or(0, |before| partition.lines[before].0);
            let payload = Some(&partition.bytes[start..end]);
            visit(Record { offset: self.next as u64, log_time: None, payload });
            self.next += 1;
        }
        ReadStatus::More
    }
}

/// Delays of the frontier.
#[derive(Default)]
struct Stalls {
    /// Delays while a checkpoint was written, in milliseconds.
    writing: Vec<f64>,
    /// Delays while none was written, in milliseconds.
    idle: Vec<f64>,
}

/// Output that submits parts and measures the delays.
struct Watching {
    writer: Option<Arc<CheckpointWriter>>,
    submitted: u64,
    offered: Offered,
    stalls: Arc<Mutex<Stalls>>,
}

impl Output for Watching {
    fn settled(&mut self, step: Step) {
        let now = Instant::now();
        let Some(frontier) = step.frontier.filter(|_| step.candles.is_empty()) else { return };
        let offered = self.offered.lock().unwrap_or_else(PoisonError::into_inner);
        let first = |moves: &Vec<(u64, Instant)>| {
            let place = moves.partition_point(|(reached, _)| *reached < frontier.millis());
            moves.get(place).filter(|_| place > 0).map(|(_, at)| *at)
        };
        let Some(at) =
            offered.iter().map(first).collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max())
        else {
            return;
        };
        let milliseconds = (now - at).as_secs_f64() * 1_000.0;
        let is_writing = self.writer.as_ref().is_some_and(|writer| {
            let CheckpointStatus { written, given_up, .. } = writer.status();
            self.submitted > written + given_up
        });
        let mut stalls = self.stalls.lock().unwrap_or_else(PoisonError::into_inner);
        if is_writing { &mut stalls.writing } else { &mut stalls.idle }.push(milliseconds);
    }
    fn live(&mut self, _candles: Vec<LiveCandle>) {}
    fn rejected(&mut self, _rejects: Vec<Reject>) {}
    fn progress(&mut self, _partitions: &[PartitionProgress]) {}
    fn failed(&mut self, _partition: u32, _message: String) {}
    fn checkpoint(&mut self, part: CheckpointPart) {
        if let Some(writer) = &self.writer {
            self.submitted += 1;
            // A refused part shows in the figures, as no checkpoint would be written.
            let _ = writer.submit(part, Vec::new());
        }
    }
    fn is_full(&self) -> bool {
        false
    }
}

/// Outcome of a run.
struct Outcome {
    seconds: f64,
    stalls: Stalls,
    status: CheckpointStatus,
}

/// Settles a log with one worker, without checkpoints or with one every `interval_ms` of event
/// time.
fn settle(
    log: &[Arc<Partition>],
    interval_ms: Option<u64>,
    pace: Option<(u64, u64)>,
    data: &Path,
) -> Result<Outcome> {
    std::fs::create_dir_all(data)?;
    let folder = tempfile::tempdir_in(data)?;
    let settings = Settings::default();
    let config =
        CheckpointConfig { url: format!("file:{}", folder.path().display()), ..CheckpointConfig::default() };
    let writer = match interval_ms {
        Some(_) => {
            let store = CheckpointStore::open(&config, Origin::of("bench".to_owned(), &settings))?;
            Some(Arc::new(CheckpointWriter::start(store, WriterSettings::of(&config, 0..1))?))
        }
        None => None,
    };
    let policy = writer.clone().zip(interval_ms).map(|(writer, interval_ms)| CheckpointPolicy {
        interval_ms,
        run: 1,
        may_begin: Arc::new(move || writer.may_begin()),
    });
    let pace = pace.map(|(from_ms, speed)| Arc::new(Pace { from_ms, speed, started: OnceLock::new() }));
    let offered = Offered::new(Mutex::new(vec![Vec::new(); PARTITIONS]));
    let stalls = Arc::<Mutex<Stalls>>::default();
    let readers: Vec<Reader> = log
        .iter()
        .map(|partition| Reader {
            partition: Arc::clone(partition),
            next: 0,
            pace: pace.clone(),
            offered: Arc::clone(&offered),
            newest: 0,
        })
        .collect();
    let readers = Mutex::new(Some(readers));
    let start = Instant::now();
    run(1, &settings, Arc::default(), {
        let (writer, stalls) = (writer.clone(), Arc::clone(&stalls));
        move |_, _| {
            let own = readers.lock().unwrap_or_else(PoisonError::into_inner).take();
            WorkerIo {
                readers: own
                    .into_iter()
                    .flatten()
                    .map(|it| Box::new(it) as Box<dyn PartitionReader>)
                    .collect(),
                arrivals: None,
                output: Box::new(Watching {
                    writer: writer.clone(),
                    submitted: 0,
                    offered: Arc::clone(&offered),
                    stalls: Arc::clone(&stalls),
                }),
                clock: Arc::new(SystemClock),
                checkpoints: policy.clone(),
                restore: None,
            }
        }
    })?;
    let seconds = start.elapsed().as_secs_f64();
    let status = match writer {
        Some(writer) => {
            writer.close(Duration::from_secs(30))?;
            writer.status()
        }
        None => CheckpointStatus::default(),
    };
    let stalls = std::mem::take(&mut *stalls.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Outcome { seconds, stalls, status })
}

/// Formats the least, the median and the greatest value.
fn show(figures: &[f64], places: usize) -> String {
    let [least, median, most] = spread(figures.iter().copied());
    format!("{least:.places$} .. {median:.places$} .. {most:.places$}")
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut out = std::io::stdout().lock();
    for (shape, title) in [
        (Shape { symbols: 8, ticks: 1_200, minutes: 360 }, "8 symbols, 20 ticks a second each, 6 hours"),
        (
            Shape { symbols: 10_000, ticks: 1, minutes: 180 },
            "10,000 symbols, one tick a minute each, 3 hours",
        ),
    ] {
        let log = make(shape);
        let ticks = (shape.symbols * shape.ticks * shape.minutes) as f64;
        let (mut without, mut with, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        let mut last = CheckpointStatus::default();
        for _ in 0..arguments.runs {
            let off = ticks / settle(&log, None, None, &arguments.data)?.seconds;
            let on = settle(&log, Some(60_000), None, &arguments.data)?;
            last = on.status;
            without.push(off);
            with.push(ticks / on.seconds);
            ratios.push(ticks / on.seconds / off);
        }
        writeln!(out, "{title}, {} runs", arguments.runs)?;
        writeln!(out, "  ticks/s without checkpoints   {}", show(&without, 0))?;
        writeln!(out, "  ticks/s with checkpoints      {}", show(&with, 0))?;
        writeln!(out, "  with / without                {}", show(&ratios, 2))?;
        writeln!(
            out,
            "  the last run took {} checkpoints; the last of them: {} bytes, {:.0} ms to encode, {:.0} ms until stored",
            last.written,
            last.bytes,
            last.encoding.as_secs_f64() * 1_000.0,
            last.duration.as_secs_f64() * 1_000.0,
        )?;
    }
    let settled = 120;
    let paced = arguments.seconds * arguments.speed / 60 + 1;
    let log = make(Shape { symbols: 10_000, ticks: 1, minutes: settled + paced });
    let from = START_MS + settled * MINUTE_MS;
    // An interval that is no multiple of a minute, and short enough for many checkpoints.
    let outcome = settle(&log, Some(71_000), Some((from, arguments.speed)), &arguments.data)?;
    writeln!(
        out,
        "frontier at 10,000 symbols and {} times the clock's pace, {} checkpoints: from the record that lets it move to the step, ms",
        arguments.speed, outcome.status.written
    )?;
    for (what, mut times) in
        [("while one is written", outcome.stalls.writing), ("otherwise", outcome.stalls.idle)]
    {
        times.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| times.get(((times.len().max(1) - 1) as f64 * share).round() as usize).copied();
        let (p50, p99) = at(0.5).zip(at(0.99)).with_context(|| anyhow!("no step {what}"))?;
        let most = at(1.0).unwrap_or(p99);
        writeln!(out, "  {what:<22} {} steps: p50 {p50:.2}, p99 {p99:.2}, max {most:.2}", times.len())?;
    }
    Ok(())
}
