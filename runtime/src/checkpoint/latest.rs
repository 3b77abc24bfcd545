//! A slot for one waiting value, of which only the newest is of use.

use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// A slot that any thread fills and one task empties.
#[derive(Debug)]
pub(super) struct Latest<T> {
    waiting: Mutex<Option<T>>,
    arrived: Notify,
}

impl<T> Latest<T> {
    pub(super) fn new() -> Latest<T> {
        Latest { waiting: Mutex::new(None), arrived: Notify::new() }
    }

    /// Puts a value in and returns the one that it replaces.
    pub(super) fn replace(&self, with: T) -> Option<T> {
        let before = self.lock().replace(with);
        self.arrived.notify_one();
        before
    }

    /// Takes the value as soon as there is one.
    pub(super) async fn take(&self) -> T {
        loop {
            if let Some(waiting) = self.lock().take() {
                return waiting;
            }
            self.arrived.notified().await;
        }
    }

    /// Waits until there is a value.
    pub(super) async fn occupied(&self) {
        while self.lock().is_none() {
            self.arrived.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
