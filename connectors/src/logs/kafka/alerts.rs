//! The topic of alerts: each version of an alert as the JSON of [`AlertMessage`], keyed by its
//! symbol.
//!
//! - **Promise.** A consumer with `isolation.level=read_committed` sees each version once, however
//!   often the pipeline restarts, with any number of workers, and whatever was in flight when it
//!   ended. It sees a written version at once: nothing waits for a checkpoint. Other consumers may
//!   see aborted records.
//! - **Transactions.** A worker's alerts are written in transactions of its own transactional id,
//!   one for each write, committed before the write returns. [`KafkaAlerts::open`] takes the ids
//!   over: what an earlier run has left open is aborted, and that run can write nothing more. Then
//!   the committed versions are read back, and left out.
//! - **Time of the read-back.** At the first step that shows that time has moved, not when the sink
//!   is opened. A version may have been written by any worker of the earlier run, so all of its ids
//!   must have been taken over first, also those that other processes of this run take over. Time
//!   moves only when every worker of every process reads its partitions, and each opened its sink
//!   before; so the step proves it.
//! - **After an outage.** A transaction that was open for longer than the brokers allow has an
//!   unknown outcome. The worker takes its id over anew, if no other run has meanwhile, and reads
//!   back what is there. See `alerts/claim.rs`.
//! - **Order.** Versions of an alert are ordered by the logical time of the change, `settled_at`. A
//!   version that is not newer than the newest known is left out.
//! - **State.** The newest version of each alert that may still come again: of those in the topic,
//!   until the log has been replayed past them.
//! - **Limits.** A version that the topic's retention has deleted, or that lies further back than
//!   is read, is written again if a replay settles it again. Brokers forget a transactional id that
//!   has not been used for a week (`transactional.id.expiration.ms`): a process that resumes after
//!   a week's suspension can't detect that another has replaced it. A run must have started, or be
//!   gone, before one with another number of workers starts: while both start, each may take over
//!   some ids of the other, and both may write before they notice.

mod claim;
mod known;
mod transactions;
mod worker;

use super::KafkaConfig;
use super::readback::{self, read_back};
use claim::NAME;
use known::{KnownVersions, Version};
use rdkafka::Message;
use std::ops::Range;
use std::time::{Duration, Instant};
use tallow_model::error::Error;
use tallow_model::progress::Progress;
use tallow_model::rows::AlertMessage;
use tallow_model::store::Sink;
use tallow_model::{EventTime, Reject, SettledAlert, Step};
use worker::{PendingAlert, WorkerAlerts};

/// Time limit of one attempt to write, except for the recovery after an outage. A failed attempt is
/// retried; a stop must not wait longer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// Writes alerts to their topic.
#[derive(Debug)]
pub struct KafkaAlerts {
    config: KafkaConfig,
    /// Number of the first worker.
    first: usize,
    workers: Vec<WorkerAlerts>,
    known: KnownVersions,
    /// Whether the topic must be read back before anything is written.
    unread: bool,
    progress: Progress,
}

impl KafkaAlerts {
    /// Takes over the alerts of these workers, whose steps will be written to the sink, and ends
    /// the ids of the workers in `fence`: numbers that earlier runs had and this one has not. At
    /// least one process of a run must do so. All processes of a run must have opened their sinks
    /// before the first step of any worker in which time has moved.
    ///
    /// # Errors
    /// When the brokers can't be reached, don't have the topic or don't permit it, or a later run
    /// has taken over in turn.
    pub fn open(
        config: &KafkaConfig,
        workers: Range<usize>,
        fence: Range<usize>,
    ) -> Result<KafkaAlerts, Error> {
        readback::existing(config, &config.alerts_topic)?;
        for_each(fence, |worker| WorkerAlerts::end(config, worker))?;
        Ok(KafkaAlerts {
            config: config.clone(),
            first: workers.start,
            workers: for_each(workers.clone(), |worker| WorkerAlerts::take_over(config, worker))?,
            known: KnownVersions::default(),
            unread: true,
            progress: Progress::new(workers),
        })
    }

