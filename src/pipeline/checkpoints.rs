//! The checkpoints of a pipeline: which one it starts from, and those that it takes.

use super::told;
use anyhow::bail;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tallow_connectors::checkpoint::{
    CheckpointConfig, CheckpointStatus, CheckpointStore, CheckpointWriter, Found, Origin, WriterSettings,
};
use tallow_connectors::cluster::Cluster;
use tallow_connectors::sinks::Ticket;
use tallow_dataflow::{CheckpointPart, CheckpointPolicy, Restore, Settings, State};

/// What a start found of the runs before.
pub(crate) struct Past {
    store: Option<CheckpointStore>,
    found: Option<Found>,
    since: Instant,
}

impl Past {
    /// Looks for the newest checkpoint of this source under these settings. With `from_scratch` there is none, and the
    /// first of the processes removes what there was.
    ///
    /// # Errors
    /// When the place can't be used, or has checkpoints and none that can be taken up.
    pub(crate) fn find(
        config: &CheckpointConfig,
        source: &str,
        settings: &Settings,
        from_scratch: bool,
        is_first: bool,
    ) -> anyhow::Result<Past> {
        let started = Instant::now();
        if config.url.is_empty() {
            tracing::warn!(
                "checkpoint.url is empty: no checkpoints are taken, every start reads the whole log"
            );
            return Ok(Past { store: None, found: None, since: started });
        }
        let origin = Origin::of(source.to_owned(), settings);
        let store = CheckpointStore::open(config, origin).map_err(told)?;
        let place = store.place().to_owned();
        let found = if from_scratch {
            if is_first {
                let removed = store.discard_all().map_err(told)?;
                tracing::warn!(place, removed, "starting from scratch, checkpoints removed");
            }
            None
        } else {
            store.newest().map_err(told)?
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
        Ok(Past { store: Some(store), found, since: started })
    }

    /// The workers that earlier runs had beyond those of this one, whose producers may not know that they are over.
    ///
    /// # Errors
    /// When the place does not answer.
    pub(crate) fn former_workers(&self, cluster: &Cluster) -> anyhow::Result<std::ops::Range<usize>> {
        let workers = cluster.peers();
        let most = self.store.as_ref().map_or(Ok(0), CheckpointStore::most_workers).map_err(told)?;
        Ok(workers..most.max(workers))
    }

    /// Where each partition is read on, if the log still has it.
    ///
    /// # Errors
    /// When the log ends before that: it is another one of the same name.
    pub(crate) fn starts(&self, ends: &[u64]) -> anyhow::Result<BTreeMap<u32, u64>> {
        let points = self.found.iter().flat_map(|found| &found.partitions);
        for point in points.clone() {
            let end = ends.get(point.partition as usize).copied().unwrap_or(0);
            if point.offset > end {
                bail!(
                    "the checkpoint has read partition {} up to offset {}, but the log ends at {end}: it is not the \
                     log that the checkpoint was taken of; name another checkpoint.url, or start with --from-scratch",
                    point.partition,
                    point.offset
                );
            }
        }
        Ok(points.map(|point| (point.partition, point.offset)).collect())
    }

    /// Begins to take checkpoints; none where there is no place for them.
    ///
    /// # Errors
    /// When the run can't be registered, the checkpoint not be read, or the system has no thread to give.
    pub(crate) fn begin(self, config: &CheckpointConfig, cluster: &Cluster) -> anyhow::Result<Checkpoints> {
        let restore = self.restore(cluster)?;
        let name = self.found.as_ref().map(Found::name).unwrap_or_default();
        let restoring_since = self.found.as_ref().map(|_| self.since);
        let Some(store) = self.store else {
            return Ok(Checkpoints { taking: None, name, restore, restoring_since });
        };
        let run = uuid::Uuid::now_v7().as_u128();
        if cluster.process == 0 {
            store.register_run(run, cluster.peers()).map_err(told)?;
        }
        let settings = WriterSettings::of(config, cluster.workers());
        let writer = Arc::new(CheckpointWriter::start(store, settings).map_err(told)?);
        let taking = Some(Taking { writer, interval_ms: config.interval_ms, run });
        Ok(Checkpoints { taking, name, restore, restoring_since })
    }

    fn restore(&self, cluster: &Cluster) -> anyhow::Result<Vec<Restore>> {
        let Some(found) = &self.found else { return Ok(Vec::new()) };
        let share = |worker| -> anyhow::Result<Restore> {
            let state: State = found.share(worker, cluster.peers()).map_err(told)?;
            Ok(Restore { frontier: found.id.frontier, partitions: found.partitions.clone(), state })
        };
        cluster.workers().map(share).collect()
    }
}

/// The checkpoints that a running pipeline takes, and the one that it takes up.
pub(crate) struct Checkpoints {
    taking: Option<Taking>,
    name: String,
    /// Of each worker of this process.
    restore: Vec<Restore>,
    restoring_since: Option<Instant>,
}

/// Who stores the parts, and how often there are any.
#[derive(Clone)]
struct Taking {
    writer: Arc<CheckpointWriter>,
    interval_ms: u64,
    run: u128,
}

impl Checkpoints {
    /// What tells the checkpoint that is taken up from every other; empty for none.
    pub(crate) fn name(&self) -> String {
        self.name.clone()
    }

    /// When the workers take checkpoints.
    pub(crate) fn policy(&self) -> Option<CheckpointPolicy> {
        let Taking { writer, interval_ms, run } = self.taking.clone()?;
        let may_begin = Arc::new(move || writer.may_begin());
        Some(CheckpointPolicy { interval_ms, run, may_begin })
    }

    /// What each worker of this process takes up, the first time that it is asked for.
    pub(crate) fn take_restore(&mut self) -> Vec<Restore> {
        std::mem::take(&mut self.restore)
    }

    /// When the checkpoint that is taken up began to be read; none without one.
    pub(crate) fn restoring_since(&self) -> Option<Instant> {
        self.restoring_since
    }

    /// Where parts go.
    pub(crate) fn sink(&self) -> Option<PartSink> {
        self.taking.as_ref().map(|taking| PartSink(taking.writer.clone()))
    }

    /// Stores what is under way. The sinks must have been closed, and the graph have ended.
    pub(crate) fn close(self, within: Duration) {
        if let Some(Taking { writer, .. }) = self.taking
            && let Err(error) = writer.close(within)
        {
            let problem = told(error);
            tracing::warn!(%problem, "the last checkpoint is not stored, an older one is taken up at the next start");
        }
    }
}

/// Takes the parts of the workers.
#[derive(Clone)]
pub(crate) struct PartSink(Arc<CheckpointWriter>);

impl PartSink {
    /// Takes a part, to be stored once all tickets are.
    pub(super) fn submit(&self, part: CheckpointPart, tickets: Vec<Ticket>) {
        if let Err(error) = self.0.submit(part, tickets) {
            let problem = told(error);
            tracing::warn!(%problem, "part of a checkpoint left out");
        }
    }

    /// Where the checkpoints of this process stand.
    pub(super) fn status(&self) -> CheckpointStatus {
        self.0.status()
    }
}
