//! `settle-bench`: the speed at which a hand-written loop and Tallow settle a log.

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use std::io::Write;
use std::path::PathBuf;
use tallow_benches::log::Log;
use tallow_benches::report::{Runs, table};
use tallow_benches::system::System;

/// Measures the speed of settling a log: ticks to candles, corrections and alerts.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Number of times that each system settles each log
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Only this log
    #[arg(long)]
    log: Option<Log>,
    /// Folder of the logs, which take some 2 GB
    #[arg(long, default_value = "target/bench")]
    data: PathBuf,
}

#[derive(Subcommand)]
enum Command {
    /// Settles the partitions of a log once and prints the outcome as JSON
    Run {
        /// The system to run
        #[arg(value_parser = System::parse)]
        system: System,
        /// One file a partition
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut out = std::io::stdout();
    if let Some(Command::Run { system, files }) = arguments.command {
        let outcome = system.settle(&files)?;
        serde_json::to_writer(&mut out, &outcome)?;
        writeln!(out)?;
        return Ok(());
    }
    for log in arguments.log.map_or(Log::ALL.to_vec(), |log| vec![log]) {
        let files = log.files(&arguments.data)?;
        for file in &files {
            // Warm the page cache, so that no run waits for the disk.
            let mut file = std::fs::File::open(file).with_context(|| format!("open {}", file.display()))?;
            std::io::copy(&mut file, &mut std::io::sink())?;
        }
        let mut systems = System::ALL.map(|system| Runs { system, outcomes: Vec::new() });
        for _ in 0..arguments.runs {
            for runs in &mut systems {
                runs.outcomes.push(runs.system.settle_apart(&files)?);
            }
        }
        writeln!(out, "{}", table(log.title(), &systems)?)?;
    }
    Ok(())
}
