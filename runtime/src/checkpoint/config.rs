//! The settings of checkpoints.

use super::objects;
use serde::{Deserialize, Serialize};
use tallow_model::error::Error;

/// `[checkpoint]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointConfig {
    /// Where they are kept; empty for nowhere.
    pub url: String,
    /// How far apart they are, in milliseconds of event time.
    pub interval_ms: u64,
    /// How long after one the next is begun at the earliest, in milliseconds of the clock.
    pub min_pause_ms: u64,
    /// How many are kept.
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
    /// Whether the URL is one of a place for checkpoints; asks nobody.
    ///
    /// # Errors
    /// When it is none. The text does not repeat what may be a secret.
    pub fn check(&self) -> Result<(), Error> {
        if self.url.is_empty() { Ok(()) } else { objects::check(&self.url, &objects::variables()) }
    }
}
