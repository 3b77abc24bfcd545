//! The stop signal of a thread, which also ends the waits of the thread.
//!
//! A `CancellationToken` would need a runtime to wait with a timeout; the threads here have none.

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use std::convert::Infallible;
use std::time::Duration;

/// Gives the signal when it is dropped.
pub(super) type Stopper = Sender<Infallible>;

/// The receiving end of the signal.
#[derive(Clone)]
pub(super) struct Stopped(Receiver<Infallible>);

impl Stopped {
    /// Returns both ends of a signal.
    pub(super) fn new() -> (Stopper, Stopped) {
        let (stopper, receiver) = crossbeam_channel::bounded(0);
        (stopper, Stopped(receiver))
    }

    /// Waits for `wait`, or until the signal is given. Returns whether it is given.
    pub(super) fn within(&self, wait: Duration) -> bool {
        self.0.recv_timeout(wait) == Err(RecvTimeoutError::Disconnected)
    }
}
