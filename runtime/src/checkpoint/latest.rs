//! Room for one thing that waits, of which only the newest is of use.

use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Put in from any thread, taken by one task.
#[derive(Debug)]
pub(super) struct Latest<T> {
    waiting: Mutex<Option<T>>,
    arrived: Notify,
}

impl<T> Latest<T> {
    pub(super) fn new() -> Latest<T> {
        Latest { waiting: Mutex::new(None), arrived: Notify::new() }
    }

    /// Puts something in, and gives back what was still there.
    pub(super) fn replace(&self, with: T) -> Option<T> {
        let before = self.lock().replace(with);
        self.arrived.notify_one();
        before
    }

    /// Takes what is there, as soon as something is.
    pub(super) async fn take(&self) -> T {
        loop {
            if let Some(waiting) = self.lock().take() {
                return waiting;
            }
            self.arrived.notified().await;
        }
    }

    /// Waits until something is there.
    pub(super) async fn occupied(&self) {
        while self.lock().is_none() {
            self.arrived.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
