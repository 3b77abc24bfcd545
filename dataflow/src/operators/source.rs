//! `source`: reads a worker's partitions, gives each record its logical time, and holds back the
//! frontier.
//!
//! - **Input.** The partitions that this worker owns, read in turns of at most `batch_records`.
//! - **Output.** Partial bars under the worker's one capability; each carries its own logical time,
//!   which is never earlier. Rejects and counts leave through the worker's output.
//! - **Frontier.** The capability stands at the least frontier of the live partitions' watermarks,
//!   and timely's progress protocol makes the global minimum of it. A finished partition does not
//!   count. An idle partition (read to its end and silent for `idle_timeout`, or empty from the
//!   start) does not count either. If all of this worker's partitions are idle, the capability
//!   follows the other workers', and the clock if theirs are idle too (see `idle_reports.rs`).
//! - **Silence** counts only while a worker listens: a turn adds at most a quarter of
//!   `idle_timeout`, and a turn adds nothing while a partition's log can't be reached. A machine
//!   that wakes up after an hour has not heard an hour of silence, so the records written meanwhile
//!   are not late.
//! - **Arrivals.** A partition that is added to the log later is read like the others from the next
//!   turn on. It is idle until its first record.
//! - **Alignment.** A partition whose watermark is more than `max_skew` ahead of the settled
//!   frontier is not read, so that neither a slow partition nor a slow worker makes ticks pile up.
//!   Law: `tests/oracle.rs::a_partition_that_runs_ahead_changes_nothing`.
//! - **Back-pressure.** Nothing is read while the output is full, or while `minutes` is busy with
//!   an expiry or a restore. A partition that is not read is not idle.
//! - **Checkpoints.** When worker 0's frontier reaches a multiple of the interval and a checkpoint
//!   may begin, worker 0 sends a marker to all workers under a capability of that time, so each
//!   worker gets the marker before its frontier passes there. A rule without markers (every
//!   multiple) would not do: a catch-up passes thousands of multiples, and one place must know how
//!   many checkpoints the stores can take. Resume points come from `state/resume_points.rs`.
//! - **Restore.** Partitions resume at the checkpoint's resume points, and time starts at its
//!   frontier.
//! - **State.** A watermark, counts and a resume index per partition; the batch in hand.
//!
//! Tests: `tests/idle.rs` for silence, arrivals and back-pressure.

mod partition;

use super::combine::{Combiner, PartialBar};
use super::idle_reports::{Advance, IdleReport, IdleReports};
use crate::output::SharedOutput;
use crate::settings::Settings;
use crate::state::checkpoint::{CheckpointId, CheckpointPolicy, ResumePoint};
use crate::state::resume_points::ResumeIndex;
use crate::state::worker::{SharedResumeIndex, WorkerState};
use partition::{Partition, PartitionState};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;
use tallow_model::{Clock, EventTime, PartitionProgress, PartitionReader, ReadStatus, next_second};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::{OutputBuilder, builder_rc::OperatorBuilder};
use timely::dataflow::{Scope, StreamVec};

/// Pause after a turn that had nothing to read: a fraction of the time in which a tick must become
/// visible.
const IDLE_PAUSE: Duration = Duration::from_millis(2);

/// Pause after a turn that left records unread because earlier ones must settle first.
const UNSETTLED_PAUSE: Duration = Duration::from_micros(100);

/// Number of partial bars in a batch at which the rest of the graph gets its turn.
const MAX_PARTIALS: usize = 65_536;

/// Everything that the source works with.
pub(crate) struct SourceConfig {
    pub(crate) settings: Arc<Settings>,
    pub(crate) readers: Vec<Box<dyn PartitionReader>>,
    pub(crate) arrivals: Option<Receiver<Box<dyn PartitionReader + Send>>>,
    pub(crate) output: SharedOutput,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) idle_reports: IdleReports,
    pub(crate) shared: WorkerState,
    pub(crate) checkpoints: Option<CheckpointPolicy>,
    /// The frontier at which time starts, and resume points of the partitions; `None` for the
    /// beginning.
    pub(crate) resume: Option<(EventTime, Vec<ResumePoint>)>,
}

