//! The settings of checkpoints.

use super::bucket;
use serde::{Deserialize, Serialize};
use tallow_model::error::Error;
use tallow_model::setting::{Bounded, UNBOUNDED, WEEK_MS};

/// `[checkpoint]` of the settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointConfig {
    /// The folder or object store that keeps the checkpoints, as a URL; empty for no checkpoints.
    pub url: String,
    /// The distance between two checkpoints, in milliseconds of event time: whole seconds.
    #[serde(with = "Bounded::<1_000, WEEK_MS>")]
    pub interval_ms: u64,
    /// The minimum time between the starts of two checkpoints, in milliseconds of the clock.
    #[serde(with = "Bounded::<0, WEEK_MS>")]
    pub min_pause_ms: u64,
    /// The number of checkpoints that are kept.
    #[serde(with = "Bounded::<3, UNBOUNDED>")]
    pub keep: usize,
}

impl Default for CheckpointConfig {
    fn default() -> CheckpointConfig {
        CheckpointConfig {
            url: "file:tallow-checkpoints".to_owned(),
            interval_ms: 60_000,
            min_pause_ms: 1_000,
            keep: 3,
        }
    }
}

impl CheckpointConfig {
    /// Checks the URL, without a network call, and the interval.
    ///
    /// # Errors
    /// If the URL names no folder or object store, or the interval is no whole number of seconds.
    /// The text never repeats a part of the URL that may be a secret.
    pub fn check(&self) -> Result<(), Error> {
        if !self.interval_ms.is_multiple_of(1_000) {
            return Err(Error::Invalid(format!(
                "checkpoint.interval_ms is {}, not a whole number of seconds",
                self.interval_ms
            )));
        }
        if self.url.is_empty() { Ok(()) } else { bucket::check(&self.url, &bucket::variables()) }
    }
}
