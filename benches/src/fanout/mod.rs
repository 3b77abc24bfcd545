//! Many WebSocket clients and their server: see `bin/fanout.rs`.

mod clients;
mod dialect;
mod server;
mod socket;

pub use clients::{Clients, Figures, Fleet, FleetPlan, Lost};
pub use dialect::Dialect;
pub use server::serve;

use anyhow::{Context, Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises this process's limit of open files to `files`.
///
/// # Errors
/// Returns an error if the system's hard limit is lower.
pub fn raise_file_limit(files: u64) -> Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < files) {
        if let Some(maximum) = maximum.filter(|maximum| *maximum < files) {
            bail!("{files} files must be open at a time and the system allows {maximum}: see ulimit -Hn");
        }
        setrlimit(Resource::Nofile, Rlimit { current: Some(files), maximum })
            .with_context(|| format!("raise the limit of open files to {files}"))?;
    }
    Ok(())
}
