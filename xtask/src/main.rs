//! The commands of developers. `scripts/*` are their entry points: `scripts/services up` runs
//! `xtask services up`.
//!
//! A developer's machine needs nothing but cargo for them; what else a command needs, it installs
//! or names.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the commands are read on a terminal")]

mod checks;
mod demo;
mod http;
mod interrupt;
mod isolated;
mod process;
mod served;
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
    /// Runs the whole pipeline on an hour of simulated market, and compares it with a backtest
    Demo(demo::Arguments),
    /// Runs a command with topics, a database and Redis keys of its own
    Isolated(isolated::Arguments),
    /// Runs a command beside a server of its own, on a simulated market
    Served(served::Arguments),
    /// Checks everything that is checked before a change is accepted
    Test(checks::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let root = &arguments.root;
    let (name, outcome) = match arguments.command {
        Command::Services(services) => ("services", services::run(root, services)),
        Command::Demo(demo) => ("demo", demo::run(root, &demo)),
        Command::Isolated(isolated) => ("isolated", isolated::run(root, &isolated)),
        Command::Served(served) => ("served", served::run(root, &served)),
        Command::Test(test) => ("test", checks::run(root, &test)),
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
