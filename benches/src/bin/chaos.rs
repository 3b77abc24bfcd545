//! `chaos`: does harm to a running pipeline and its services, at random moments, and then compares everything that it has
//! settled with the plain sequential loop over all records.
//!
//! A simulated market with disordered and late ticks flows into Kafka; `tallow launch` settles it. Faults come one after
//! the other, some before the last has been got over. In the end, all three tables of candles, the alerts and every
//! committed message of the alerts topic must be what the loop makes of the topic: nothing missing, nothing extra,
//! nothing different. `scripts/chaos` starts what this needs.

use anyhow::{Result, bail};
use clap::Parser;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;
use tallow_benches::chaos::{Fault, Plan, run};

/// Does harm to a running pipeline and compares what it settles with a sequential computation.
#[derive(Parser)]
struct Arguments {
    /// The program
    #[arg(long)]
    tallow: PathBuf,
    /// scripts/services and scripts/compare are there
    #[arg(long, default_value = "scripts")]
    scripts: PathBuf,
    /// The same seed gives the same faults in the same order
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many faults
    #[arg(long, default_value_t = 50)]
    faults: usize,
    /// Only these faults, by name
    #[arg(long, value_delimiter = ',')]
    only: Vec<Fault>,
    /// The shortest and the longest pause between two faults, in seconds
    #[arg(long, value_delimiter = ',', num_args = 2, default_values_t = [1.0, 6.0])]
    pause: Vec<f64>,
    /// How fast event time runs against the clock
    #[arg(long, default_value_t = 30)]
    speed: u32,
    /// Ticks a second of the clock, of all eight symbols together
    #[arg(long, default_value_t = 1_000)]
    rate: u32,
    /// A folder for checkpoints, on a small file system of its own where a full disk is to be shown
    #[arg(long)]
    checkpoints: PathBuf,
    /// Where logs and the expected tables go
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
