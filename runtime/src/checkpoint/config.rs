//! The settings of checkpoints.

use super::bucket;
use serde::{Deserialize, Serialize};
use tallow_model::error::Error;

/// The section `[checkpoint]` of the settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointConfig {
    /// The URL of the bucket; empty for no checkpoints.
    pub url: String,
    /// The distance between checkpoints, in milliseconds of event time.
    pub interval_ms: u64,
    /// The least time between the beginnings of two checkpoints, in milliseconds of the clock.
    pub min_pause_ms: u64,
    /// The number of checkpoints to keep.
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
    /// Checks that the URL names a place for checkpoints, without a request to it.
    ///
    /// # Errors
    /// If it names none. The text does not repeat the URL, which may hold a secret.
    pub fn check(&self) -> Result<(), Error> {
        if self.url.is_empty() { Ok(()) } else { bucket::check(&self.url, &bucket::variables()) }
    }
}
