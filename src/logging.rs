//! Log lines: to standard error, as text or JSON.

use crate::config::{LogFormat, LoggingConfig};
use anyhow::{Context, anyhow};
use std::io::{IsTerminal, stderr};
use tracing_subscriber::EnvFilter;

/// A library that tells at length what the command says in a line.
const QUIET: &str = "refinery_core=warn";

/// Starts logging. Called once, after the settings have been checked.
pub(crate) fn start(config: &LoggingConfig) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(format!("{QUIET},{}", config.level))
        .with_context(|| format!("read logging.level {:?}", config.level))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    match config.format {
        LogFormat::Text => lines.with_ansi(stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().try_init(),
    }
    .map_err(|error| anyhow!("start logging: {error}"))
}
