//! The live log: a topic, its partitions spread over workers.

use super::KafkaConfig;
use super::fetcher::Fetcher;
use super::listener::{Listener, Trouble};
use super::monitor::{self, Monitor};
use super::place::{Place, Places};
use super::reader::KafkaReader;
use super::topic::{Topic, at};
use rdkafka::topic_partition_list::Offset;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tallow_model::PartitionReader;
use tallow_model::error::Error;

/// How long to wait for a broker at the start.
const REACH: Duration = Duration::from_secs(15);

/// A reader on its way to its worker.
pub type Reader = Box<dyn PartitionReader + Send>;

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

/// What the log, its readers and its monitor have in common.
pub(super) struct Shared {
    pub(super) config: KafkaConfig,
    /// `TOPIC at BROKERS`.
    pub(super) label: Arc<str>,
    pub(super) trouble: Arc<Trouble>,
    pub(super) places: Arc<Places>,
    workers: Mutex<Vec<Worker>>,
    problem: Mutex<Option<String>>,
}

impl Shared {
    pub(super) fn workers(&self) -> MutexGuard<'_, Vec<Worker>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn problem(&self) -> Option<String> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps what is wrong, and gives what was.
    pub(super) fn keep_problem(&self, problem: Option<String>) -> Option<String> {
        std::mem::replace(&mut *self.problem.lock().unwrap_or_else(PoisonError::into_inner), problem)
    }
}

/// One worker of this process.
pub(super) struct Worker {
    index: usize,
    peers: usize,
    /// None until it has a partition.
    fetcher: Option<Fetcher>,
    arrivals: Sender<Reader>,
}

impl Worker {
    fn reads(&self, partition: u32) -> bool {
        partition as usize % self.peers == self.index
    }

    pub(super) fn fetcher(&self) -> Option<&Fetcher> {
        self.fetcher.as_ref()
    }

    fn take(
        &mut self,
        shared: &Shared,
        places: &[Arc<Place>],
        starts: &BTreeMap<u32, u64>,
    ) -> Result<Vec<Reader>, Error> {
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let fetcher = match &mut self.fetcher {
            Some(fetcher) => fetcher,
            none => none.insert(Fetcher::new(
                &shared.config,
                &shared.config.topic,
                &shared.config.group,
                u32::try_from(shared.places.all().len()).unwrap_or(u32::MAX),
                Listener::with_places(Arc::clone(&shared.trouble), Arc::clone(&shared.places)),
                &[("statistics.interval.ms", "1000")],
            )?),
        };
        let from = |place: &Arc<Place>| starts.get(&place.partition()).copied();
        let starts: Vec<_> = places
            .iter()
            .map(|place| (place.partition(), from(place).map_or(Offset::Beginning, at)))
            .collect();
        let queues = fetcher.take(&starts)?;
        let reader = |(queue, place): (_, &Arc<Place>)| {
            let start = from(place);
            let (places, trouble) = (Arc::clone(&shared.places), Arc::clone(&shared.trouble));
            let label = Arc::clone(&shared.label);
            Box::new(KafkaReader::new(queue, places, Arc::clone(place), trouble, label, start)) as Reader
        };
        Ok(queues.into_iter().zip(places).map(reader).collect())
    }

    /// Takes those of its partitions that have no reader yet, and sends it their readers.
    pub(super) fn arrive(&mut self, shared: &Shared) -> Result<(), Error> {
        let new = |place: &Arc<Place>| self.reads(place.partition()) && place.position().is_none();
        let mine: Vec<_> = shared.places.all().into_iter().filter(new).collect();
        for reader in self.take(shared, &mine, &BTreeMap::new())? {
            // A worker that has ended reads nothing more.
            if self.arrivals.send(reader).is_err() {
                break;
            }
        }
        Ok(())
    }
}
