//! `chaos`: injects faults into a running pipeline and its services at random moments, and then
//! compares all of its results with the plain sequential loop over all records.
//!
//! A simulated market with disordered and late ticks flows into Kafka; `tallow launch` settles it.
//! Faults follow each other, some before the pipeline has recovered from the last. In the end, all
//! three tables of candles, the alerts and every committed message of the alerts topic must equal
//! the loop's results: nothing missing, nothing extra, nothing different. `scripts/chaos` starts
//! the services.

use anyhow::{Result, bail};
use clap::Parser;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;
use tallow_benches::chaos::{Fault, Plan, run};

/// Injects faults into a running pipeline and compares its results with a sequential computation.
#[derive(Parser)]
struct Arguments {
    /// Path of the program `tallow`
    #[arg(long)]
    tallow: PathBuf,
    /// Folder of scripts/services and scripts/compare
    #[arg(long, default_value = "scripts")]
    scripts: PathBuf,
    /// Seed; the same seed gives the same faults in the same order
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number of faults
    #[arg(long, default_value_t = 50)]
    faults: usize,
    /// Inject only these faults, by name
    #[arg(long, value_delimiter = ',')]
    only: Vec<Fault>,
    /// The shortest and the longest pause between two faults, in seconds
    #[arg(long, value_delimiter = ',', num_args = 2, default_values_t = [1.0, 6.0])]
    pause: Vec<f64>,
    /// Speed of event time relative to the clock
    #[arg(long, default_value_t = 30)]
    speed: u32,
    /// Ticks a second of the clock, of all eight symbols together
    #[arg(long, default_value_t = 1_000)]
    rate: u32,
    /// Folder for checkpoints, on a small file system of its own if a full disk is to be injected
    #[arg(long)]
    checkpoints: PathBuf,
    /// Folder for logs and the expected tables
    #[arg(long)]
    out: PathBuf,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let [shortest, longest] = arguments.pause[..] else { bail!("--pause takes two numbers") };
    if !(shortest >= 0.0 && longest >= shortest) {
        bail!("--pause {shortest},{longest}: the first must not be negative, nor the second be less");
    }
    let plan = Plan {
        tallow: arguments.tallow,
        scripts: arguments.scripts,
        seed: arguments.seed,
        faults: arguments.faults,
        only: arguments.only,
        pause: Duration::from_secs_f64(shortest)..=Duration::from_secs_f64(longest),
        speed: arguments.speed,
        rate: arguments.rate,
        checkpoints: arguments.checkpoints,
        out: arguments.out,
    };
    let verdict = run(&plan)?;
    write!(std::io::stdout(), "{verdict}")?;
    if verdict.agrees() { Ok(()) } else { bail!("what was settled is not what the records make") }
}
