//! What the graph gives: the one trait through which everything leaves it.

use crate::checkpoint::CheckpointPart;
use tallow_model::{LiveCandle, PartitionProgress, Reject, Step};

/// Receives what one worker's part of the graph puts out. Called on the worker's thread: it must never block.
pub trait Outlet {
    /// Changes that are settled: for books.
    fn settled(&mut self, step: Step);

    /// Open candles: for eyes.
    fn live(&mut self, candles: Vec<LiveCandle>);

    /// Records that were not accepted.
    fn rejected(&mut self, rejects: Vec<Reject>);

    /// How far the worker's partitions have been read. Called when something has changed.
    fn progress(&mut self, partitions: &[PartitionProgress]);

    /// A partition can't be read on, for the reason given.
    fn failed(&mut self, partition: u32, message: String);

    /// The worker's part of a checkpoint: its state as of everything that has been given up to now. It counts once that is
    /// stored. An outlet of a graph without a [`CheckpointPolicy`](crate::CheckpointPolicy) never gets one.
    fn checkpoint(&mut self, part: CheckpointPart) {
        drop(part);
    }

    /// Whether what was given so far waits in a queue that is full: the source then stops reading until it is not.
    fn is_full(&self) -> bool;
}

/// The outlet of a worker, as its operators share it.
pub(crate) type SharedOutlet = std::rc::Rc<std::cell::RefCell<Box<dyn Outlet>>>;
