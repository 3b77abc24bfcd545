//! How long requests have taken, by route and status.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tallow_model::distribution::{Distribution, REQUEST_SECONDS};

/// A route, as the contract writes its path, and a status.
pub(crate) type Outcome = (&'static str, u16);

/// The times of all requests since the start.
#[derive(Default)]
pub(crate) struct Timings(Mutex<BTreeMap<Outcome, Distribution>>);

impl Timings {
    /// A request has been answered after this time.
    pub(crate) fn observe(&self, outcome: Outcome, took: Duration) {
        let mut timings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let distribution = timings.entry(outcome).or_insert_with(|| Distribution::new(REQUEST_SECONDS));
        distribution.observe(took.as_secs_f64());
    }

    /// What has been observed so far.
    pub(crate) fn so_far(&self) -> BTreeMap<Outcome, Distribution> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
