//! `tallow up`: everything in one process.

use crate::config::Config;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Runs until `stop` is set.
pub(crate) fn run(_config: &Config, _stop: Arc<AtomicBool>) -> anyhow::Result<()> {
    anyhow::bail!("not built yet")
}