/// Adds the source to the graph, and returns partial bars and the markers of checkpoints.
pub(crate) fn source<'scope>(
    scope: Scope<'scope, u64>,
    config: SourceConfig,
) -> (StreamVec<'scope, u64, PartialBar>, StreamVec<'scope, u64, CheckpointId>) {
    let mut builder = OperatorBuilder::new("source".to_owned(), scope);
    let activator = scope.activator_for(builder.operator_info().address);
    let (output, partials) = builder.new_output();
    let (marker_output, markers) = builder.new_output();
    let mut output = OutputBuilder::from(output);
    let mut marker_output = OutputBuilder::from(marker_output);
    let worker = scope.index();
    builder.build(move |mut capabilities| {
        let mut marker_capability = capabilities.pop();
        let mut capability = capabilities.pop();
        let start = config.resume.as_ref().map_or(0, |(frontier, _)| frontier.millis());
        for capability in [&mut capability, &mut marker_capability].into_iter().flatten() {
            advance(capability, start);
        }
        let mut source = Source::new(worker, config);
        // Only worker 0 sends markers.
        marker_capability = marker_capability.filter(|_| worker == 0 && source.checkpoints.is_some());
        move |_frontiers| {
            let Some(held) = capability.as_mut() else { return };
            let turn = source.turn(*held.time());
            if source.combiner.len() > 0 {
                output.activate().session(held).give_iterator(source.combiner.drain());
            }
            match turn.frontier {
                Some(frontier) => {
                    let checkpoint = source.give_up(*held.time(), frontier);
                    if let Some(marker_held) = &mut marker_capability {
                        if let Some(id) = checkpoint {
                            let at = marker_held.delayed(&id.frontier.millis());
                            marker_output.activate().session(&at).give(id);
                        }
                        advance(marker_held, frontier);
                    }
                    advance(held, frontier);
                    match turn.pause {
                        Some(pause) => activator.activate_after(pause),
                        None => activator.activate(),
                    }
                }
                None => (capability, marker_capability) = (None, None),
            }
        }
    });
    (partials, markers)
}

/// Downgrades a capability only if it moves: every downgrade is a progress message.
fn advance(capability: &mut Capability<u64>, frontier: u64) {
    if frontier > *capability.time() {
        capability.downgrade(&frontier);
    }
}

/// Result of one turn of the source.
struct Turn {
    /// The least logical time that may still be sent; `None` once the input has ended.
    frontier: Option<u64>,
    /// Pause before the next turn; `None` if something was read, so that more may follow at once.
    pause: Option<Duration>,
}

struct Source {
    worker: usize,
    settings: Arc<Settings>,
    partitions: Vec<Partition>,
    arrivals: Option<Receiver<Box<dyn PartitionReader + Send>>>,
    output: SharedOutput,
    clock: Arc<dyn Clock>,
    idle_reports: IdleReports,
    shared: WorkerState,
    checkpoints: Option<CheckpointPolicy>,
    /// Frontier of the last checkpoint that worker 0 has begun.
    last_checkpoint: Option<u64>,
    combiner: Combiner,
    progress: Vec<PartitionProgress>,
    /// Clock time of the last turn.
    turned_ms: u64,
    /// Time in which no partition has had a record.
    silent_ms: u64,
}

impl Source {
    fn new(worker: usize, config: SourceConfig) -> Source {
        let now_ms = config.clock.now_ms();
        let mut source = Source {
            worker,
            settings: config.settings,
            partitions: Vec::new(),
            arrivals: config.arrivals,
            output: config.output,
            clock: config.clock,
            idle_reports: config.idle_reports,
            shared: config.shared,
            checkpoints: config.checkpoints,
            last_checkpoint: None,
            combiner: Combiner::default(),
            progress: Vec::new(),
            turned_ms: now_ms,
            silent_ms: 0,
        };
        let (frontier, points) = config.resume.unwrap_or_default();
        for reader in config.readers {
            let index = source.add_resume_index(reader.partition(), frontier.millis());
            let point = points.iter().find(|point| point.partition == reader.partition());
            source.partitions.push(match point {
                Some(point) => Partition::resumed(reader, index, point, frontier, &source.settings),
                None => Partition::new(reader, index),
            });
        }
        source
    }

    /// Registers the resume index of a partition whose reading begins now; `None` without
    /// checkpoints.
    fn add_resume_index(&self, partition: u32, since: u64) -> Option<SharedResumeIndex> {
        let policy = self.checkpoints.as_ref()?;
        Some(self.shared.add_resume_index(ResumeIndex::new(partition, policy.interval_ms, since)))
    }

    /// Notes that the capability moves from `held` to `frontier`, and returns the checkpoint that
    /// worker 0 begins on the way.
    fn give_up(&mut self, held: u64, frontier: u64) -> Option<CheckpointId> {
        let policy = self.checkpoints.as_ref()?;
        let time = frontier / policy.interval_ms * policy.interval_ms;
        if time <= held {
            return None;
        }
        let settled = self.shared.settled_before(held);
        self.partitions.iter().for_each(|partition| partition.give_up(frontier, settled));
        // One checkpoint at a time: until all workers have given their parts of the last one,
        // the time that the stores take is unknown.
        let is_done = self.last_checkpoint.is_none_or(|last| settled > last);
        if self.worker != 0 || !is_done || !(policy.may_begin)() {
            return None;
        }
        self.last_checkpoint = Some(time);
        Some(CheckpointId { frontier: EventTime(time), run: policy.run })
    }

