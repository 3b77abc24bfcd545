//! The signal that ends a thread's waiting and then the thread.

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use std::convert::Infallible;
use std::time::Duration;

/// Gives the signal when it is dropped.
pub(super) type Halter = Sender<Infallible>;

/// Hears the signal.
#[derive(Clone)]
pub(super) struct Halt(Receiver<Infallible>);

impl Halt {
    /// The signal and the end that gives it.
    pub(super) fn new() -> (Halter, Halt) {
        let (halter, receiver) = crossbeam_channel::bounded(0);
        (halter, Halt(receiver))
    }

    /// Waits, and says whether the signal has been given by then: at once when it is.
    pub(super) fn within(&self, wait: Duration) -> bool {
        self.0.recv_timeout(wait) == Err(RecvTimeoutError::Disconnected)
    }
}
