//! Tallow itself: the graph over a bounded log, whose settled output is only counted.

use crate::totals::Totals;
use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tallow_connectors::logs::file::FileReader;
use tallow_dataflow::{Output, Settings, WorkerIo, run};
use tallow_model::clock::SystemClock;
use tallow_model::{Counts, LiveCandle, PartitionProgress, PartitionReader, Reject, Step};

/// State shared by the workers: the totals of finished workers, and failures.
#[derive(Default)]
struct Shared {
    totals: Totals,
    failures: Vec<String>,
}

/// One worker's output. It counts alone, and adds its totals when the worker is done.
struct Counting {
    totals: Totals,
    partitions: BTreeMap<u32, Counts>,
    shared: Arc<Mutex<Shared>>,
}

impl Output for Counting {
    fn settled(&mut self, step: Step) {
        step.candles.iter().for_each(|candle| self.totals.candle(candle));
        step.alerts.iter().for_each(|alert| self.totals.alert(alert));
    }
    fn live(&mut self, _candles: Vec<LiveCandle>) {}
    fn rejected(&mut self, _rejects: Vec<Reject>) {}
    fn progress(&mut self, partitions: &[PartitionProgress]) {
        self.partitions.extend(partitions.iter().map(|progress| (progress.partition, progress.counts)));
    }
    fn failed(&mut self, partition: u32, message: String) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.failures.push(format!("partition {partition}: {message}"));
    }
    fn is_full(&self) -> bool {
        false
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        let mut totals = std::mem::take(&mut self.totals);
        self.partitions.values().for_each(|counts| totals.records.add(counts));
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).totals.merge(totals);
    }
}

/// The readers of one worker.
pub type Readers = Vec<Box<dyn PartitionReader + Send>>;

/// Creates the readers of `workers` workers over the files of a log, one partition a file.
///
/// # Errors
/// Returns an error if a file can't be read.
pub fn of_files(log: &[PathBuf], workers: usize) -> Result<Vec<Readers>> {
    let mut readers: Vec<Readers> = Vec::new();
    readers.resize_with(workers, Vec::new);
    for (partition, file) in (0u32..).zip(log) {
        readers[partition as usize % workers].push(Box::new(FileReader::open(file, partition)?));
    }
    Ok(readers)
}

/// Settles a log with one worker per entry of `readers`.
///
/// # Errors
/// Returns an error if a partition can't be read to its end or a worker fails.
pub fn settle(readers: Vec<Readers>, settings: &Settings) -> Result<Totals> {
    let workers = readers.len();
    let readers = Mutex::new(readers);
    let shared = Arc::<Mutex<Shared>>::default();
    let results = Arc::clone(&shared);
    run(workers, settings, Arc::default(), move |index, _| {
        let own = std::mem::take(&mut readers.lock().unwrap_or_else(PoisonError::into_inner)[index]);
        WorkerIo {
            readers: own.into_iter().map(|reader| reader as Box<dyn PartitionReader>).collect(),
            arrivals: None,
            output: Box::new(Counting {
                totals: Totals::default(),
                partitions: BTreeMap::new(),
                shared: Arc::clone(&results),
            }),
            clock: Arc::new(SystemClock),
            checkpoints: None,
            restore: None,
        }
    })?;
    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(failure) = shared.failures.first() {
        bail!("{failure}");
    }
    Ok(std::mem::take(&mut shared.totals))
}