    /// Reads from every partition that may be read. `held` is the time of the worker's capability.
    fn turn(&mut self, held: u64) -> Turn {
        self.take_arrivals(held);
        let now_ms = self.clock.now_ms();
        let listened_ms = now_ms.saturating_sub(self.turned_ms).min(self.settings.idle_timeout_ms / 4);
        self.turned_ms = now_ms;
        let is_full = self.output.borrow().is_full();
        let must_wait = is_full || self.shared.is_busy();
        let settled = self.shared.settled_before(held);
        let mut rejects = Vec::new();
        let mut has_read = false;
        let mut is_held_up = false;
        let mut is_unheard = false;
        for partition in &mut self.partitions {
            if partition.state == PartitionState::Finished {
                continue;
            }
            let is_ahead = partition.watermark.frontier().saturating_sub(settled) > self.settings.max_skew_ms;
            if must_wait || is_ahead || self.combiner.len() >= MAX_PARTIALS {
                partition.state = PartitionState::Live;
                is_held_up |= !is_full;
                continue;
            }
            let before = partition.counts.records_in;
            let status = partition.read(&self.settings, now_ms, held, &mut self.combiner, &mut rejects);
            let read_some = partition.counts.records_in > before;
            has_read |= read_some;
            partition.silent_ms = match (read_some, &status) {
                (true, _) => 0,
                (false, ReadStatus::Pending) => partition.silent_ms,
                (false, _) => partition.silent_ms + listened_ms,
            };
            partition.state = match status {
                ReadStatus::Pending => {
                    is_unheard = true;
                    PartitionState::Live
                }
                ReadStatus::More => {
                    has_read = true;
                    PartitionState::Live
                }
                ReadStatus::CaughtUp => {
                    let is_silent = partition.silent_ms >= self.settings.idle_timeout_ms;
                    let is_idle = !read_some && (partition.offset.is_none() || is_silent);
                    if is_idle { PartitionState::Idle } else { PartitionState::Live }
                }
                ReadStatus::Finished => PartitionState::Finished,
                ReadStatus::Failed(message) => {
                    self.output.borrow_mut().failed(partition.reader.partition(), message);
                    PartitionState::Finished
                }
            };
        }
        self.silent_ms = match (has_read, must_wait || is_unheard) {
            (true, _) => 0,
            (false, true) => self.silent_ms,
            (false, false) => self.silent_ms + listened_ms,
        };
        if !rejects.is_empty() {
            self.output.borrow_mut().rejected(rejects);
        }
        self.send_progress();
        let pause = match (has_read, is_held_up) {
            (true, _) => None,
            (false, true) => Some(UNSETTLED_PAUSE),
            (false, false) => Some(IDLE_PAUSE),
        };
        Turn { frontier: self.frontier(held, now_ms), pause }
    }

    /// Takes over partitions that have been added to the log.
    fn take_arrivals(&mut self, held: u64) {
        while let Some(arrivals) = &self.arrivals {
            match arrivals.try_recv() {
                Ok(reader) => {
                    let index = self.add_resume_index(reader.partition(), held);
                    self.partitions.push(Partition::new(reader, index));
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => self.arrivals = None,
            }
        }
    }

    /// Returns the least logical time that this worker may still send; `None` once its input has
    /// ended.
    fn frontier(&mut self, held: u64, now_ms: u64) -> Option<u64> {
        let live = self.partitions.iter().filter(|it| it.state == PartitionState::Live);
        let live_frontier = live.map(|it| it.watermark.frontier()).min();
        let max_event_time = self.partitions.iter().filter_map(|it| it.watermark.max_event_time()).max();
        let report = IdleReport {
            worker: self.worker,
            live_frontier: live_frontier.map(|frontier| frontier.max(held)),
            max_event_time: max_event_time.map(EventTime::millis),
            silent_ms: Some(self.silent_ms),
        };
        let is_finished = |it: &Partition| it.state == PartitionState::Finished;
        if self.arrivals.is_none() && self.partitions.iter().all(is_finished) {
            self.idle_reports.finish(report);
            return None;
        }
        self.idle_reports.send(report, now_ms);
        Some(live_frontier.unwrap_or_else(|| match self.idle_reports.advance(now_ms) {
            Advance::Unknown => held,
            Advance::Live(frontier) => frontier,
            Advance::Silent { max_event_time, silent_ms } => next_second(
                (max_event_time + silent_ms).saturating_sub(self.settings.max_out_of_orderness_ms),
            ),
        }))
    }

    fn send_progress(&mut self) {
        let now: Vec<PartitionProgress> = self.partitions.iter().map(Partition::progress).collect();
        if now != self.progress {
            self.output.borrow_mut().progress(&now);
            self.progress = now;
        }
    }
}
