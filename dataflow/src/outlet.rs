//! What the graph gives: the one trait through which everything leaves it.

use crate::alert::SettledAlert;
use crate::candle::{LiveCandle, SettledCandle};
use crate::checkpoint::CheckpointPart;
use crate::record::{PartitionProgress, Reject};
use crate::time::EventTime;

/// Everything that one worker settled as its frontier moved once.
///
/// Within a step the changes are sorted by logical time, then kind, symbol and window: the same input and the same
/// steps give the same bytes. Of one candle or alert there may be several versions, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// The worker, counted over all processes.
    pub worker: usize,
    /// All of this worker's changes with a logical time below this have now been given; none once the input has ended.
    pub frontier: Option<EventTime>,
    /// New versions of candles.
    pub candles: Vec<SettledCandle>,
    /// Alerts raised and retracted.
    pub alerts: Vec<SettledAlert>,
}

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
