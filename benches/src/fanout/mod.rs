//! Many WebSocket clients and the server that they ask: see `bin/fanout.rs`.

mod clients;
mod dialect;
mod server;
mod socket;

pub use clients::{Clients, Figures, Fleet, Lost, Plan};
pub use dialect::Dialect;
pub use server::serve;

use anyhow::{Context, Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Lets this process have so many files open.
///
/// # Errors
/// When it may not.
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
