//! What the running pipeline says of itself, put together out of what its threads report.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tallow_connectors::simulator::PRODUCER;
use tallow_connectors::sinks::{Progress, SinkQueue};
use tallow_connectors::store::{Pipeline, PipelineStatus, SinkStatus};
use tallow_dataflow::{
    AlertStatus, Counts, EventTime, Interval, PartitionProgress, SettledCandle, Step, next_second,
};

/// The board on which threads write where they stand, for moments and without waiting for anything else.
pub(super) struct Board {
    max_out_of_orderness_ms: u64,
    store: Arc<SinkQueue>,
    state: Mutex<State>,
}

/// How far the catch-up with the log has come.
#[derive(Clone, Debug, PartialEq, Eq)]
enum CatchUp {
    /// The log does not reach the present yet.
    Writing,
    /// It does; each partition is to be read up to and with the record at this offset.
    Reading(Vec<Option<u64>>),
    /// It has been read; everything with a logical time below this is to be settled and stored.
    Settling(EventTime),
    /// It has been.
    Done(EventTime),
}

struct State {
    catch_up: CatchUp,
    log: SinkStatus,
    partitions: BTreeMap<u32, PartitionProgress>,
    frontiers: Progress,
    candles_settled: [u64; 3],
    corrections: [u64; 3],
    alerts_raised: u64,
    alerts_retracted: u64,
    failure: Option<String>,
}

impl Board {
    /// The board of a pipeline of so many workers whose results go to `store`.
    pub(super) fn new(workers: usize, max_out_of_orderness_ms: u64, store: Arc<SinkQueue>) -> Board {
        let state = State {
            catch_up: CatchUp::Writing,
            log: SinkStatus { name: "log".to_owned(), ..SinkStatus::default() },
            partitions: BTreeMap::new(),
            frontiers: Progress::new(workers),
            candles_settled: [0; 3],
            corrections: [0; 3],
            alerts_raised: 0,
            alerts_retracted: 0,
            failure: None,
        };
        Board { max_out_of_orderness_ms, store, state: Mutex::new(state) }
    }

    /// All ticks before `through` are in the log.
    pub(super) fn log_written(&self, through: EventTime) {
        let log = &mut self.state().log;
        (log.queue, log.stored_through, log.problem) = (0, Some(through), None);
    }

    /// So many lines wait for the log, which can't be written at the moment.
    pub(super) fn log_waits(&self, lines: u64, problem: String) {
        let log = &mut self.state().log;
        (log.queue, log.retries, log.problem) = (lines, log.retries + 1, Some(problem));
    }

    /// From here on the log grows with the present. Its last record so far has this offset in each partition.
    pub(super) fn log_reaches_present(&self, last_offsets: Vec<Option<u64>>) {
        let mut state = self.state();
        state.catch_up = CatchUp::Reading(last_offsets);
        self.follow(&mut state);
    }

    /// Takes note of how far a worker has read.
    pub(super) fn read(&self, partitions: &[PartitionProgress]) {
        let mut state = self.state();
        state.partitions.extend(partitions.iter().map(|progress| (progress.partition, *progress)));
        self.follow(&mut state);
    }

    /// Takes note of what a worker has settled.
    pub(super) fn settled(&self, step: &Step) {
        let mut state = self.state();
        state.frontiers.observe(step);
        for SettledCandle { interval, revision, .. } in &step.candles {
            let place = Interval::ALL.iter().position(|it| it == interval).unwrap_or_default();
            let counts = if *revision == 0 { &mut state.candles_settled } else { &mut state.corrections };
            counts[place] += 1;
        }
        for alert in &step.alerts {
            match alert.status {
                AlertStatus::Raised => state.alerts_raised += 1,
                AlertStatus::Retracted => state.alerts_retracted += 1,
            }
        }
    }

    /// Something has failed for good. The first failure stays.
    pub(super) fn fail(&self, failure: String) {
        self.state().failure.get_or_insert(failure);
    }

    /// What has failed for good.
    pub(super) fn failure(&self) -> Option<String> {
        self.state().failure.clone()
    }

    /// The frontier that stands for the present as of the start, once the log has been read up to it.
    pub(super) fn present(&self) -> Option<EventTime> {
        match self.state().catch_up {
            CatchUp::Settling(present) | CatchUp::Done(present) => Some(present),
            CatchUp::Writing | CatchUp::Reading(_) => None,
        }
    }

    /// Whether the log has been read, settled and stored up to the present.
    pub(super) fn is_ready(&self) -> bool {
        let mut state = self.state();
        self.follow(&mut state);
        matches!(state.catch_up, CatchUp::Done(_))
    }

    /// Moves the catch-up on as far as it has come.
    fn follow(&self, state: &mut State) {
        if let CatchUp::Reading(last_offsets) = &state.catch_up {
            let read = (0..).zip(last_offsets).all(|(partition, last)| {
                let progress = state.partitions.get(&partition);
                *last <= progress.and_then(|progress| progress.offset)
            });
            if read {
                // The newest and not the least of the watermarks: the history is of the present only once the
                // partition that is furthest behind has come there.
                let watermark = state
                    .max_event_time()
                    .map_or(0, |time| time.millis().saturating_sub(self.max_out_of_orderness_ms));
                let present = if watermark == 0 { 0 } else { next_second(watermark) };
                state.catch_up = CatchUp::Settling(EventTime(present));
            }
        }
        if let CatchUp::Settling(present) = state.catch_up
            && state.frontiers.through() >= Some(present)
            && self.store.status().stored_through >= Some(present)
        {
            state.catch_up = CatchUp::Done(present);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn max_event_time(&self) -> Option<EventTime> {
        self.partitions.values().filter_map(|progress| progress.max_event_time).max()
    }
}

impl Pipeline for Board {
    fn status(&self) -> PipelineStatus {
        let ready = self.is_ready();
        let store = self.store.status();
        let state = self.state();
        let mut counts = Counts::default();
        state.partitions.values().for_each(|progress| counts.add(&progress.counts));
        PipelineStatus {
            source: PRODUCER.source.to_owned(),
            ready: ready && state.failure.is_none(),
            counts,
            watermark: state.frontiers.through(),
            max_event_time: state.max_event_time(),
            candles_settled: state.candles_settled,
            corrections: state.corrections,
            alerts_raised: state.alerts_raised,
            alerts_retracted: state.alerts_retracted,
            sinks: vec![state.log.clone(), store],
            failure: state.failure.clone(),
        }
    }
}
