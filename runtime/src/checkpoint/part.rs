//! What the store needs to know of a part to write it.

use tallow_dataflow::{CheckpointId, CheckpointPart, ResumePoint, State};
use tallow_model::error::Error;

/// Which part it is, and where its partitions are read on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartHead {
    /// Of which checkpoint.
    pub id: CheckpointId,
    /// Of which worker, counted over all processes.
    pub worker: usize,
    /// Of how many parts.
    pub workers: usize,
    /// Where its partitions are read on.
    pub partitions: Vec<ResumePoint>,
}

/// A part whose rows come piece by piece.
pub trait PartSource: Send {
    /// Which part it is.
    fn head(&self) -> PartHead;

    /// Gives the rows, any at a time.
    ///
    /// # Errors
    /// The first that `take` returns; then no more is given.
    fn for_each_piece(&self, take: &mut dyn FnMut(State) -> Result<(), Error>) -> Result<(), Error>;
}

impl PartSource for CheckpointPart {
    fn head(&self) -> PartHead {
        let partitions = self.partitions.clone();
        PartHead { id: self.id, worker: self.worker, workers: self.workers, partitions }
    }

    fn for_each_piece(&self, take: &mut dyn FnMut(State) -> Result<(), Error>) -> Result<(), Error> {
        CheckpointPart::for_each_piece(self, take)
    }
}

/// A part that is put together by hand, as in tests and measurements.
impl PartSource for (PartHead, Vec<State>) {
    fn head(&self) -> PartHead {
        self.0.clone()
    }

    fn for_each_piece(&self, take: &mut dyn FnMut(State) -> Result<(), Error>) -> Result<(), Error> {
        self.1.iter().cloned().try_for_each(take)
    }
}
