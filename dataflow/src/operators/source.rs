//! The source: reads a worker's partitions, decides where each record belongs, and holds back time.
//!
//! - **Input.** The partitions that this worker owns. Each is read in turns of at most `batch_records`.
//! - **Output.** Partial bars under the worker's one capability; each carries its own logical time, which is never
//!   earlier. Rejects and counts leave by the outlet.
//! - **Frontier.** The capability stands at the least frontier of the live partitions' watermarks, and timely's
//!   progress protocol makes the global minimum of it. A partition that has finished does not count. One that is idle
//!   (read to its end and silent for `idle_timeout`, or empty from the start) does not count either; if all of this
//!   worker's are, the capability follows the other workers', and the clock if theirs are idle too (see `peers.rs`).
//! - **Silence** counts only while somebody listens: a turn adds at most a quarter of `idle_timeout`, and none while a
//!   partition's log can't be reached. A machine that wakes up after an hour has not heard an hour of silence, and what
//!   was written meanwhile is not late.
//! - **Arrivals.** A partition that the log gets later is read like the others from its next turn on; until it has a
//!   record it is idle.
//! - **Alignment.** A partition whose watermark is more than `max_skew` ahead of what has settled everywhere is not read:
//!   neither a slow partition nor a slow worker lets ticks pile up.
//! - **Back-pressure.** While the outlet is full, or `minutes` is busy with an expiry or a restore, nothing is read. A partition that is not
//!   read is not idle.
//! - **Checkpoints.** As worker 0's frontier reaches a multiple of the interval and a checkpoint may begin, it sends a marker
//!   to all workers, under a capability of that time: so each gets it before the frontier has passed there. Why not every
//!   multiple, by a rule that needs no marker: a catch-up passes thousands of them, and how many the stores can take
//!   up only one place can say. Where to read on is kept in marks (`source/marks.rs`).
//! - **Restore.** Partitions go on where the checkpoint's resume points say, and time starts at its frontier.
//! - **State.** A watermark, counts and marks per partition; the batch in hand.

pub(crate) mod marks;
mod partition;

use super::combine::{Combiner, PartialBar};
use super::peers::{Advance, Peers, Report};
use crate::checkpoint::{CheckpointId, CheckpointPolicy, ResumePoint};
use crate::outlet::SharedOutlet;
use crate::settings::Settings;
use marks::Marks;
use partition::{Partition, State};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;
use tallow_model::{Clock, PartitionProgress, PartitionReader, ReadStatus};
use tallow_model::{EventTime, next_second};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::{OutputBuilder, builder_rc::OperatorBuilder};
use timely::dataflow::operators::probe::Handle as ProbeHandle;
use timely::dataflow::{Scope, StreamVec};

/// How long the source rests when there was nothing to read: a share of the time in which a tick must be visible.
const REST: Duration = Duration::from_millis(2);

/// How long it rests when there is something to read, but what it has read must settle first.
const SHORT_REST: Duration = Duration::from_micros(100);

/// The most partial bars that a batch collects before the rest of the graph gets its turn.
const MAX_PARTIALS: usize = 65_536;

/// What the source works with.
pub(crate) struct SourceConfig {
    pub(crate) settings: Arc<Settings>,
    pub(crate) readers: Vec<Box<dyn PartitionReader>>,
    pub(crate) arrivals: Option<Receiver<Box<dyn PartitionReader + Send>>>,
    pub(crate) outlet: SharedOutlet,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) peers: Peers,
    /// Shows what has settled on all workers.
    pub(crate) settled: ProbeHandle<u64>,
    /// Whether this worker's `minutes` is busy with an expiry or a restore.
    pub(crate) busy: Rc<Cell<bool>>,
    pub(crate) checkpoints: Option<CheckpointPolicy>,
    /// Where to take up the partitions, and time; none for the beginning.
    pub(crate) resume: Option<(EventTime, Vec<ResumePoint>)>,
    /// Where the marks of the partitions go.
    pub(crate) marks: SharedMarks,
}

/// The marks of all partitions of a worker.
pub(crate) type SharedMarks = Rc<RefCell<Vec<Rc<RefCell<Marks>>>>>;

