//! The live log: a topic, its partitions spread over workers.

use super::KafkaConfig;
use super::monitor::{self, Monitor};
use super::place::{Place, Places};
use super::state::{Reader, Shared, Worker};
use super::topic::Topic;
use rdkafka::topic_partition_list::Offset;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tallow_model::error::Error;

/// How long to wait for a broker at the start.
const REACH: Duration = Duration::from_secs(15);

/// What one worker reads.
pub struct WorkerPartitions {
    /// Of the partitions that there are now.
    pub readers: Vec<Reader>,
    /// Of those that the topic gets later, each from its beginning, as they appear.
    pub arrivals: Receiver<Reader>,
}

/// Where reading stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KafkaStatus {
    /// Why the brokers can't be asked at the moment, if they can't.
    pub problem: Option<String>,
    /// The partitions that this process reads.
    pub partitions: Vec<PartitionLag>,
}

/// How far one partition has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionLag {
    /// Which one.
    pub partition: u32,
    /// The offset that is read next.
    pub position: u64,
    /// The offset past its last record, by the newest answer of the brokers.
    pub end: u64,
}

impl PartitionLag {
    /// How many records are still to be read, at most: gaps in the offsets count too.
    pub fn pending(&self) -> u64 {
        self.end.saturating_sub(self.position)
    }
}

/// A topic to be read by the workers of a graph. Dropping it, after its readers, commits how far they have come and
/// ends its thread.
pub struct KafkaLog {
    shared: Arc<Shared>,
    ends: Vec<u64>,
    _monitor: Monitor,
}

impl KafkaLog {
    /// Finds out about the topic of the settings, and starts to watch it.
    ///
    /// # Errors
    /// When no broker answers within 15 seconds, none lets us in, or the topic does not exist.
    pub fn open(config: &KafkaConfig) -> Result<KafkaLog, Error> {
        let deadline = Instant::now() + REACH;
        let topic = Topic::new(config, &config.topic, &config.group)?;
        let places = Places::new(config.topic.clone(), topic.existing_partitions(deadline)?);
        let all = |offset| places.all().iter().map(|place| (place.partition(), offset)).collect::<Vec<_>>();
        for (partition, low) in topic.all_offsets(&all(Offset::Beginning), deadline)? {
            if let (Some(place), Some(low)) = (places.get(partition), low) {
                place.keep_low(low);
            }
        }
        let asked = Instant::now();
        for (partition, end) in topic.all_offsets(&all(Offset::End), deadline)? {
            if let (Some(place), Some(end)) = (places.get(partition), end) {
                places.keep_end(&place, end, asked);
            }
        }
        let ends = places.all().iter().map(|place| place.end().unwrap_or(0)).collect();
        let shared = Arc::new(Shared {
            config: config.clone(),
            label: topic.label().into(),
            trouble: Arc::clone(topic.trouble()),
            places: Arc::new(places),
            workers: Mutex::default(),
            problem: Mutex::default(),
        });
        let monitor = monitor::start(Arc::clone(&shared), topic)?;
        Ok(KafkaLog { shared, ends, _monitor: monitor })
    }

    /// The offset past the last record of each partition when the log was opened.
    pub fn ends(&self) -> &[u64] {
        &self.ends
    }

    /// The readers of worker `index` of `peers`: those of the partitions whose number is `index` modulo `peers`. Each
    /// starts at its offset in `starts`, or else at the partition's beginning.
    ///
    /// The workers of a process have a consumer each, not one together: a consumer decompresses and parses what one
    /// broker sends on one thread, which would then be the same one for all workers.
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
        let mut worker = Worker { index, peers, fetcher: None, arrivals: sender };
        // Held until the worker is known, so that no partition appears in between.
        let mut workers = self.shared.workers();
        let mine: Vec<_> =
            self.shared.places.all().into_iter().filter(|place| worker.reads(place.partition())).collect();
        let readers = worker.take(&self.shared, &mine, starts)?;
        workers.push(worker);
        Ok(WorkerPartitions { readers, arrivals })
    }

    /// Where reading stands.
    pub fn status(&self) -> KafkaStatus {
        let lag = |place: Arc<Place>| {
            let position = place.position()?;
            Some(PartitionLag {
                partition: place.partition(),
                position,
                end: place.end().unwrap_or(position),
            })
        };
        KafkaStatus {
            problem: self.shared.problem(),
            partitions: self.shared.places.all().into_iter().filter_map(lag).collect(),
        }
    }
}
