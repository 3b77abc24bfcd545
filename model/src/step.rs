//! Settled changes as they leave the graph, one step of the frontier at a time.

use crate::alert::SettledAlert;
use crate::candle::SettledCandle;
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
