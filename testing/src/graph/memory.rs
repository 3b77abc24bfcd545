//! Runs of the graph over records in memory, and a collector of the results.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tallow_dataflow::{AnomalySettings, Output, Settings, WorkerIo, run};
use tallow_model::{
    Clock, Counts, LiveCandle, PartitionProgress, PartitionReader, ReadStatus, Record, Reject, SettledAlert,
    SettledCandle, Step,
};

/// The results of a run, in an order that does not depend on scheduling.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Every version of every candle.
    pub candles: Vec<SettledCandle>,
    /// Every version of every alert.
    pub alerts: Vec<SettledAlert>,
    /// The records that were rejected.
    pub rejects: Vec<Reject>,
    /// The sums of the counters of all partitions.
    pub counts: Counts,
    /// The partitions that failed, each with its message.
    pub failures: Vec<String>,
}

impl Outcome {
    /// Sorts everything by symbol and time.
    pub fn sort(mut self) -> Outcome {
        self.candles.sort_unstable_by_key(|c| (c.symbol, c.interval, c.candle.window_start, c.revision));
        self.alerts.sort_unstable_by_key(|a| (a.alert.symbol, a.alert.window_start, a.settled_at));
        self.rejects.sort_unstable_by_key(|r| (r.partition, r.offset));
        self
    }
}

/// An output that collects the results of all workers.
#[derive(Clone, Default)]
pub struct Collector {
    /// The steps of all workers, in the order of arrival.
    pub steps: Arc<Mutex<Vec<Step>>>,
    /// The open candles, in the order of arrival.
    pub live: Arc<Mutex<Vec<LiveCandle>>>,
    /// The records that were rejected.
    pub rejects: Arc<Mutex<Vec<Reject>>>,
    /// The partitions that failed, each with its message.
    pub failures: Arc<Mutex<Vec<String>>>,
    /// The latest progress of each partition.
    pub progress: Arc<Mutex<std::collections::BTreeMap<u32, PartitionProgress>>>,
    /// Whether the output says that it is full.
    pub full: Arc<AtomicBool>,
}

impl Output for Collector {
    fn settled(&mut self, step: Step) {
        self.steps.lock().unwrap().push(step);
    }
    fn live(&mut self, candles: Vec<LiveCandle>) {
        self.live.lock().unwrap().extend(candles);
    }
    fn rejected(&mut self, rejects: Vec<Reject>) {
        self.rejects.lock().unwrap().extend(rejects);
    }
    fn progress(&mut self, partitions: &[PartitionProgress]) {
        self.progress.lock().unwrap().extend(partitions.iter().map(|p| (p.partition, *p)));
    }
    fn failed(&mut self, partition: u32, message: String) {
        self.failures.lock().unwrap().push(format!("{partition}: {message}"));
    }
    fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }
}

impl Collector {
    /// Returns everything that has arrived, sorted.
    pub fn outcome(&self) -> Outcome {
        let steps = self.steps.lock().unwrap();
        let mut counts = Counts::default();
        self.progress.lock().unwrap().values().for_each(|p| counts.add(&p.counts));
        Outcome {
            candles: steps.iter().flat_map(|step| step.candles.iter().copied()).collect(),
            alerts: steps.iter().flat_map(|step| step.alerts.iter().copied()).collect(),
            rejects: self.rejects.lock().unwrap().clone(),
            counts,
            failures: self.failures.lock().unwrap().clone(),
        }
        .sort()
    }

    /// Returns the least frontier of all workers.
    pub fn frontier(&self, workers: usize) -> u64 {
        let steps = self.steps.lock().unwrap();
        let of = |worker| {
            let last = steps.iter().rev().find(|step| step.worker == worker);
            last.map_or(0, |step| step.frontier.map_or(u64::MAX, |frontier| frontier.millis()))
        };
        (0..workers).map(of).min().unwrap_or(0)
    }
}

/// A clock that stands still until it is moved: at once, as when a machine has slept, or by seconds
/// that every worker sees, as when it is awake.
#[derive(Default)]
pub struct MockClock {
    now_ms: AtomicU64,
    seen_ms: Mutex<std::collections::BTreeMap<String, u64>>,
}

impl MockClock {
    /// Makes a clock that shows `now_ms`.
    pub fn new(now_ms: u64) -> MockClock {
        MockClock { now_ms: AtomicU64::new(now_ms), ..MockClock::default() }
    }
    /// Moves the clock to `now_ms` at once.
    pub fn jump_to(&self, now_ms: u64) {
        self.now_ms.store(now_ms, Ordering::SeqCst);
    }
    /// Moves the clock to `until_ms` by seconds, each of which all workers see.
    pub fn run_to(&self, until_ms: u64, workers: usize) {
        loop {
            let now_ms = self.now_ms.load(Ordering::SeqCst);
            wait_for("all workers to look at the clock", || {
                let seen_ms = self.seen_ms.lock().unwrap();
                seen_ms.values().filter(|seen_ms| **seen_ms >= now_ms).count() >= workers
            });
            if now_ms >= until_ms {
                break;
            }
            self.jump_to(until_ms.min(now_ms + 1_000));
        }
    }
}

