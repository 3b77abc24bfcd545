//! The thread that stores the parts of a process, so that no worker of the graph waits for it.
//!
//! - **Order.** A part is encoded as soon as it arrives, which releases the memory that it shares
//!   with the graph. It is stored once all durable sinks have stored everything that they were
//!   given before it.
//! - **Bound.** A worker has at most one part under way and one that waits; a newer part replaces
//!   the waiting one. The part under way stays, however long the sinks take: otherwise a pipeline
//!   whose sinks lag behind would never have a checkpoint.
//! - **Failures.** A part that can't be stored is retried, with growing waits, until it is stored
//!   or a newer one waits. The graph continues meanwhile.

use super::config::CheckpointConfig;
use super::format::{EncodedPart, encode};
use super::in_flight::{CheckpointStatus, InFlight};
use super::latest::Latest;
use super::part::PartSource;
use super::store::CheckpointStore;
use crate::sinks::DurabilityTicket;
use futures_util::future::{join, join_all, try_join_all};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tallow_dataflow::CheckpointId;
use tallow_model::error::{Error, chain};
use tallow_model::retry::{Backoff, BackoffSettings};
use tokio::sync::{Semaphore, watch};
use tracing::Instrument;

/// The number of times that a part is written which does not read back as it was written.
const MAX_ATTEMPTS: u32 = 3;

/// The settings of a writer.
#[derive(Clone, Debug)]
pub struct WriterSettings {
    /// The workers of this process, counted over all processes.
    pub workers: Range<usize>,
    /// The number of complete checkpoints to keep; at least three.
    pub keep: usize,
    /// The least time between the beginnings of two checkpoints.
    pub min_pause: Duration,
    /// The waits between attempts to store a part.
    pub backoff: BackoffSettings,
}

impl WriterSettings {
    /// Returns the settings of a process with these workers.
    pub fn of(config: &CheckpointConfig, workers: Range<usize>) -> WriterSettings {
        let min_pause = Duration::from_millis(config.min_pause_ms);
        WriterSettings { workers, keep: config.keep, min_pause, backoff: BackoffSettings::default() }
    }
}

/// Stores parts on a thread of its own. Dropping the writer without [`CheckpointWriter::close`]
/// gives up the parts under way.
#[derive(Debug)]
pub struct CheckpointWriter {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    store: CheckpointStore,
    settings: WriterSettings,
    in_flight: InFlight,
    lanes: Vec<Lane>,
    /// One part is encoded at a time: the processors belong to the graph.
    encoding: Arc<Semaphore>,
}

/// The parts of one worker that are under way.
#[derive(Debug)]
struct Lane {
    worker: usize,
    /// The part to be encoded next.
    fresh: Latest<Fresh>,
    /// The part to be stored next.
    encoded: Latest<Encoded>,
}

struct Fresh {
    part: Box<dyn PartSource>,
    tickets: Vec<DurabilityTicket>,
}

impl std::fmt::Debug for Fresh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Fresh").field(&self.part.head()).finish()
    }
}

#[derive(Debug)]
struct Encoded {
    part: EncodedPart,
    tickets: Vec<DurabilityTicket>,
    took: Duration,
}

impl CheckpointWriter {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub fn start(store: CheckpointStore, settings: WriterSettings) -> Result<CheckpointWriter, Error> {
        let lane = |worker| Lane { worker, fresh: Latest::new(), encoded: Latest::new() };
        let shared = Arc::new(Shared {
            in_flight: InFlight::new(settings.workers.len(), settings.min_pause),
            lanes: settings.workers.clone().map(lane).collect(),
            encoding: Arc::new(Semaphore::new(1)),
            store,
            settings,
        });
        let (stop, stopped) = watch::channel(false);
        let name = "checkpoints".to_owned();
        let thread = std::thread::Builder::new()
            .name(name.clone())
            .spawn({
                let shared = Arc::clone(&shared);
                move || shared.run(stopped)
            })
            .map_err(|source| Error::Thread { name, source })?;
        Ok(CheckpointWriter { shared, stop, thread: Mutex::new(Some(thread)) })
    }

    /// Takes a part of a worker of this process, to be stored once all tickets are. Never blocks.
    ///
    /// # Errors
    /// If the worker belongs to another process, or the writer is being closed: the part will not
    /// be stored.
    pub fn submit(
        &self,
        part: impl PartSource + 'static,
        tickets: Vec<DurabilityTicket>,
    ) -> Result<(), Error> {
        let head = part.head();
        let shared = &self.shared;
        let Some(lane) = shared.lanes.iter().find(|lane| lane.worker == head.worker) else {
            let workers = &shared.settings.workers;
            return Err(Error::Invalid(format!(
                "a part of worker {} does not belong to the writer of workers {workers:?}",
                head.worker
            )));
        };
        if !shared.in_flight.given(head.id) {
            return Err(Error::Invalid(
                "checkpoints are taken no more: the writer is being closed".to_owned(),
            ));
        }
        if let Some(older) = lane.fresh.replace(Fresh { part: Box::new(part), tickets }) {
            shared.in_flight.given_up(older.part.head().id);
        }
        Ok(())
    }

    /// Returns whether another checkpoint may begin: all parts of this process of the last one are
    /// stored or given up, and that one began long enough ago. Cheap.
    pub fn may_begin(&self) -> bool {
        self.shared.in_flight.may_begin()
    }

