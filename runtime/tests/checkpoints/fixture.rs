//! Parts to write, and a writer of them.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};
use tallow_dataflow::{CheckpointId, ResumePoint, RetainedReturn, State};
use tallow_model::retry::BackoffSettings;
use tallow_model::{Counts, EventTime, MINUTE_MS, Price};
use tallow_runtime::checkpoint::{
    CheckpointConfig, CheckpointStore, CheckpointWriter, Found, Origin, PartHead, WriterSettings,
};
pub(crate) use tallow_testing::wait::LIMIT as PATIENCE;

/// A part that is put together by hand instead of by a graph.
pub(crate) type Part = (PartHead, Vec<State>);

pub(crate) fn origin() -> Origin {
    let meaning = [("rules", "1"), ("anomalies.threshold", "4"), ("anomalies.min_samples", "20")];
    let meaning = meaning.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    Origin { source: "kafka:crypto-prices".to_owned(), meaning }
}

/// A store in a folder.
pub(crate) fn store_in(folder: &Path) -> CheckpointStore {
    CheckpointStore::open(&config_of(folder), origin()).unwrap()
}

pub(crate) fn config_of(folder: &Path) -> CheckpointConfig {
    CheckpointConfig { url: format!("file:{}", folder.display()), ..CheckpointConfig::default() }
}

pub(crate) fn id(minute: u64) -> CheckpointId {
    CheckpointId { frontier: EventTime(minute * MINUTE_MS), run: 1 << 100 }
}

/// A part with rows and a partition that no other part of the checkpoint has, in two pieces.
pub(crate) fn part(id: CheckpointId, worker: usize, workers: usize) -> Part {
    let price = Price(worker as f64 + 1.0);
    let piece = |half: u64| State {
        returns: (0..20)
            .map(|minute| RetainedReturn {
                symbol: format!("COIN{worker}").parse().unwrap(),
                start: EventTime((half * 20 + minute) * MINUTE_MS),
                open: price,
                close: price,
                previous_close: Some(price),
                revision: u32::try_from(id.frontier.0 / MINUTE_MS).unwrap(),
            })
            .collect(),
        ..State::default()
    };
    let partition = ResumePoint {
        partition: u32::try_from(worker).unwrap(),
        offset: id.frontier.0,
        unsettled_from: id.frontier.0 + 1,
        idle: false,
        max_event_time: Some(id.frontier),
        counts: Counts::default(),
    };
    let head = PartHead { id, worker, workers, partitions: vec![partition] };
    (head, vec![piece(0), piece(1)])
}

pub(crate) fn settings(workers: Range<usize>) -> WriterSettings {
    let backoff = BackoffSettings { first: Duration::from_millis(1), longest: Duration::from_millis(5) };
    let config = CheckpointConfig { min_pause_ms: 0, ..CheckpointConfig::default() };
    WriterSettings { backoff, ..WriterSettings::of(&config, workers) }
}

pub(crate) fn writer(store: &CheckpointStore, workers: Range<usize>) -> CheckpointWriter {
    CheckpointWriter::start(store.clone(), settings(workers)).unwrap()
}

/// Writes all parts of a checkpoint.
pub(crate) fn write(store: &CheckpointStore, id: CheckpointId, workers: usize) {
    write_parts(store, id, 0..workers, workers);
}

/// Writes some parts of a checkpoint, by a process that has those workers.
pub(crate) fn write_parts(store: &CheckpointStore, id: CheckpointId, of: Range<usize>, workers: usize) {
    let writer = writer(store, of.clone());
    for worker in of {
        writer.submit(part(id, worker, workers), Vec::new()).unwrap();
    }
    writer.close(PATIENCE).unwrap();
}

/// Asserts that all shares together are what was written, nothing twice, whoever takes them up.
pub(crate) fn assert_shares(found: &Found, id: CheckpointId, workers: usize) {
    assert_eq!((found.id, found.parts), (id, workers));
    let partitions: Vec<ResumePoint> =
        (0..workers).flat_map(|worker| part(id, worker, workers).0.partitions).collect();
    assert_eq!(found.partitions, partitions);
    let key = |row: &RetainedReturn| (row.symbol, row.start, row.open, row.revision);
    let rows = |state: &State| state.returns.iter().map(key).collect::<Vec<_>>();
    let written: BTreeSet<_> =
        (0..workers).flat_map(|worker| part(id, worker, workers).1).flat_map(|piece| rows(&piece)).collect();
    for of in 1..=workers + 2 {
        let shares: Vec<State> = (0..of).map(|index| found.share(index, of).unwrap()).collect();
        let read: Vec<_> = shares.iter().flat_map(rows).collect();
        assert_eq!(read.len(), written.len(), "{of} workers");
        assert_eq!(read.into_iter().collect::<BTreeSet<_>>(), written, "{of} workers");
    }
}

/// The checkpoint that a start would take up.
pub(crate) fn newest(store: &CheckpointStore) -> Option<CheckpointId> {
    store.newest().unwrap().map(|found| found.id)
}

/// Asks again and again until there is an answer.
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

/// Waits until so many checkpoints of this process have been stored.
pub(crate) fn until_written(writer: &CheckpointWriter, written: u64) {
    until("the checkpoint is stored", || (writer.status().written == written).then_some(()));
}

/// Waits until the writer says that it is in this trouble.
pub(crate) fn until_problem(writer: &CheckpointWriter, words: &str) -> String {
    until(words, || writer.status().problem.filter(|problem| problem.contains(words)))
}
