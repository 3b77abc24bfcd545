//! The checkpoints of a pipeline: the one that it resumes from, and those that it takes.

use crate::checkpoint::{
    CheckpointConfig, CheckpointStatus, CheckpointStore, CheckpointWriter, Found, Origin, WriterSettings,
};
use crate::cluster::Cluster;
use crate::sinks::DurabilityTicket;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tallow_dataflow::{CheckpointPart, CheckpointPolicy, Restore, Settings, State};
use tallow_model::Error;
use tallow_model::error::chain;

/// The state of the checkpoint store at the start.
pub struct FoundCheckpoint {
    store: Option<CheckpointStore>,
    found: Option<Found>,
    since: Instant,
}

impl FoundCheckpoint {
    /// Finds the newest checkpoint of this source under these settings. With `from_scratch` there
    /// is none, and the first of the processes removes all existing ones.
    ///
    /// # Errors
    /// If the bucket can't be used, or has checkpoints and none that can be resumed from.
    pub fn find(
        config: &CheckpointConfig,
        source: &str,
        settings: &Settings,
        from_scratch: bool,
        is_first: bool,
    ) -> Result<FoundCheckpoint, Error> {
        let started = Instant::now();
        if config.url.is_empty() {
            tracing::warn!(
                "checkpoint.url is empty: no checkpoints are taken, every start reads the whole log"
            );
            return Ok(FoundCheckpoint { store: None, found: None, since: started });
        }
        let origin = Origin::of(source.to_owned(), settings);
        let store = CheckpointStore::open(config, origin)?;
        let place = store.place().to_owned();
        let found = if from_scratch {
            if is_first {
                let removed = store.discard_all()?;
                tracing::warn!(place, removed, "starting from scratch, checkpoints removed");
            }
            None
        } else {
            store.newest()?
        };
        match &found {
            Some(found) => tracing::info!(
                place,
                frontier = found.id.frontier.rfc3339(),
                parts = found.parts,
                rows = found.rows,
                bytes = found.bytes,
                "starting from a checkpoint"
            ),
            None => tracing::info!(place, "no checkpoint, reading the log from its beginning"),
        }
        Ok(FoundCheckpoint { store: Some(store), found, since: started })
    }

    /// Returns the workers that earlier runs had beyond those of this run. Their producers may not
    /// know yet that their run has ended.
    ///
    /// # Errors
    /// If the bucket does not answer.
    pub fn former_workers(&self, cluster: &Cluster) -> Result<std::ops::Range<usize>, Error> {
        let workers = cluster.peers();
        let most = self.store.as_ref().map_or(Ok(0), CheckpointStore::most_workers)?;
        Ok(workers..most.max(workers))
    }

    /// Returns the offset at which each partition is read on, and checks that the log still has it.
    ///
    /// # Errors
    /// If the log ends before that: it is another log of the same name.
    pub fn starts(&self, ends: &[u64]) -> Result<BTreeMap<u32, u64>, Error> {
        let points = self.found.iter().flat_map(|found| &found.partitions);
        for point in points.clone() {
            let end = ends.get(point.partition as usize).copied().unwrap_or(0);
            if point.offset > end {
                return Err(Error::Invalid(format!(
                    "the checkpoint has read partition {} up to offset {}, but the log ends at {end}: it is not the \
                     log that the checkpoint was taken of; name another checkpoint.url, or start with --from-scratch",
                    point.partition, point.offset
                )));
            }
        }
        Ok(points.map(|point| (point.partition, point.offset)).collect())
    }

    /// Begins to take checkpoints, if there is a bucket for them.
    ///
    /// # Errors
    /// If the run can't be registered, the checkpoint can't be read, or the system has no thread to
    /// give.
    pub fn begin(self, config: &CheckpointConfig, cluster: &Cluster) -> Result<Checkpoints, Error> {
        let restore = self.restore(cluster)?;
        let name = self.found.as_ref().map(Found::name).unwrap_or_default();
        let restoring_since = self.found.as_ref().map(|_| self.since);
        let Some(store) = self.store else {
            return Ok(Checkpoints { taking: None, name, restore, restoring_since });
        };
        let run = uuid::Uuid::now_v7().as_u128();
        if cluster.process == 0 {
            store.register_run(run, cluster.peers())?;
        }
        let settings = WriterSettings::of(config, cluster.workers());
        let writer = Arc::new(CheckpointWriter::start(store, settings)?);
        let taking = Some(Taking { writer, interval_ms: config.interval_ms, run });
        Ok(Checkpoints { taking, name, restore, restoring_since })
    }

    fn restore(&self, cluster: &Cluster) -> Result<Vec<Restore>, Error> {
        let Some(found) = &self.found else { return Ok(Vec::new()) };
        let share = |worker| -> Result<Restore, Error> {
            let state: State = found.share(worker, cluster.peers())?;
            Ok(Restore { frontier: found.id.frontier, partitions: found.partitions.clone(), state })
        };
        cluster.workers().map(share).collect()
    }
}

/// The checkpoints that a running pipeline takes, and the one that it resumes from.
pub struct Checkpoints {
    taking: Option<Taking>,
    name: String,
    /// The state of each worker of this process.
    restore: Vec<Restore>,
    restoring_since: Option<Instant>,
}

/// The writer of the parts, and the policy by which workers make them.
#[derive(Clone)]
struct Taking {
    writer: Arc<CheckpointWriter>,
    interval_ms: u64,
    run: u128,
}

impl Checkpoints {
    /// Returns a name that no other checkpoint has, for the one that is resumed from; empty for
    /// none.
    pub fn name(&self) -> String {
        self.name.clone()
    }

    /// Returns the policy by which workers take checkpoints.
    pub fn policy(&self) -> Option<CheckpointPolicy> {
        let Taking { writer, interval_ms, run } = self.taking.clone()?;
        let may_begin = Arc::new(move || writer.may_begin());
        Some(CheckpointPolicy { interval_ms, run, may_begin })
    }

    /// Returns the state that each worker of this process resumes from, at the first call only.
    pub fn take_restore(&mut self) -> Vec<Restore> {
        std::mem::take(&mut self.restore)
    }

    /// Returns the time at which reading the checkpoint began; `None` without one.
    pub fn restoring_since(&self) -> Option<Instant> {
        self.restoring_since
    }

    /// Returns the sink of the parts.
    pub fn sink(&self) -> Option<PartSink> {
        self.taking.as_ref().map(|taking| PartSink(taking.writer.clone()))
    }

    /// Stores the parts under way. The sinks must be closed and the graph ended before.
    pub fn close(self, within: Duration) {
        if let Some(Taking { writer, .. }) = self.taking
            && let Err(error) = writer.close(within)
        {
            let problem = chain(&error);
            tracing::warn!(%problem, "the last checkpoint is not stored, an older one is taken up at the next start");
        }
    }
}

/// Takes the workers' parts of checkpoints.
#[derive(Clone)]
pub struct PartSink(Arc<CheckpointWriter>);

impl PartSink {
    /// Takes a part, to be stored once all tickets are.
    pub fn submit(&self, part: CheckpointPart, tickets: Vec<DurabilityTicket>) {
        if let Err(error) = self.0.submit(part, tickets) {
            let problem = chain(&error);
            tracing::warn!(%problem, "part of a checkpoint left out");
        }
    }

    /// Returns the status of this process's checkpoints.
    pub fn status(&self) -> CheckpointStatus {
        self.0.status()
    }
}
