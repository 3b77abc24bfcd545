//! The bounds of a sink's queue and batches, and the waits between attempts.

use tallow_model::retry::BackoffSettings;

/// The bounds of a sink's queue and batches.
#[derive(Clone, Copy, Debug)]
pub struct SinkSettings {
    /// The number of candles, alerts and rejects from which the queue is full.
    pub max_changes: usize,
    /// The number of steps and lots of rejects, empty ones included, from which the queue is full.
    pub max_entries: usize,
    /// The number of changes in one write, unless a single step has more.
    pub batch_changes: usize,
    /// The waits between attempts.
    pub backoff: BackoffSettings,
}

impl Default for SinkSettings {
    fn default() -> SinkSettings {
        SinkSettings {
            max_changes: 50_000,
            max_entries: 10_000,
            batch_changes: 20_000,
            backoff: BackoffSettings::default(),
        }
    }
}
