//! The durations of requests, by route and status.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tallow_model::distribution::{Distribution, REQUEST_SECONDS};

/// The path of a route, as `docs/api-contract.md` writes it, and a status.
pub(crate) type Outcome = (&'static str, u16);

/// The durations of all requests since the start.
#[derive(Default)]
pub(crate) struct Timings(Mutex<BTreeMap<Outcome, Distribution>>);

impl Timings {
    /// Adds a request that took this time.
    pub(crate) fn observe(&self, outcome: Outcome, took: Duration) {
        let mut timings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let distribution = timings.entry(outcome).or_insert_with(|| Distribution::new(REQUEST_SECONDS));
        distribution.observe(took.as_secs_f64());
    }

    /// Returns the durations so far.
    pub(crate) fn so_far(&self) -> BTreeMap<Outcome, Distribution> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
