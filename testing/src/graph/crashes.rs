//! Runs that are stopped at any moment and restored from checkpoints.

use super::memory::{Collector, MockClock, Outcome, Random, wait_for};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tallow_dataflow::{
    CheckpointId, CheckpointPart, CheckpointPolicy, Output, Restore, ResumePoint, Settings, State, WorkerIo,
    run,
};
use tallow_model::{
    Counts, LiveCandle, PartitionProgress, PartitionReader, ReadStatus, Record, Reject, Step,
};

/// The parts of a checkpoint that have been taken so far.
#[derive(Clone, Default)]
pub struct Parts {
    /// The number of workers whose parts make the checkpoint complete.
    pub workers: usize,
    /// The resume points of all partitions.
    pub partitions: Vec<ResumePoint>,
    /// The state of each part.
    pub states: Vec<State>,
}

impl Parts {
    fn is_complete(&self) -> bool {
        self.states.len() == self.workers
    }

    /// Returns the whole state, sorted.
    pub fn state(&self) -> State {
        let mut whole = State::default();
        for state in &self.states {
            whole.minutes.extend(&state.minutes);
            whole.returns.extend(&state.returns);
            whole.rollups.extend(&state.rollups);
        }
        whole.minutes.sort_unstable_by_key(|row| (row.symbol, row.start));
        whole.returns.sort_unstable_by_key(|row| (row.symbol, row.start));
        whole.rollups.sort_unstable();
        whole
    }
}

/// Storage for the checkpoints of all runs.
#[derive(Clone, Default)]
pub struct Vault(Arc<Mutex<BTreeMap<CheckpointId, Parts>>>);

impl Vault {
    /// Returns the newest complete checkpoint.
    pub fn newest(&self) -> Option<(CheckpointId, Parts)> {
        let parts = self.0.lock().unwrap();
        parts.iter().rev().find(|(_, parts)| parts.is_complete()).map(|(id, parts)| (*id, parts.clone()))
    }

    /// Returns all complete checkpoints.
    pub fn complete(&self) -> BTreeMap<CheckpointId, Parts> {
        let parts = self.0.lock().unwrap();
        parts
            .iter()
            .filter(|(_, parts)| parts.is_complete())
            .map(|(id, parts)| (*id, parts.clone()))
            .collect()
    }

    fn put(&self, part: &CheckpointPart) {
        let mut all = self.0.lock().unwrap();
        let parts = all.entry(part.id).or_default();
        parts.workers = part.workers;
        parts.partitions.extend(&part.partitions);
        let mut whole = State::default();
        let taken: Result<(), ()> = part.for_each_piece(|piece| {
            whole.minutes.extend(piece.minutes);
            whole.returns.extend(piece.returns);
            whole.rollups.extend(piece.rollups);
            Ok(())
        });
        taken.unwrap();
        assert_eq!(part.rows(), whole.minutes.len() + whole.returns.len() + whole.rollups.len());
        parts.states.push(whole);
    }
}

/// An output that collects results and puts parts into the vault.
struct Keeper {
    collector: Collector,
    vault: Vault,
}

impl Output for Keeper {
    fn settled(&mut self, step: Step) {
        self.collector.settled(step);
    }
    fn live(&mut self, candles: Vec<LiveCandle>) {
        self.collector.live(candles);
    }
    fn rejected(&mut self, rejects: Vec<Reject>) {
        self.collector.rejected(rejects);
    }
    fn progress(&mut self, partitions: &[PartitionProgress]) {
        self.collector.progress(partitions);
    }
    fn failed(&mut self, partition: u32, message: String) {
        self.collector.failed(partition, message);
    }
    fn checkpoint(&mut self, part: CheckpointPart) {
        self.vault.put(&part);
    }
    fn is_full(&self) -> bool {
        self.collector.is_full()
    }
}

/// A reader of lines whose offsets are their numbers, from any offset up to a limit that moves.
struct Lines {
    partition: u32,
    lines: Arc<Vec<String>>,
    next: u64,
    limit: Arc<AtomicU64>,
    ends: bool,
    read: Arc<AtomicU64>,
}