impl Clock for MockClock {
    fn now_ms(&self) -> u64 {
        let now_ms = self.now_ms.load(Ordering::SeqCst);
        let thread = format!("{:?}", std::thread::current().id());
        self.seen_ms.lock().unwrap().insert(thread, now_ms);
        now_ms
    }
}

/// A partition in memory, to which a test appends while it is read.
#[derive(Clone, Default)]
pub struct MemoryPartition {
    /// The number of the partition.
    pub partition: u32,
    /// The payloads that have not been read; `None` is a tombstone.
    pub records: Arc<Mutex<VecDeque<Option<Vec<u8>>>>>,
    /// Whether the partition ends after its records.
    pub finished: Arc<AtomicBool>,
    /// Whether the log can't be reached.
    pub away: Arc<AtomicBool>,
    next_offset: u64,
}

impl MemoryPartition {
    /// Makes an empty partition that has not ended.
    pub fn new(partition: u32) -> MemoryPartition {
        MemoryPartition { partition, ..MemoryPartition::default() }
    }
    /// Appends a record with this payload.
    pub fn push(&self, line: impl Into<Vec<u8>>) {
        self.records.lock().unwrap().push_back(Some(line.into()));
    }
    /// Appends a record without a payload.
    pub fn push_tombstone(&self) {
        self.records.lock().unwrap().push_back(None);
    }
    /// Ends the partition after its records.
    pub fn finish(&self) {
        self.finished.store(true, Ordering::SeqCst);
    }
}

impl PartitionReader for MemoryPartition {
    fn partition(&self) -> u32 {
        self.partition
    }
    fn read(&mut self, limit: usize, visit: &mut dyn FnMut(Record<'_>)) -> ReadStatus {
        if self.away.load(Ordering::SeqCst) {
            return ReadStatus::Pending;
        }
        let finished = self.finished.load(Ordering::SeqCst);
        let mut records = self.records.lock().unwrap();
        for _ in 0..limit {
            let Some(payload) = records.pop_front() else {
                return if finished { ReadStatus::Finished } else { ReadStatus::CaughtUp };
            };
            visit(Record { offset: self.next_offset, log_time: None, payload: payload.as_deref() });
            self.next_offset += 1;
        }
        ReadStatus::More
    }
}

/// Returns settings under which a short log has every case: short lateness, short baseline, low
/// threshold.
pub fn eager() -> Settings {
    Settings {
        allowed_lateness_ms: 300_000,
        anomalies: AnomalySettings {
            lookback_ms: 1_200_000,
            min_samples: 5,
            threshold: 2.5,
            ..AnomalySettings::default()
        },
        ..Settings::default()
    }
}

/// Settles bounded partitions on `workers` threads. The clock shows the far future.
pub fn settle(partitions: &[Vec<String>], workers: usize, settings: &Settings) -> Outcome {
    let topics = bounded(partitions);
    let clock = Arc::new(MockClock::new(4_000_000_000_000));
    let collector = Collector::default();
    let output = collector.clone();
    run(workers, settings, Arc::default(), move |index, peers| {
        worker_io(&topics, index, peers, &output, &clock)
    })
    .unwrap();
    collector.outcome()
}

/// Returns topics that end after the lines of their partition.
pub fn bounded(partitions: &[Vec<String>]) -> Vec<MemoryPartition> {
    partitions
        .iter()
        .zip(0..)
        .map(|(lines, partition)| {
            let topic = MemoryPartition::new(partition);
            lines.iter().for_each(|line| topic.push(line.as_bytes()));
            topic.finish();
            topic
        })
        .collect()
}

/// Returns the input and output of worker `index` of `peers`. It reads the partitions whose number
/// modulo `peers` is `index`.
pub fn worker_io(
    topics: &[MemoryPartition],
    index: usize,
    peers: usize,
    output: &Collector,
    clock: &Arc<MockClock>,
) -> WorkerIo {
    let own = topics.iter().filter(|topic| topic.partition as usize % peers == index);
    WorkerIo {
        readers: own.map(|topic| Box::new(topic.clone()) as Box<dyn PartitionReader>).collect(),
        arrivals: None,
        output: Box::new(output.clone()),
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        checkpoints: None,
        restore: None,
    }
}

/// Returns a tick as a line of JSON; `price` is in hundredths, `size` in thousandths.
pub fn tick(symbol: &str, ms: u64, price: u64, size: u64) -> String {
    format!(
        r#"{{"symbol":"{symbol}","price_usd":{}.{:02},"size":{}.{:03},"timestamp":{ms}}}"#,
        price / 100,
        price % 100,
        size / 1000,
        size % 1000
    )
}

/// Waits until `ready` returns `true`.
pub fn wait_for(what: &str, ready: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + crate::wait::LIMIT;
    while !ready() {
        assert!(std::time::Instant::now() < deadline, "waited in vain for {what}");
        std::thread::yield_now();
    }
}

/// A generator of pseudo-random numbers (SplitMix64), under which a seed always names the same log.
pub struct Random(pub u64);

impl Random {
    /// Returns a number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
    /// Returns `true` in `percent` of 100 calls on average.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}