    /// Returns the status of this process's checkpoints.
    pub fn status(&self) -> CheckpointStatus {
        self.shared.in_flight.status()
    }

    /// Takes no more parts, stores those under way, and ends the thread. The sinks must be closed
    /// first, because a part waits for them.
    ///
    /// # Errors
    /// If not everything was stored in time. The rest is given up.
    pub fn close(&self, within: Duration) -> Result<(), Error> {
        self.shared.in_flight.close();
        let under_way = self.shared.in_flight.wait_settled(Instant::now() + within);
        self.end();
        if under_way == 0 {
            return Ok(());
        }
        let problem =
            self.status().problem.unwrap_or_else(|| "the sinks or the store took longer".to_owned());
        Err(Error::Invalid(format!(
            "{under_way} parts of a checkpoint were not stored in {} within {within:?}: {problem}",
            self.shared.store.place()
        )))
    }

    fn end(&self) {
        self.shared.in_flight.close();
        self.stop.send_replace(true);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the thread of checkpoints panicked");
        }
    }
}

impl Drop for CheckpointWriter {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    /// Runs until it is stopped, whatever is under way then.
    fn run(&self, mut stopped: watch::Receiver<bool>) {
        let lanes = self.lanes.iter().map(|lane| join(self.encode_all(lane), self.store_all(lane)));
        let ended = self.store.bucket().wait(async {
            tokio::select! {
                _ = join_all(lanes) => {}
                _ = stopped.wait_for(|stopped| *stopped) => {}
            }
            Ok(())
        });
        if let Err(error) = ended {
            tracing::error!(problem = chain(&error), "the thread of checkpoints has ended");
        }
    }

    async fn encode_all(&self, lane: &Lane) {
        loop {
            let Fresh { part, tickets } = lane.fresh.take().await;
            let id = part.head().id;
            match self.encode(part).await {
                Ok((part, took)) => {
                    if let Some(older) = lane.encoded.replace(Encoded { part, tickets, took }) {
                        self.in_flight.given_up(older.part.head.id);
                    }
                }
                Err(error) => self.give_up(lane, id, &chain(&error)),
            }
        }
    }

    /// Encodes on a blocking thread: the other parts are stored meanwhile.
    async fn encode(&self, part: Box<dyn PartSource>) -> Result<(EncodedPart, Duration), Error> {
        let failed = |why: String| Error::Invalid(format!("encode a part of a checkpoint: {why}"));
        let turn =
            Arc::clone(&self.encoding).acquire_owned().await.map_err(|error| failed(error.to_string()))?;
        let origin = self.store.origin().clone();
        let encoded = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let start = Instant::now();
            encode(&*part, &origin).map(|part| (part, start.elapsed()))
        });
        encoded.await.map_err(|error| failed(error.to_string()))?
    }

    async fn store_all(&self, lane: &Lane) {
        loop {
            let encoded = lane.encoded.take().await;
            let (frontier, bytes) = (encoded.part.head.id.frontier.rfc3339(), encoded.part.size());
            let span = tracing::info_span!(
                target: "spans", "store checkpoint", worker = lane.worker, frontier, bytes
            );
            self.store_one(lane, encoded).instrument(span).await;
        }
    }

    async fn store_one(&self, lane: &Lane, encoded: Encoded) {
        let Encoded { part, tickets, took } = encoded;
        let id = part.head.id;
        self.in_flight.waits();
        let sinks = try_join_all(tickets).await;
        self.in_flight.waited();
        if let Err(error) = sinks {
            return self.give_up(lane, id, &chain(&error));
        }
        let mut backoff = Backoff::new(self.settings.backoff);
        let mut damaged = 0;
        while let Err(error) = self.store.put(&part).await {
            let problem = chain(&error);
            if matches!(error, Error::Damaged { .. }) {
                damaged += 1;
                if damaged == MAX_ATTEMPTS {
                    return self.give_up(lane, id, &problem);
                }
            }
            if self.in_flight.trouble(lane.worker, problem.clone()) {
                tracing::warn!(worker = lane.worker, problem, "checkpoint can't be stored, trying again");
            }
            tokio::select! {
                () = tokio::time::sleep(backoff.next_wait()) => {}
                () = lane.encoded.occupied() => return self.in_flight.given_up(id),
            }
        }
        if self.in_flight.stored(id, lane.worker, part.size(), took) {
            tracing::debug!(frontier = id.frontier.rfc3339(), "checkpoint stored");
            self.collect().await;
            self.in_flight.collected();
        }
    }

    fn give_up(&self, lane: &Lane, id: CheckpointId, problem: &str) {
        let (worker, frontier) = (lane.worker, id.frontier.rfc3339());
        tracing::warn!(worker, frontier, problem, "checkpoint given up: a part of it can't be stored");
        self.in_flight.trouble(worker, problem.to_owned());
        self.in_flight.given_up(id);
    }

    /// Removes old checkpoints, in the process with worker 0 only.
    async fn collect(&self) {
        if !self.settings.workers.contains(&0) {
            return;
        }
        match self.store.collect(self.settings.keep).await {
            Ok(0) => {}
            Ok(removed) => tracing::debug!(removed, "old checkpoints removed"),
            Err(error) => {
                let problem = chain(&error);
                tracing::warn!(problem, "old checkpoints can't be removed, trying again after the next");
            }
        }
    }
}