    /// Reads the versions in the topic.
    fn read_back(&mut self) -> Result<(), Error> {
        let (mut alerts, mut others) = (0u64, 0u64);
        let topic = &self.config.alerts_topic;
        read_back(&self.config, topic, &mut |message| match message.payload().map(serde_json::from_slice) {
            Some(Ok(version)) => {
                alerts += 1;
                self.known.note(version);
            }
            _ => others += 1,
        })?;
        if others > 0 {
            tracing::warn!(
                topic,
                records = others,
                "some records in the topic of alerts are no alerts of this version"
            );
        }
        tracing::info!(topic, versions = alerts, alerts = self.known.len(), "read back the alerts");
        self.unread = false;
        Ok(())
    }

    /// Writes the new versions of these steps, a transaction for each worker. Returns whether all
    /// of them are known to be written.
    fn write_new(&mut self, steps: &[Step], deadline: Instant) -> Result<bool, Error> {
        for worker in &mut self.workers {
            self.unread |= worker.settle(&mut self.known, deadline)?;
        }
        if self.unread {
            // Reading back takes longer than an attempt may.
            self.workers.first().map_or(Ok(()), |worker| worker.reach(deadline))?;
            self.read_back()?;
        }
        for (number, worker) in (self.first..).zip(&mut self.workers) {
            let alerts = steps.iter().filter(|step| step.worker == number).flat_map(|step| &step.alerts);
            let new = new_of(alerts, &self.known)?;
            if !new.is_empty() {
                self.unread |= worker.write(new, &mut self.known, deadline)?;
            }
        }
        Ok(!self.unread)
    }
}

impl Sink for KafkaAlerts {
    fn name(&self) -> &'static str {
        NAME
    }

    /// Stores the changes of each worker, all or none; after an error those of some workers may be
    /// stored.
    fn write(&mut self, steps: &[Step]) -> Result<(), Error> {
        // Before time has moved nothing has settled.
        if steps.iter().any(|step| step.frontier != Some(EventTime(0))) {
            let deadline = Instant::now() + WRITE_TIMEOUT;
            while !self.write_new(steps, deadline)? {
                if Instant::now() >= deadline {
                    let on = self.config.alerts_topic.clone();
                    return Err(Error::Timeout { tried: "write alerts to topic", on, limit: WRITE_TIMEOUT });
                }
            }
        }
        steps.iter().for_each(|step| self.progress.observe(step));
        if let Some(through) = self.progress.through() {
            self.known.forget_before(through);
        }
        Ok(())
    }

    /// Does nothing: this sink stores alerts only.
    fn write_rejects(&mut self, _: &[Reject]) -> Result<(), Error> {
        Ok(())
    }

    /// Returns the progress of this run alone: the topic does not tell how far earlier runs have
    /// come.
    fn stored_through(&self) -> Option<EventTime> {
        self.progress.through()
    }
}

/// Runs `act` for each of these workers at the same time: it takes some round trips.
fn for_each<T: Send>(
    workers: Range<usize>,
    act: impl Fn(usize) -> Result<T, Error> + Sync,
) -> Result<Vec<T>, Error> {
    let act = &act;
    std::thread::scope(|scope| {
        let started: Vec<_> = workers.map(|worker| scope.spawn(move || act(worker))).collect();
        let panicked =
            |_| Error::Sink { sink: NAME, problem: "a thread that opens it has panicked".to_owned() };
        started.into_iter().map(|thread| thread.join().map_err(panicked)?).collect()
    })
}

/// Returns a worker's alerts that are newer than the known versions, and than the ones before them.
fn new_of<'a>(
    alerts: impl Iterator<Item = &'a SettledAlert>,
    known: &KnownVersions,
) -> Result<Vec<PendingAlert>, Error> {
    let mut sent = KnownVersions::default();
    let mut new = Vec::new();
    for settled in alerts {
        let version = Version { alert_id: settled.alert.id(), settled_at: settled.settled_at };
        if known.is_new(&version) && sent.is_new(&version) {
            let json = serde_json::to_vec(&AlertMessage::from(settled)).map_err(|error| Error::Damaged {
                what: format!("alert {}", version.alert_id),
                detail: error.to_string(),
            })?;
            sent.note(version.clone());
            new.push(PendingAlert { version, symbol: settled.alert.symbol, json });
        }
    }
    Ok(new)
}
