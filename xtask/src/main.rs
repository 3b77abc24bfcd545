//! The commands of developers. `scripts/*` are their entry points: `scripts/services up` runs `xtask services up`.
//!
//! A developer's machine needs nothing but cargo for them; what else a command needs, it installs or names.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the commands are read on a terminal")]

mod process;
mod services;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "xtask", about = "The commands of developers, for which scripts/* are the entry points")]
struct Arguments {
    /// The checkout that the command works on
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/.."))]
    root: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the PostgreSQL, Redis and Apache Kafka that tests, benchmarks and the demo use
    Services(services::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (name, outcome) = match arguments.command {
        Command::Services(services) => ("services", services::run(&arguments.root, services)),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
