//! The status of the running pipeline, assembled from the reports of its threads.

use super::checkpoints::PartSink;
use crate::sinks::SinkQueue;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tallow_model::clock::SystemClock;
use tallow_model::distribution::{CLOSE_SECONDS, Distribution};
use tallow_model::progress::Progress;
use tallow_model::store::{CheckpointFigures, PartitionStatus, Pipeline, PipelineStatus, SinkStatus};
use tallow_model::{
    AlertStatus, Clock, Counts, EventTime, Interval, PartitionProgress, SettledCandle, Severity, Step,
    next_second,
};

/// The progress of reading, by partition.
pub type Partitions = BTreeMap<u32, PartitionProgress>;

/// The status of the log, as the pipeline's status needs it.
pub trait LogStatus: Send + Sync {
    /// Returns the log's status as one of the services.
    fn service(&self) -> SinkStatus;

    /// Returns whether the records that the log held at the start have been read.
    fn is_read(&self, partitions: &Partitions) -> bool;

    /// Returns the number of records written and not yet read, by partition, if known.
    fn pending(&self) -> BTreeMap<u32, u64>;
}

/// The parts of a pipeline that its status covers.
pub struct StatusSettings {
    /// The source of the ticks.
    pub source: String,
    /// The workers of this process.
    pub workers: Range<usize>,
    /// The graph's setting of the same name, in milliseconds.
    pub max_out_of_orderness_ms: u64,
    /// The log that is read.
    pub log: Arc<dyn LogStatus>,
    /// The queues of the stores that must store everything.
    pub stores: Vec<Arc<SinkQueue>>,
    /// The status of each sink that need not store everything.
    pub others: Vec<Box<dyn Fn() -> SinkStatus + Send + Sync>>,
    /// The checkpoints that are taken; `None` if none are.
    pub checkpoints: Option<PartSink>,
    /// The time at which reading the checkpoint to resume from began.
    pub restoring_since: Option<Instant>,
}

/// The status that all threads write to, for moments and without waiting for anything else.
pub struct StatusBoard {
    settings: StatusSettings,
    state: Mutex<Reports>,
}

/// The progress of catching up with the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CatchUpPhase {
    /// The records that the log held at the start have not all been read.
    Reading,
    /// They have been read; everything with a logical time below this is yet to be settled and
    /// stored.
    Settling(EventTime),
    /// Everything up to this time has been settled and stored.
    Done(EventTime),
}

struct Reports {
    catch_up: CatchUpPhase,
    partitions: Partitions,
    /// The time at which each partition last had a record, or first reported.
    heard: BTreeMap<u32, Instant>,
    frontiers: Progress,
    close_seconds: Distribution,
    candles_settled: [u64; 3],
    corrections: [u64; 3],
    alerts_raised: [u64; 3],
    alerts_retracted: u64,
    /// The time that resuming from a checkpoint took, in seconds.
    restore_seconds: Option<f64>,
    failure: Option<String>,
}

impl StatusBoard {
    /// Returns the status of a pipeline that is about to start.
    pub fn new(settings: StatusSettings) -> StatusBoard {
        let state = Reports {
            catch_up: CatchUpPhase::Reading,
            partitions: Partitions::new(),
            heard: BTreeMap::new(),
            close_seconds: Distribution::new(CLOSE_SECONDS),
            frontiers: Progress::new(settings.workers.clone()),
            candles_settled: [0; 3],
            corrections: [0; 3],
            alerts_raised: [0; 3],
            alerts_retracted: 0,
            restore_seconds: None,
            failure: None,
        };
        StatusBoard { settings, state: Mutex::new(state) }
    }

    /// Notes how far a worker has read.
    pub fn read(&self, partitions: &[PartitionProgress]) {
        let mut state = self.state();
        let now = Instant::now();
        for progress in partitions {
            let before = state.partitions.insert(progress.partition, *progress);
            if before.is_none_or(|before| before.counts.records_in != progress.counts.records_in) {
                state.heard.insert(progress.partition, now);
            }
        }
        self.follow(&mut state);
    }

    /// Notes what a worker has settled.
    pub fn settled(&self, step: &Step) {
        let mut state = self.state();
        state.frontiers.observe(step);
        if state.restore_seconds.is_none()
            && let Some(since) = self.settings.restoring_since
        {
            state.restore_seconds = Some(since.elapsed().as_secs_f64());
        }
        let is_present = matches!(state.catch_up, CatchUpPhase::Done(_));
        let now_ms = if step.candles.is_empty() { 0 } else { SystemClock.now_ms() };
        for SettledCandle { interval, revision, candle, .. } in &step.candles {
            let place = Interval::ALL.iter().position(|it| it == interval).unwrap_or_default();
            let counts = if *revision == 0 { &mut state.candles_settled } else { &mut state.corrections };
            counts[place] += 1;
            if is_present && *revision == 0 {
                let window_end_ms = candle.window_start.millis() + interval.millis();
                state.close_seconds.observe(now_ms.saturating_sub(window_end_ms) as f64 / 1_000.0);
            }
        }
        for settled in &step.alerts {
            let severity = settled.alert.severity();
            let place = Severity::ALL.iter().position(|it| *it == severity).unwrap_or_default();
            match settled.status {
                AlertStatus::Raised => state.alerts_raised[place] += 1,
                AlertStatus::Retracted => state.alerts_retracted += 1,
            }
        }
    }