impl PartitionReader for Lines {
    fn partition(&self) -> u32 {
        self.partition
    }
    fn read(&mut self, limit: usize, visit: &mut dyn FnMut(Record<'_>)) -> ReadStatus {
        let until = self.limit.load(Ordering::SeqCst).min(self.lines.len() as u64);
        for _ in 0..limit {
            if self.next >= until {
                self.read.store(self.next, Ordering::SeqCst);
                return if self.ends { ReadStatus::Finished } else { ReadStatus::CaughtUp };
            }
            let payload = Some(self.lines[self.next as usize].as_bytes());
            visit(Record { offset: self.next, log_time: None, payload });
            self.next += 1;
        }
        ReadStatus::More
    }
}

/// A log, and the results of all runs over it.
pub struct Crashes {
    /// The settings of every run.
    pub settings: Settings,
    /// The clock of every run.
    pub clock: Arc<MockClock>,
    lines: Vec<Arc<Vec<String>>>,
    /// The checkpoints of all runs.
    pub vault: Vault,
    runs: Vec<Collector>,
}

/// One run over the log on its own threads.
pub struct Running {
    collector: Collector,
    workers: usize,
    limits: Vec<Arc<AtomicU64>>,
    read: Vec<Arc<AtomicU64>>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Running {
    /// Stops the run, so that a failed test leaves no threads behind.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

impl Running {
    /// Makes the first `limits` lines of each partition readable.
    pub fn offer(&self, limits: &[u64]) {
        for (limit, to) in self.limits.iter().zip(limits) {
            limit.store(*to, Ordering::SeqCst);
        }
    }

    /// Waits until the first `limits` lines of each partition have been read.
    pub fn reads(&self, limits: &[u64]) {
        wait_for("the lines to be read", || {
            self.read.iter().zip(limits).all(|(read, limit)| read.load(Ordering::SeqCst) >= *limit)
        });
    }

    /// Waits until everything before `frontier` has settled.
    pub fn settles(&self, frontier: u64) {
        wait_for("the frontier", || self.collector.frontier(self.workers) >= frontier);
    }

    /// Stops the run where it is.
    pub fn stop(mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Crashes {
    /// Makes a log of these lines for each partition, over which nothing has run yet.
    pub fn over(lines: &[Vec<String>], settings: &Settings) -> Crashes {
        Crashes {
            settings: settings.clone(),
            clock: Arc::new(MockClock::new(4_000_000_000_000)),
            lines: lines.iter().cloned().map(Arc::new).collect(),
            vault: Vault::default(),
            runs: Vec::new(),
        }
    }

    /// Starts a run from the newest checkpoint. The first `lines` lines of each partition are
    /// readable from the start: a partition that got its lines later would be idle first, and its
    /// lines late.
    pub fn start(&mut self, workers: usize, interval_ms: u64, lines: &[u64]) -> Running {
        self.run(workers, interval_ms, lines, false)
    }

    /// Runs from the newest checkpoint to the end of the log.
    pub fn finish(&mut self, workers: usize, interval_ms: u64) {
        let all = vec![u64::MAX; self.lines.len()];
        let mut running = self.run(workers, interval_ms, &all, true);
        running.thread.take().unwrap().join().unwrap();
    }

    fn run(&mut self, workers: usize, interval_ms: u64, offered: &[u64], ends: bool) -> Running {
        let collector = Collector::default();
        let restored = self.vault.newest();
        let counter = |_: &Arc<Vec<String>>| Arc::new(AtomicU64::new(0));
        let limits: Vec<_> = offered.iter().map(|limit| Arc::new(AtomicU64::new(*limit))).collect();
        let read: Vec<Arc<AtomicU64>> = self.lines.iter().map(counter).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (settings, clock) = (self.settings.clone(), Arc::clone(&self.clock));
            let (collector, vault) = (collector.clone(), self.vault.clone());
            let (lines, limits, read) = (self.lines.clone(), limits.clone(), read.clone());
            let run_number = self.runs.len() as u128;
            let stop = Arc::clone(&stop);
            move || {
                let result = run(workers, &settings, stop, move |index, peers| {
                    let restore = restored.as_ref().map(|(id, parts)| share(id, parts, index, peers));
                    let point = |partition: u32| {
                        let points = restored.iter().flat_map(|(_, parts)| &parts.partitions);
                        points.clone().find(|point| point.partition == partition).copied()
                    };
                    let open = |partition: usize| Lines {
                        partition: partition as u32,
                        lines: Arc::clone(&lines[partition]),
                        next: point(partition as u32).map_or(0, |point| point.offset),
                        limit: Arc::clone(&limits[partition]),
                        ends,
                        read: Arc::clone(&read[partition]),
                    };
                    let own = (0..lines.len()).filter(|partition| partition % peers == index);
                    WorkerIo {
                        readers: own.map(|it| Box::new(open(it)) as Box<dyn PartitionReader>).collect(),
                        arrivals: None,
                        output: Box::new(Keeper { collector: collector.clone(), vault: vault.clone() }),
                        clock: Arc::clone(&clock) as Arc<_>,
                        checkpoints: Some(CheckpointPolicy {
                            interval_ms,
                            run: run_number,
                            may_begin: Arc::new(|| true),
                        }),
                        restore,
                    }
                });
                result.unwrap();
            }
        });
        self.runs.push(collector.clone());
        Running { collector, workers, limits, read, stop, thread: Some(thread) }
    }

    /// Returns the results of all runs, each version once, and the counts of the last run.
    pub fn outcome(&self) -> Outcome {
        let outcomes: Vec<Outcome> = self.runs.iter().map(Collector::outcome).collect();
        let candles: BTreeSet<_> = outcomes.iter().flat_map(|it| it.candles.iter().copied()).collect();
        let alerts: BTreeSet<_> = outcomes.iter().flat_map(|it| it.alerts.iter().copied()).collect();
        let rejects = outcomes.iter().flat_map(|it| it.rejects.iter().cloned());
        let rejects: BTreeMap<_, _> = rejects.map(|it| ((it.partition, it.offset), it)).collect();
        Outcome {
            candles: candles.into_iter().collect(),
            alerts: alerts.into_iter().collect(),
            rejects: rejects.into_values().collect(),
            counts: outcomes.last().map_or(Counts::default(), |it| it.counts),
            failures: outcomes.into_iter().flat_map(|it| it.failures).collect(),
        }
        .sort()
    }

    /// Returns the results of the last run.
    pub fn last(&self) -> Outcome {
        self.runs.last().unwrap().outcome()
    }
}

/// Returns a worker's share of a checkpoint: rows scattered without regard to their symbols.
fn share(id: &CheckpointId, parts: &Parts, index: usize, peers: usize) -> Restore {
    let mut random = Random(id.frontier.millis());
    let mut mine = || random.below(peers as u64) as usize == index;
    let whole = parts.state();
    Restore {
        frontier: id.frontier,
        partitions: parts.partitions.clone(),
        state: State {
            minutes: whole.minutes.into_iter().filter(|_| mine()).collect(),
            returns: whole.returns.into_iter().filter(|_| mine()).collect(),
            rollups: whole.rollups.into_iter().filter(|_| mine()).collect(),
        },
    }
}
