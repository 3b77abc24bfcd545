//! The measured systems. Each run has a process of its own, so that its peak memory is its own too.

use crate::baseline;
use crate::tallow;
use crate::totals::Settled;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;
use tallow_connectors::export::peak_rss_bytes;
use tallow_dataflow::Settings;
use tallow_model::Clock;
use tallow_model::clock::SystemClock;

/// A system that settles a log. Each one is a subcommand of the program: `settle-bench run SYSTEM
/// FILE…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// The hand-written loop.
    Baseline,
    /// Tallow with one worker.
    TallowOne,
    /// Tallow with two workers.
    TallowTwo,
}

impl System {
    /// All systems in the order of the table. Ratios compare a later one to an earlier one.
    pub const ALL: [System; 3] = [System::Baseline, System::TallowOne, System::TallowTwo];

    /// Returns the system of this name.
    ///
    /// # Errors
    /// Returns the known names if there is no such system.
    pub fn parse(name: &str) -> Result<System, String> {
        let known = System::ALL.map(|system| system.to_string());
        let place = known.iter().position(|known| known == name);
        place.map(|i| System::ALL[i]).ok_or_else(|| format!("systems are {}", known.join(", ")))
    }

    /// Settles a log in this process.
    ///
    /// # Errors
    /// Returns an error if the log can't be read.
    pub fn settle(self, log: &[PathBuf]) -> Result<Outcome> {
        let settings = Settings::default();
        let start = Instant::now();
        let totals = match self {
            System::Baseline => baseline::settle(log, &settings, SystemClock.now_ms())?,
            System::TallowOne => tallow::settle(tallow::of_files(log, 1)?, &settings)?,
            System::TallowTwo => tallow::settle(tallow::of_files(log, 2)?, &settings)?,
        };
        let seconds = start.elapsed().as_secs_f64();
        let ticks_per_second = totals.records.records_in as f64 / seconds;
        let peak_rss_bytes = match peak_rss_bytes() {
            0 => bail!("find the peak memory of the process: the system does not report it"),
            bytes => bytes,
        };
        Ok(Outcome { ticks_per_second, settled: totals.settled(), peak_rss_bytes })
    }

    /// Settles a log in a new process of this program.
    ///
    /// # Errors
    /// Returns an error if the process can't be started or fails.
    pub fn settle_apart(self, log: &[PathBuf]) -> Result<Outcome> {
        let program = std::env::current_exe().context("find the program itself")?;
        let output = Command::new(program)
            .arg("run")
            .arg(self.to_string())
            .args(log)
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("start {self}"))?;
        if !output.status.success() {
            bail!("{self} ended with {}", output.status);
        }
        serde_json::from_slice(&output.stdout).with_context(|| format!("read what {self} has settled"))
    }
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            System::Baseline => "baseline",
            System::TallowOne => "tallow-1",
            System::TallowTwo => "tallow-2",
        })
    }
}

/// Outcome of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Records read per second, from opening the first file to the last candle.
    pub ticks_per_second: f64,
    /// Figures of the settled results.
    pub settled: Settled,
    /// Peak memory of the process.
    pub peak_rss_bytes: u64,
}