    /// Notes a final failure. The first one stays.
    pub fn fail(&self, failure: String) {
        self.state().failure.get_or_insert(failure);
    }

    /// Returns the final failure, if there is one.
    pub fn failure(&self) -> Option<String> {
        let failure = self.state().failure.clone();
        failure.or_else(|| {
            let failed = |store: &Arc<SinkQueue>| {
                store.failure().map(|failure| format!("store what has settled: {failure}"))
            };
            self.settings.stores.iter().find_map(failed)
        })
    }

    /// Returns the frontier that stands for the present as of the start; `None` until the log has
    /// been read up to it.
    pub fn present(&self) -> Option<EventTime> {
        match self.state().catch_up {
            CatchUpPhase::Settling(present) | CatchUpPhase::Done(present) => Some(present),
            CatchUpPhase::Reading => None,
        }
    }

    /// Returns whether the log has been read, settled and stored up to the present.
    pub fn is_ready(&self) -> bool {
        let mut state = self.state();
        self.follow(&mut state);
        matches!(state.catch_up, CatchUpPhase::Done(_))
    }

    /// Advances the catch-up as far as possible.
    fn follow(&self, state: &mut Reports) {
        if state.catch_up == CatchUpPhase::Reading && self.settings.log.is_read(&state.partitions) {
            // The newest and not the least of the watermarks: the history belongs to the present
            // only once the partition that is furthest behind has reached that.
            let watermark = state
                .max_event_time()
                .map_or(0, |time| time.millis().saturating_sub(self.settings.max_out_of_orderness_ms));
            let present = if watermark == 0 { 0 } else { next_second(watermark) };
            state.catch_up = CatchUpPhase::Settling(EventTime(present));
        }
        if let CatchUpPhase::Settling(present) = state.catch_up
            && (present.millis() == 0 || state.frontiers.through() >= Some(present))
        {
            let stored = |store: &Arc<SinkQueue>| store.status().stored_through >= Some(present);
            if present.millis() == 0 || self.settings.stores.iter().all(stored) {
                state.catch_up = CatchUpPhase::Done(present);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, Reports> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reports {
    fn max_event_time(&self) -> Option<EventTime> {
        self.partitions.values().filter_map(|progress| progress.max_event_time).max()
    }
}

impl Pipeline for StatusBoard {
    fn source(&self) -> String {
        self.settings.source.clone()
    }

    fn status(&self) -> PipelineStatus {
        let ready = self.is_ready();
        let failure = self.failure();
        let pending = self.settings.log.pending();
        let mut sinks = vec![self.settings.log.service()];
        sinks.extend(self.settings.stores.iter().map(|store| store.status()));
        sinks.extend(self.settings.others.iter().map(|status| status()));
        let checkpoints = self.settings.checkpoints.as_ref().map(PartSink::status);
        sinks.extend(checkpoints.as_ref().map(|status| SinkStatus {
            name: "checkpoints".to_owned(),
            problem: status.problem.clone(),
            ..SinkStatus::default()
        }));
        let state = self.state();
        let mut counts = Counts::default();
        state.partitions.values().for_each(|progress| counts.add(&progress.counts));
        let partition = |progress: &PartitionProgress| PartitionStatus {
            progress: *progress,
            pending: pending.get(&progress.partition).copied(),
            silent_seconds: state.heard.get(&progress.partition).map(|heard| heard.elapsed().as_secs_f64()),
        };
        PipelineStatus {
            source: self.settings.source.clone(),
            ready: ready && failure.is_none(),
            counts,
            watermark: state.frontiers.through(),
            max_event_time: state.max_event_time(),
            close_seconds: Some(state.close_seconds.clone()),
            candles_settled: state.candles_settled,
            corrections: state.corrections,
            alerts_raised: state.alerts_raised,
            alerts_retracted: state.alerts_retracted,
            partitions: state.partitions.values().map(partition).collect(),
            sinks,
            checkpoint: checkpoints.map(|status| CheckpointFigures {
                frontier: status.last.map(|id| id.frontier),
                stored_at: status.completed_at_ms.map(EventTime),
                bytes: status.bytes,
                duration_seconds: status.duration.as_secs_f64(),
                stored: status.written,
                given_up: status.given_up,
                restore_seconds: state.restore_seconds,
            }),
            failure,
        }
    }
}
