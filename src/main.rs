//! The command line of Tallow: reads the arguments and the settings, and runs a command.
//!
//! Exit codes: 0 for success, 1 for a failure, 2 for bad usage or configuration. An error is one
//! line on standard error, which only this file prints.

mod cli;
mod commands;
mod config;
mod logging;
mod open_files;
mod web;

use anyhow::Context;
use cli::{Cli, Command};
use config::{Config, Layers};
use logging::Traces;
use signal_hook::consts::TERM_SIGNALS;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tallow_model::error::chain;

/// The allocator of the program and of librdkafka, whose threads allocate the records that a worker
/// frees. The system's allocator takes a lock for that; a topic settles a third faster with
/// jemalloc.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const FAILED: u8 = 1;
const BAD_USAGE: u8 = 2;

/// The time that a process has to stop after its supervisor is gone.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(asked) if !asked.use_stderr() => {
            // Help or the version. A reader that has gone is no failure.
            let _ = asked.print();
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            print_error(&format!("{} (see tallow --help)", cli::one_line(&error)));
            return ExitCode::from(BAD_USAGE);
        }
    };
    let (config, command, _traces) = match configure(cli) {
        Ok(configured) => configured,
        Err(error) => {
            print_error(&chain(&*error));
            return ExitCode::from(BAD_USAGE);
        }
    };
    match run(&config, &command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_error(&chain(&*error));
            let refused = error.is::<commands::launch::Refused>();
            ExitCode::from(if refused { BAD_USAGE } else { FAILED })
        }
    }
}

/// Reads and checks the settings of all layers, and starts logging and tracing.
fn configure(cli: Cli) -> anyhow::Result<(Config, Command, Traces)> {
    let mut layers = Layers::below_flags(cli.config())?;
    let command = cli.apply(&mut layers)?;
    let config = layers.config();
    config.check()?;
    if let Command::Produce(flags) = &command {
        commands::produce::check(&config, flags)?;
    }
    let traces = logging::start(&config.logging, &config.traces)?;
    Ok((config, command, traces))
}

fn run(config: &Config, command: &Command) -> anyhow::Result<()> {
    let stop = stop_signal().context("listen to signals")?;
    match command {
        Command::Up(flags) => commands::up::run(config, flags, stop),
        Command::Run(flags) => {
            if flags.until_input_ends {
                stop_when_input_ends(stop.clone()).context("watch the standard input")?;
            }
            commands::run::run(config, flags, &stop)
        }
        Command::Launch(flags) => commands::launch::run(config, flags, &stop),
        Command::Serve(_) => commands::serve::run(config, &stop),
        Command::Backtest(flags) => commands::backtest::run(config, flags, stop),
        Command::Migrate => commands::migrate::run(config, stop),
        Command::Produce(flags) => commands::produce::run(config, flags, stop),
    }
}

/// Returns a flag that the first termination signal sets. The second signal ends the process at
/// once.
fn stop_signal() -> std::io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in TERM_SIGNALS {
        // The order matters: the first signal must find the flag unset.
        signal_hook::flag::register_conditional_shutdown(*signal, i32::from(FAILED), Arc::clone(&stop))?;
        signal_hook::flag::register(*signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}

/// Sets `stop` when the standard input ends: the supervisor that holds its other end is gone then.
fn stop_when_input_ends(stop: Arc<AtomicBool>) -> std::io::Result<()> {
    let watch = move || {
        let ended = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        stop.store(true, Ordering::Relaxed);
        tracing::warn!(?ended, "standard input has ended, stopping");
        std::thread::sleep(STOP_TIMEOUT);
        std::process::exit(i32::from(FAILED));
    };
    std::thread::Builder::new().name("input".to_owned()).spawn(watch).map(drop)
}

/// Prints an error as one line, even if a part of it has several.
fn print_error(problem: &str) {
    let line = problem.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    // If standard error is closed, nobody can be told.
    let _ = writeln!(std::io::stderr().lock(), "tallow: {line}");
}
