//! `tallow backtest`: replays files, or a range of a topic, at full speed, and writes the results
//! to a folder.
//!
//! Each file is a partition, numbered in the order of the command line; worker *i* modulo the
//! number of workers reads partition *i*. The workers send their results to one collecting thread,
//! which writes them. The results depend on the records and the settings alone.

mod channel;
mod collector;
mod report;

use crate::cli::BacktestFlags;
use crate::config::Config;
use anyhow::{Context, anyhow, bail};
use channel::{Channel, ChannelOutlet};
use collector::{Collected, Collector};
use report::ProgressLine;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tallow_connectors::export::{Export, Run};
use tallow_connectors::logs::file::FileReader;
use tallow_connectors::logs::kafka::{KafkaRange, Reader};
use tallow_dataflow::{RunError, Settings, WorkerIo};
use tallow_model::clock::SystemClock;
use tallow_model::{Clock, PartitionReader};

/// The partitions of each worker, until it takes them.
type Partitions = Vec<Vec<Reader>>;

/// The records to replay.
struct Input {
    partitions: Partitions,
    /// The maximum number of records, if it is known before they are read.
    records: Option<u64>,
}

/// Runs the command until all results are written. If `stop` is set before, no results are written.
///
/// # Errors
/// If the input can't be opened or read to its end, the results can't be written, or `stop` is set.
pub(crate) fn run(config: &Config, flags: &BacktestFlags, stop: Arc<AtomicBool>) -> anyhow::Result<()> {
    let workers = config.dataflow.workers;
    let settings = Settings { live_interval_ms: None, ..config.graph() };
    let Input { partitions, records } = match &flags.topic {
        Some(topic) => range(&KafkaRange::resolve(&config.kafka, topic, flags.start, flags.end)?, workers)?,
        None => files(&flags.from, workers)?,
    };
    let export = Export::create(&flags.out, flags.format)?;

    let started = Instant::now();
    let (channel, received) = Channel::open(workers);
    let collector = Collector::new(export, received, ProgressLine::start(started, records));
    let collecting = {
        let stop = Arc::clone(&stop);
        std::thread::Builder::new()
            .name("collect".to_owned())
            .spawn(move || collector.collect(&stop))
            .context("start thread collect")?
    };
    let ran = settle(workers, &settings, partitions, channel, Arc::clone(&stop));
    let collected = collecting.join().map_err(|_| anyhow!("the collecting thread has panicked"))?;
    // A failed write stops the workers, so its error comes before theirs.
    let Collected { export, counts, settled_at, failures } = collected?;
    ran?;
    if stop.load(Ordering::Relaxed) {
        bail!("stopped by a signal before the end: nothing has been written to {}", flags.out.display());
    }

    let run = Run { counts, elapsed: settled_at.duration_since(started), workers };
    let summary = export.finish(&run)?;
    report::print(&summary, &flags.out);
    if failures.is_empty() { Ok(()) } else { bail!("{}", failures.join("; ")) }
}

/// Opens all files before the replay starts, so that a missing file is found at once.
fn files(files: &[PathBuf], workers: usize) -> anyhow::Result<Input> {
    let mut partitions: Partitions = (0..workers).map(|_| Vec::new()).collect();
    for (i, path) in files.iter().enumerate() {
        let partition = u32::try_from(i).context("number the partitions")?;
        partitions[i % workers].push(Box::new(FileReader::open(path, partition)?));
    }
    Ok(Input { partitions, records: None })
}

fn range(range: &KafkaRange, workers: usize) -> anyhow::Result<Input> {
    let partitions = (0..workers).map(|worker| range.worker(worker, workers));
    Ok(Input { partitions: partitions.collect::<Result<_, _>>()?, records: Some(range.records()) })
}

/// Runs the graph to the end of its input. All senders of the channel are dropped before it
/// returns.
fn settle(
    workers: usize,
    settings: &Settings,
    partitions: Partitions,
    channel: Channel,
    stop: Arc<AtomicBool>,
) -> Result<(), RunError> {
    let partitions = Mutex::new(partitions);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    tallow_dataflow::run(workers, settings, Arc::clone(&stop), move |worker, _| {
        let mut partitions = partitions.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = partitions.get_mut(worker).map(std::mem::take).unwrap_or_default();
        WorkerIo {
            readers: mine.into_iter().map(|reader| reader as Box<dyn PartitionReader>).collect(),
            arrivals: None,
            output: Box::new(ChannelOutlet::new(&channel, worker)),
            clock: Arc::clone(&clock),
            checkpoints: None,
            restore: None,
        }
    })
}
