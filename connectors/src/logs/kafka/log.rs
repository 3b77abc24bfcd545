//! The live log: a topic, its partitions spread over workers.

use super::KafkaConfig;
use super::monitor::{self, Monitor};
use super::partition_state::{FetchState, FetchStates};
use super::state::{LogState, LogWorker, Reader};
use super::topic::Topic;
use rdkafka::topic_partition_list::Offset;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tallow_model::error::Error;

/// Time limit for reaching a broker at the start.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// The partitions that one worker reads.
pub struct WorkerPartitions {
    /// Readers of the partitions that exist now.
    pub readers: Vec<Reader>,
    /// Readers of partitions that the topic gets later, each from its beginning, as they appear.
    pub arrivals: Receiver<Reader>,
}

/// The state of reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KafkaStatus {
    /// Problem with the brokers, if there is one at the moment.
    pub problem: Option<String>,
    /// Partitions that this process reads.
    pub partitions: Vec<PartitionLag>,
}

/// The progress in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionLag {
    /// Number of the partition.
    pub partition: u32,
    /// Offset that is read next.
    pub position: u64,
    /// Offset past its last record, by the newest reply of the brokers.
    pub end: u64,
}

impl PartitionLag {
    /// Returns the number of records still to be read, at most: gaps in the offsets count too.
    pub fn pending(&self) -> u64 {
        self.end.saturating_sub(self.position)
    }
}

/// A topic that the workers of a graph read. Dropping it, after its readers, commits their progress
/// and ends its thread.
pub struct KafkaLog {
    shared: Arc<LogState>,
    ends: Vec<u64>,
    _monitor: Monitor,
}

impl KafkaLog {
    /// Looks up the configured topic, and starts to watch it.
    ///
    /// # Errors
    /// When no broker answers within 15 seconds, none grants access, or the topic does not exist.
    pub fn open(config: &KafkaConfig) -> Result<KafkaLog, Error> {
        let deadline = Instant::now() + CONNECT_TIMEOUT;
        let topic = Topic::new(config, &config.topic, &config.group)?;
        let fetch_states = FetchStates::new(config.topic.clone(), topic.existing_partitions(deadline)?);
        let all = |offset| {
            fetch_states.all().iter().map(|fetch_state| (fetch_state.partition(), offset)).collect::<Vec<_>>()
        };
        for (partition, low) in topic.all_offsets(&all(Offset::Beginning), deadline)? {
            if let (Some(fetch_state), Some(low)) = (fetch_states.get(partition), low) {
                fetch_state.keep_low(low);
            }
        }
        let asked = Instant::now();
        for (partition, end) in topic.all_offsets(&all(Offset::End), deadline)? {
            if let (Some(fetch_state), Some(end)) = (fetch_states.get(partition), end) {
                fetch_states.keep_end(&fetch_state, end, asked);
            }
        }
        let ends = fetch_states.all().iter().map(|fetch_state| fetch_state.end().unwrap_or(0)).collect();
        let shared = Arc::new(LogState {
            config: config.clone(),
            label: topic.label().into(),
            trouble: Arc::clone(topic.trouble()),
            fetch_states: Arc::new(fetch_states),
            workers: Mutex::default(),
            problem: Mutex::default(),
        });
        let monitor = monitor::start(Arc::clone(&shared), topic)?;
        Ok(KafkaLog { shared, ends, _monitor: monitor })
    }

    /// Returns the offset past the last record of each partition when the log was opened.
    pub fn ends(&self) -> &[u64] {
        &self.ends
    }

    /// Returns the readers of worker `index` of `peers`: those of the partitions whose number is
    /// `index` modulo `peers`. Each starts at its offset in `starts`, or else at the partition's
    /// beginning.
    ///
    /// Each worker of a process has a consumer of its own: a consumer decompresses and parses what
    /// one broker sends on one thread, which would then be the same one for all workers.
    ///
    /// # Errors
    /// When the consumer can't be made.
    pub fn worker(
        &self,
        index: usize,
        peers: usize,
        starts: &BTreeMap<u32, u64>,
    ) -> Result<WorkerPartitions, Error> {
        let (sender, arrivals) = channel();
        let mut worker = LogWorker { index, peers, fetcher: None, arrivals: sender };
        // Locked until the worker is known, so that no partition appears in between.
        let mut workers = self.shared.workers();
        let mine: Vec<_> = self
            .shared
            .fetch_states
            .all()
            .into_iter()
            .filter(|fetch_state| worker.reads(fetch_state.partition()))
            .collect();
        let readers = worker.take(&self.shared, &mine, starts)?;
        workers.push(worker);
        Ok(WorkerPartitions { readers, arrivals })
    }

    /// Returns the state of reading.
    pub fn status(&self) -> KafkaStatus {
        let lag = |fetch_state: Arc<FetchState>| {
            let position = fetch_state.position()?;
            Some(PartitionLag {
                partition: fetch_state.partition(),
                position,
                end: fetch_state.end().unwrap_or(position),
            })
        };
        KafkaStatus {
            problem: self.shared.problem(),
            partitions: self.shared.fetch_states.all().into_iter().filter_map(lag).collect(),
        }
    }
}
