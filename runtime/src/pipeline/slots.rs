//! Values that are prepared on one thread and taken by the workers, each on its own.

use std::sync::{Mutex, PoisonError};

/// A value for each worker, which takes it once.
#[derive(Debug)]
pub struct WorkerSlots<T>(Vec<Mutex<Option<T>>>);

impl<T> FromIterator<T> for WorkerSlots<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> WorkerSlots<T> {
        WorkerSlots(values.into_iter().map(|value| Mutex::new(Some(value))).collect())
    }
}

impl<T> WorkerSlots<T> {
    /// Takes the value at `index`; `None` if there is none, or if it has been taken.
    pub fn take(&self, index: usize) -> Option<T> {
        self.0.get(index)?.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Returns the number of slots, taken or not.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are no slots at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
