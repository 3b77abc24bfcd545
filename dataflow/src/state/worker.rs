//! State that the operators of one worker share beside the edges of the graph.

use crate::state::checkpoint::ResumePoint;
use crate::state::part::CheckpointPart;
use crate::state::resume_points::ResumeIndex;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use timely::dataflow::operators::probe::Handle as ProbeHandle;

/// Every side channel between operators of one worker. Clones share the same state.
///
/// - **Resume indexes**, `source` → `minutes`. `minutes` asks only at the frontier of a checkpoint;
///   an edge would send an entry for every multiple of the interval.
/// - **Busy**, `minutes` → `source`. It runs against the stream: an edge would close a cycle, which
///   timely allows only if the edge advances logical time.
/// - **Pending parts**, `minutes` → `settle`. `settle` keeps a part until its own frontier reaches
///   the part's. A queue does just that; an edge would be a second input in front of the same
///   queue.
/// - **Settled**, `settle` → `source`. It is a frontier and no data; timely offers it as a probe.
#[derive(Clone, Default)]
pub(crate) struct WorkerState {
    resume_indexes: Rc<RefCell<Vec<SharedResumeIndex>>>,
    busy: Rc<Cell<bool>>,
    pending_parts: Rc<RefCell<VecDeque<CheckpointPart>>>,
    /// Frontier of everything that has settled on all workers.
    pub(crate) settled: ProbeHandle<u64>,
}

/// The resume index of one partition, written by its reader.
pub(crate) type SharedResumeIndex = Rc<RefCell<ResumeIndex>>;

impl WorkerState {
    /// Registers the resume index of a partition.
    pub(crate) fn add_resume_index(&self, index: ResumeIndex) -> SharedResumeIndex {
        let index = Rc::new(RefCell::new(index));
        self.resume_indexes.borrow_mut().push(Rc::clone(&index));
        index
    }

    /// Returns the resume points of all partitions for a frontier that the source has passed.
    pub(crate) fn resume_points(&self, frontier: u64) -> Vec<ResumePoint> {
        let indexes = self.resume_indexes.borrow();
        indexes.iter().filter_map(|index| index.borrow().resume_point(frontier)).collect()
    }

    /// Whether `minutes` has an expiry or a restore in hand, during which the source reads nothing.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy.get()
    }

    pub(crate) fn set_busy(&self, busy: bool) {
        self.busy.set(busy);
    }

    /// Hands a part from `minutes` to `settle`, which adds the version counts of roll-ups.
    pub(crate) fn push_part(&self, part: CheckpointPart) {
        self.pending_parts.borrow_mut().push_back(part);
    }

    /// Takes the oldest pending part if its frontier is at or below `frontier`; `None` as
    /// `frontier` stands for the end of time.
    pub(crate) fn pop_part(&self, frontier: Option<u64>) -> Option<CheckpointPart> {
        let is_passed =
            |part: &mut CheckpointPart| frontier.is_none_or(|frontier| frontier >= part.id.frontier.millis());
        self.pending_parts.borrow_mut().pop_front_if(is_passed)
    }

    /// Returns the time below which everything has settled on all workers; `held`, the time of the
    /// caller's capability, once nothing is left to settle.
    pub(crate) fn settled_before(&self, held: u64) -> u64 {
        self.settled.with_frontier(|frontier| frontier.first().copied()).unwrap_or(held)
    }
}
