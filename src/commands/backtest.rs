//! `tallow backtest`: settles files, or a range of a topic, as fast as it goes and writes the results into a folder.
//!
//! Each file is a partition, numbered as it stands on the command line; partition *i* is read by worker *i* modulo the
//! number of workers. The workers hand what they settle to one collecting thread, which writes. What comes out depends
//! on the records and the settings alone.

mod collector;
mod outlet;
mod report;

use crate::cli::BacktestFlags;
use crate::config::Config;
use anyhow::{Context, anyhow, bail};
use collector::{Collected, Collector};
use outlet::{Channel, ChannelOutlet};
use report::Progress;
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

/// What is read.
struct Input {
    partitions: Partitions,
    /// How many records it has, at most, where that is known before they are read.
    records: Option<u64>,
}

/// Runs the command until everything is written or `stop` is set, after which nothing is.
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
    let collector = Collector::new(export, received, Progress::start(started, records));
    let collecting = {
        let stop = Arc::clone(&stop);
        std::thread::Builder::new()
            .name("collect".to_owned())
            .spawn(move || collector.collect(&stop))
            .context("start thread collect")?
    };
    let ran = settle(workers, &settings, partitions, channel, Arc::clone(&stop));
    let collected = collecting.join().map_err(|_| anyhow!("the collecting thread has panicked"))?;
    // What can't be written stops the workers, so it comes before whatever they say.
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

/// Opens every file before anything starts, so that a missing one costs nothing.
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

/// Runs the graph to the end of its input. When this returns, every sender of the channel is gone.
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
