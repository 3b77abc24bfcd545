//! The output of the graph: the one trait through which everything leaves it.

use crate::state::part::CheckpointPart;
use std::cell::RefCell;
use std::rc::Rc;
use tallow_model::{LiveCandle, PartitionProgress, Reject, Step};

/// Receiver of everything that one worker's part of the graph puts out.
///
/// The methods are called on the worker's thread and must never block.
///
/// # Examples
///
/// An output that counts the versions of settled candles:
///
/// ```
/// use tallow_dataflow::Output;
/// use tallow_model::{LiveCandle, PartitionProgress, Reject, Step};
///
/// #[derive(Default)]
/// struct Count(usize);
///
/// impl Output for Count {
///     fn settled(&mut self, step: Step) {
///         self.0 += step.candles.len();
///     }
///     fn live(&mut self, _: Vec<LiveCandle>) {}
///     fn rejected(&mut self, _: Vec<Reject>) {}
///     fn progress(&mut self, _: &[PartitionProgress]) {}
///     fn failed(&mut self, _: u32, _: String) {}
///     fn is_full(&self) -> bool {
///         false
///     }
/// }
///
/// let mut count = Count::default();
/// count.settled(Step::default());
/// assert_eq!(count.0, 0);
/// ```
pub trait Output {
    /// Takes settled changes, which are to be stored.
    fn settled(&mut self, step: Step);

    /// Takes open candles, which are only to be shown.
    fn live(&mut self, candles: Vec<LiveCandle>);

    /// Takes records that were not accepted.
    fn rejected(&mut self, rejects: Vec<Reject>);

    /// Takes the progress of all of the worker's partitions. Called when any of them has changed.
    fn progress(&mut self, partitions: &[PartitionProgress]);

    /// Takes the failure of a partition, which counts as finished from now on. The message names
    /// the failed operation and its object.
    fn failed(&mut self, partition: u32, message: String);

    /// Takes the worker's part of a checkpoint: its state as of everything that this output has
    /// taken so far. The part counts once all of that is stored. Called only if the graph has a
    /// [`CheckpointPolicy`](crate::CheckpointPolicy).
    fn checkpoint(&mut self, part: CheckpointPart) {
        drop(part);
    }

    /// Whether a queue behind this output is full. The source reads nothing while it is.
    fn is_full(&self) -> bool;
}

/// A worker's output, shared by its operators.
pub(crate) type SharedOutput = Rc<RefCell<Box<dyn Output>>>;
