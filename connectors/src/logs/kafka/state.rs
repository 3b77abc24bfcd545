//! State that the log, its readers and its monitor share: the partitions, and the workers that read
//! them.

use super::KafkaConfig;
use super::fetcher::Fetcher;
use super::listener::{Listener, Trouble};
use super::place::{Place, Places};
use super::reader::KafkaReader;
use super::topic::at;
use rdkafka::topic_partition_list::Offset;
use std::collections::BTreeMap;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tallow_model::PartitionReader;
use tallow_model::error::Error;

/// A reader that can be sent to its worker.
pub type Reader = Box<dyn PartitionReader + Send>;

/// The shared state of a log.
pub(super) struct Shared {
    pub(super) config: KafkaConfig,
    /// Label for messages: `TOPIC at BROKERS`.
    pub(super) label: Arc<str>,
    pub(super) trouble: Arc<Trouble>,
    pub(super) places: Arc<Places>,
    pub(super) workers: Mutex<Vec<Worker>>,
    pub(super) problem: Mutex<Option<String>>,
}

impl Shared {
    pub(super) fn workers(&self) -> MutexGuard<'_, Vec<Worker>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn problem(&self) -> Option<String> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stores the current problem; returns the previous one.
    pub(super) fn keep_problem(&self, problem: Option<String>) -> Option<String> {
        std::mem::replace(&mut *self.problem.lock().unwrap_or_else(PoisonError::into_inner), problem)
    }
}
/// A worker of this process.
pub(super) struct Worker {
    pub(super) index: usize,
    pub(super) peers: usize,
    /// `None` until the worker has a partition.
    pub(super) fetcher: Option<Fetcher>,
    pub(super) arrivals: Sender<Reader>,
}

impl Worker {
    pub(super) fn reads(&self, partition: u32) -> bool {
        partition as usize % self.peers == self.index
    }

    pub(super) fn fetcher(&self) -> Option<&Fetcher> {
        self.fetcher.as_ref()
    }

    pub(super) fn take(
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

    /// Takes the worker's partitions that have no reader yet, and sends it their readers.
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