/// Adds the source to the graph: partial bars, and where checkpoints are cut.
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
        let begins = config.resume.as_ref().map_or(0, |(frontier, _)| frontier.millis());
        for capability in [&mut capability, &mut marker_capability].into_iter().flatten() {
            advance(capability, begins);
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
                    let cut = source.pass(*held.time(), frontier);
                    if let Some(marker_held) = &mut marker_capability {
                        if let Some(id) = cut {
                            let at = marker_held.delayed(&id.frontier.millis());
                            marker_output.activate().session(&at).give(id);
                        }
                        advance(marker_held, frontier);
                    }
                    advance(held, frontier);
                    match turn.rest {
                        Some(rest) => activator.activate_after(rest),
                        None => activator.activate(),
                    }
                }
                None => (capability, marker_capability) = (None, None),
            }
        }
    });
    (partials, markers)
}

/// Downgrades only where there is something to tell.
fn advance(capability: &mut Capability<u64>, frontier: u64) {
    if frontier > *capability.time() {
        capability.downgrade(&frontier);
    }
}

/// How one turn of the source ended.
struct Turn {
    /// The least logical time that may still come; none when nothing will.
    frontier: Option<u64>,
    /// How long to rest before the next turn; none if something was read, so that there may be more.
    rest: Option<Duration>,
}

