//! The plan of a chaos run: its parameters, time limits and the pipeline's settings.

use super::deck::Fault;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;
use tallow_dataflow::{AnomalySettings, Settings};

/// Longest recovery of the pipeline from a fault.
pub(super) const MAX_RECOVERY: Duration = Duration::from_secs(600);
/// Time for which a process is stopped by SIGSTOP.
pub(super) const SUSPENSION: Duration = Duration::from_secs(15);

/// Parameters of a chaos run.
pub struct Plan {
    /// Path of the program `tallow`.
    pub tallow: PathBuf,
    /// Folder of scripts/services and scripts/compare.
    pub scripts: PathBuf,
    /// Seed of the faults and their times.
    pub seed: u64,
    /// Number of injected faults.
    pub faults: usize,
    /// The faults to inject; all if empty.
    pub only: Vec<Fault>,
    /// The pause between two faults.
    pub pause: RangeInclusive<Duration>,
    /// Speed of event time relative to the clock.
    pub speed: u32,
    /// Ticks a second of the clock.
    pub rate: u32,
    /// The folder of checkpoints.
    pub checkpoints: PathBuf,
    /// Folder of the logs and the expected tables.
    pub out: PathBuf,
}

impl Plan {
    /// Returns the pipeline's settings. The detector is far more sensitive than by default, so that
    /// a short run has alerts too.
    pub(super) fn settings(&self) -> Settings {
        let anomalies = AnomalySettings { threshold: 2.5, min_samples: 5, ..AnomalySettings::default() };
        Settings { anomalies, ..Settings::default() }
    }
}
