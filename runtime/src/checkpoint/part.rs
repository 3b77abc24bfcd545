//! The part of a checkpoint, as the encoder reads it.

use tallow_dataflow::{CheckpointId, CheckpointPart, ResumePoint, State};
use tallow_model::error::Error;

/// The identity of a part, and the resume points of its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartHead {
    /// The checkpoint of the part.
    pub id: CheckpointId,
    /// The worker, counted over all processes.
    pub worker: usize,
    /// The number of parts.
    pub workers: usize,
    /// The resume points of the worker's partitions.
    pub partitions: Vec<ResumePoint>,
}

/// A part whose rows come piece by piece.
pub trait PartSource: Send {
    /// Returns the part's identity and resume points.
    fn head(&self) -> PartHead;

    /// Passes the rows to `take`, in pieces of any size.
    ///
    /// # Errors
    /// The first error of `take`; no more rows are passed then.
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

/// A part made by hand, for tests and measurements.
impl PartSource for (PartHead, Vec<State>) {
    fn head(&self) -> PartHead {
        self.0.clone()
    }

    fn for_each_piece(&self, take: &mut dyn FnMut(State) -> Result<(), Error>) -> Result<(), Error> {
        self.1.iter().cloned().try_for_each(take)
    }
}
