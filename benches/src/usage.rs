//! Resources that another process uses, read from `/proc`.

use anyhow::{Context, Result};
use std::time::Duration;

/// Resources that a process uses.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Resident memory in bytes.
    pub memory: u64,
    /// Processor time since its start.
    pub processor: Duration,
    /// Open sockets: listeners and connections.
    pub sockets: usize,
}

/// Returns the resources of a process.
///
/// # Errors
/// Returns an error if the process is gone or the system has no `/proc`.
pub fn of(pid: u32) -> Result<Usage> {
    let folder = format!("/proc/{pid}");
    let look = || format!("look at process {pid}");
    let pages: u64 = std::fs::read_to_string(format!("{folder}/statm"))
        .with_context(look)?
        .split_whitespace()
        .nth(1)
        .context("the resident pages of a process")?
        .parse()?;
    let stat = std::fs::read_to_string(format!("{folder}/stat")).with_context(look)?;
    // The fields after the process name, which may contain spaces.
    let (_, fields) = stat.rsplit_once(')').context("the state of a process")?;
    let ticks: Vec<u64> =
        fields.split_whitespace().skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    let per_second = rustix::param::clock_ticks_per_second();
    let processor = Duration::from_secs_f64(ticks.iter().sum::<u64>() as f64 / per_second as f64);
    let is_socket = |entry: std::io::Result<std::fs::DirEntry>| {
        // A descriptor that has been closed meanwhile does not count.
        let target = entry.and_then(|entry| std::fs::read_link(entry.path()));
        target.is_ok_and(|target| target.to_string_lossy().starts_with("socket:"))
    };
    let files = std::fs::read_dir(format!("{folder}/fd")).with_context(look)?;
    let sockets = files.map(is_socket).filter(|is_socket| *is_socket).count();
    Ok(Usage { memory: pages * rustix::param::page_size() as u64, processor, sockets })
}
