//! State that the log, its readers and its monitor share: the partitions, and the workers that read
//! them.

use super::KafkaConfig;
use super::fetcher::Fetcher;
use super::listener::{Listener, Trouble};
use super::partition_state::{FetchState, FetchStates};
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
pub(super) struct LogState {
    pub(super) config: KafkaConfig,
    /// Label for messages: `TOPIC at BROKERS`.
    pub(super) label: Arc<str>,
    pub(super) trouble: Arc<Trouble>,
    pub(super) fetch_states: Arc<FetchStates>,
    pub(super) workers: Mutex<Vec<LogWorker>>,
    pub(super) problem: Mutex<Option<String>>,
}

impl LogState {
    pub(super) fn workers(&self) -> MutexGuard<'_, Vec<LogWorker>> {
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
pub(super) struct LogWorker {
    pub(super) index: usize,
    pub(super) peers: usize,
    /// `None` until the worker has a partition.
    pub(super) fetcher: Option<Fetcher>,
    pub(super) arrivals: Sender<Reader>,
}

impl LogWorker {
    pub(super) fn reads(&self, partition: u32) -> bool {
        partition as usize % self.peers == self.index
    }

    pub(super) fn fetcher(&self) -> Option<&Fetcher> {
        self.fetcher.as_ref()
    }

    pub(super) fn take(
        &mut self,
        shared: &LogState,
        fetch_states: &[Arc<FetchState>],
        starts: &BTreeMap<u32, u64>,
    ) -> Result<Vec<Reader>, Error> {
        if fetch_states.is_empty() {
            return Ok(Vec::new());
        }
        let fetcher = match &mut self.fetcher {
            Some(fetcher) => fetcher,
            none => none.insert(Fetcher::new(
                &shared.config,
                &shared.config.topic,
                &shared.config.group,
                u32::try_from(shared.fetch_states.all().len()).unwrap_or(u32::MAX),
                Listener::with_fetch_states(Arc::clone(&shared.trouble), Arc::clone(&shared.fetch_states)),
                &[("statistics.interval.ms", "1000")],
            )?),
        };
        let from = |fetch_state: &Arc<FetchState>| starts.get(&fetch_state.partition()).copied();
        let starts: Vec<_> = fetch_states
            .iter()
            .map(|fetch_state| (fetch_state.partition(), from(fetch_state).map_or(Offset::Beginning, at)))
            .collect();
        let queues = fetcher.take(&starts)?;
        let reader = |(queue, fetch_state): (_, &Arc<FetchState>)| {
            let start = from(fetch_state);
            let (fetch_states, trouble) = (Arc::clone(&shared.fetch_states), Arc::clone(&shared.trouble));
            let label = Arc::clone(&shared.label);
            Box::new(KafkaReader::new(queue, fetch_states, Arc::clone(fetch_state), trouble, label, start))
                as Reader
        };
        Ok(queues.into_iter().zip(fetch_states).map(reader).collect())
    }

    /// Takes the worker's partitions that have no reader yet, and sends it their readers.
    pub(super) fn arrive(&mut self, shared: &LogState) -> Result<(), Error> {
        let new = |fetch_state: &Arc<FetchState>| {
            self.reads(fetch_state.partition()) && fetch_state.position().is_none()
        };
        let mine: Vec<_> = shared.fetch_states.all().into_iter().filter(new).collect();
        for reader in self.take(shared, &mine, &BTreeMap::new())? {
            // A worker that has ended reads nothing more.
            if self.arrivals.send(reader).is_err() {
                break;
            }
        }
        Ok(())
    }
}