struct Source {
    worker: usize,
    settings: Arc<Settings>,
    partitions: Vec<Partition>,
    arrivals: Option<Receiver<Box<dyn PartitionReader + Send>>>,
    outlet: SharedOutlet,
    clock: Arc<dyn Clock>,
    peers: Peers,
    settled: ProbeHandle<u64>,
    busy: Rc<Cell<bool>>,
    checkpoints: Option<CheckpointPolicy>,
    /// Where the last checkpoint was to be cut.
    last_cut: Option<u64>,
    marks: SharedMarks,
    combiner: Combiner,
    progress: Vec<PartitionProgress>,
    /// When the last turn was.
    turned_ms: u64,
    /// For how long no partition has had a record.
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
            outlet: config.outlet,
            clock: config.clock,
            peers: config.peers,
            settled: config.settled,
            busy: config.busy,
            checkpoints: config.checkpoints,
            last_cut: None,
            marks: config.marks,
            combiner: Combiner::default(),
            progress: Vec::new(),
            turned_ms: now_ms,
            silent_ms: 0,
        };
        let (frontier, points) = config.resume.unwrap_or_default();
        for reader in config.readers {
            let marks = source.marks_of(reader.partition(), frontier.millis());
            let point = points.iter().find(|point| point.partition == reader.partition());
            source.partitions.push(match point {
                Some(point) => Partition::resumed(reader, marks, point, frontier, &source.settings),
                None => Partition::new(reader, marks),
            });
        }
        source
    }

    /// The marks of a partition that is read from now on, where there are checkpoints.
    fn marks_of(&self, partition: u32, since: u64) -> Option<Rc<RefCell<Marks>>> {
        let policy = self.checkpoints.as_ref()?;
        let marks = Rc::new(RefCell::new(Marks::new(partition, policy.interval_ms, since)));
        self.marks.borrow_mut().push(Rc::clone(&marks));
        Some(marks)
    }

    /// The capability goes from `held` to `frontier`. Returns the checkpoint that worker 0 lets begin on the way.
    fn pass(&mut self, held: u64, frontier: u64) -> Option<CheckpointId> {
        let policy = self.checkpoints.as_ref()?;
        let time = frontier / policy.interval_ms * policy.interval_ms;
        if time <= held {
            return None;
        }
        let settled = self.settled_before(held);
        self.partitions.iter().for_each(|partition| partition.pass(frontier, settled));
        // One at a time: the last must have been cut everywhere, or nobody could know yet how long it takes to store.
        let is_cut = self.last_cut.is_none_or(|last_cut| settled > last_cut);
        if self.worker != 0 || !is_cut || !(policy.may_begin)() {
            return None;
        }
        self.last_cut = Some(time);
        Some(CheckpointId { frontier: EventTime(time), run: policy.run })
    }

    /// Everything with a logical time below this has settled on all workers.
    fn settled_before(&self, held: u64) -> u64 {
        self.settled.with_frontier(|frontier| frontier.first().copied()).unwrap_or(held)
    }

    /// Reads from every partition that may be read. `held` is the time of the worker's capability.
    fn turn(&mut self, held: u64) -> Turn {
        self.take_arrivals(held);
        let now_ms = self.clock.now_ms();
        let listened_ms = now_ms.saturating_sub(self.turned_ms).min(self.settings.idle_timeout_ms / 4);
        self.turned_ms = now_ms;
        let full = self.outlet.borrow().is_full();
        let wait = full || self.busy.get();
        let settled = self.settled_before(held);
        let mut rejects = Vec::new();
        let mut busy = false;
        let mut held_up = false;
        let mut unheard = false;
        for partition in &mut self.partitions {
            if partition.state == State::Finished {
                continue;
            }
            let ahead = partition.watermark.frontier().saturating_sub(settled) > self.settings.max_skew_ms;
            if wait || ahead || self.combiner.len() >= MAX_PARTIALS {
                partition.state = State::Live;
                held_up |= !full;
                continue;
            }
            let before = partition.counts.records_in;
            let status = partition.read(&self.settings, now_ms, held, &mut self.combiner, &mut rejects);
            let read_some = partition.counts.records_in > before;
            busy |= read_some;
            partition.silent_ms = match (read_some, &status) {
                (true, _) => 0,
                (false, ReadStatus::Pending) => partition.silent_ms,
                (false, _) => partition.silent_ms + listened_ms,
            };
            partition.state = match status {
                ReadStatus::Pending => {
                    unheard = true;
                    State::Live
                }
                ReadStatus::More => {
                    busy = true;
                    State::Live
                }
                ReadStatus::CaughtUp => {
                    let silent = partition.silent_ms >= self.settings.idle_timeout_ms;
                    let idle = !read_some && (partition.offset.is_none() || silent);
                    if idle { State::Idle } else { State::Live }
                }
                ReadStatus::Finished => State::Finished,
                ReadStatus::Failed(message) => {
                    self.outlet.borrow_mut().failed(partition.reader.partition(), message);
                    State::Finished
                }
            };
        }
        self.silent_ms = match (busy, wait || unheard) {
            (true, _) => 0,
            (false, true) => self.silent_ms,
            (false, false) => self.silent_ms + listened_ms,
        };
        if !rejects.is_empty() {
            self.outlet.borrow_mut().rejected(rejects);
        }
        self.tell_progress();
        let rest = match (busy, held_up) {
            (true, _) => None,
            (false, true) => Some(SHORT_REST),
            (false, false) => Some(REST),
        };
        Turn { frontier: self.frontier(held, now_ms), rest }
    }

    /// Takes over the partitions that the log has got.
    fn take_arrivals(&mut self, held: u64) {
        while let Some(arrivals) = &self.arrivals {
            match arrivals.try_recv() {
                Ok(reader) => {
                    let marks = self.marks_of(reader.partition(), held);
                    self.partitions.push(Partition::new(reader, marks));
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => self.arrivals = None,
            }
        }
    }

    /// The least logical time that this worker may still send.
    fn frontier(&mut self, held: u64, now_ms: u64) -> Option<u64> {
        let live = self.partitions.iter().filter(|p| p.state == State::Live);
        let live_frontier = live.map(|p| p.watermark.frontier()).min();
        let max_event_time = self.partitions.iter().filter_map(|p| p.watermark.max_event_time()).max();
        let report = Report {
            worker: self.worker,
            live_frontier: live_frontier.map(|frontier| frontier.max(held)),
            max_event_time: max_event_time.map(EventTime::millis),
            silent_ms: Some(self.silent_ms),
        };
        if self.arrivals.is_none() && self.partitions.iter().all(|p| p.state == State::Finished) {
            self.peers.finish(report);
            return None;
        }
        self.peers.report(report, now_ms);
        Some(live_frontier.unwrap_or_else(|| match self.peers.advance(now_ms) {
            Advance::Unknown => held,
            Advance::Live(frontier) => frontier,
            Advance::Silent { max_event_time, silent_ms } => next_second(
                (max_event_time + silent_ms).saturating_sub(self.settings.max_out_of_orderness_ms),
            ),
        }))
    }

    fn tell_progress(&mut self) {
        let now: Vec<PartitionProgress> = self.partitions.iter().map(Partition::progress).collect();
        if now != self.progress {
            self.outlet.borrow_mut().progress(&now);
            self.progress = now;
        }
    }
}
