//! The command line of Tallow: reads the arguments and the settings, and runs a command.
//!
//! Exit codes: 0 done, 1 failed, 2 bad usage or configuration. An error is one line on standard error, and this is
//! the one place that prints it.

mod cli;
mod commands;
mod config;
mod logging;
mod open_files;
mod web;

use anyhow::Context;
use cli::{Cli, Command};
use config::Config;
use logging::Traces;
use signal_hook::consts::TERM_SIGNALS;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tallow_model::error::chain;

/// In place of the system's, also for librdkafka: its threads allocate what a worker frees, which costs the system's
/// allocator a lock. Settling a topic is a third faster with this one.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The exit code of what has failed.
const FAILED: u8 = 1;
/// The exit code of bad usage or configuration.
const BAD_USAGE: u8 = 2;

/// How long a process may take to stop that nobody looks after any more.
const STOP_LIMIT: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(asked) if !asked.use_stderr() => {
            // Help or the version. A reader that has gone is no failure.
            let _ = asked.print();
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            say(&format!("{} (see tallow --help)", cli::one_line(&error)));
            return ExitCode::from(BAD_USAGE);
        }
    };
    let (config, command, _traces) = match settle_settings(cli) {
        Ok(settled) => settled,
        Err(error) => {
            say(&chain(&*error));
            return ExitCode::from(BAD_USAGE);
        }
    };
    match run(&config, &command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&chain(&*error));
            let refused = error.is::<commands::launch::Refused>();
            ExitCode::from(if refused { BAD_USAGE } else { FAILED })
        }
    }
}

/// Flags over environment over file over defaults, checked; and logging and tracing as they say.
fn settle_settings(cli: Cli) -> anyhow::Result<(Config, Command, Traces)> {
    let mut config = Config::load(cli.config())?;
    let command = cli.apply(&mut config)?;
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

/// Set by the first signal to end; the second one ends the process at once.
fn stop_signal() -> std::io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in TERM_SIGNALS {
        // In this order, so that the first signal finds the flag not yet set.
        signal_hook::flag::register_conditional_shutdown(*signal, i32::from(FAILED), Arc::clone(&stop))?;
        signal_hook::flag::register(*signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}

/// Stops this process when its standard input ends: whoever started it and holds the other end is gone then.
fn stop_when_input_ends(stop: Arc<AtomicBool>) -> std::io::Result<()> {
    let watch = move || {
        let ended = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        stop.store(true, Ordering::Relaxed);
        tracing::warn!(?ended, "the standard input has ended, stopping");
        std::thread::sleep(STOP_LIMIT);
        std::process::exit(i32::from(FAILED));
    };
    std::thread::Builder::new().name("input".to_owned()).spawn(watch).map(drop)
}

/// Prints an error: one line, whatever its parts are made of.
fn say(problem: &str) {
    let line = problem.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    // With standard error closed there is nobody to tell.
    let _ = writeln!(std::io::stderr().lock(), "tallow: {line}");
}
