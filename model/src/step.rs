//! Settled changes as they leave the graph, one step of the frontier at a time.

use crate::alert::SettledAlert;
use crate::candle::SettledCandle;
use crate::time::EventTime;

/// All changes that one worker settled when its frontier moved once.
///
/// Within a step the changes are sorted by logical time, then kind, symbol and window: the same
/// input and the same steps give the same bytes. A step may hold several versions of one candle or
/// alert, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// The worker, counted over all processes.
    pub worker: usize,
    /// All of this worker's changes with a logical time below this have been given; `None` once the
    /// input has ended.
    pub frontier: Option<EventTime>,
    /// New versions of candles.
    pub candles: Vec<SettledCandle>,
    /// Alerts raised and retracted.
    pub alerts: Vec<SettledAlert>,
}
