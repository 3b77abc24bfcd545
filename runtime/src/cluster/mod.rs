//! The processes that share the work: where they are, and how they find each other.
//!
//! Every process listens at its own address of the host file, connects to those with a lower number and is connected to
//! by those with a higher one. Each new connection begins with a hello in both directions (`hello.rs`), in which both
//! sides see whether they belong together: the same program, the same settings, the same cluster. Only after that do the
//! workers' own bytes follow.
//!
//! There is no authentication and no encryption between the processes: their ports belong on a private network.

mod hello;
mod meeting;
mod socket;

pub use hello::Hello;

use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tallow_dataflow::Workers;
use tallow_model::Error;

/// Which processes share the work, and which of them this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Worker threads in each process.
    pub threads: usize,
    /// This process, counted from 0.
    pub process: usize,
    /// Where each process listens for the others, `host:port`, in the same order everywhere; empty for a process of
    /// its own.
    pub addresses: Vec<String>,
}

impl Cluster {
    /// How many processes there are.
    pub fn processes(&self) -> usize {
        self.addresses.len().max(1)
    }

    /// How many workers all processes have together.
    pub fn peers(&self) -> usize {
        self.processes() * self.threads
    }

    /// The workers of this process among all.
    pub fn workers(&self) -> std::ops::Range<usize> {
        self.process * self.threads..(self.process + 1) * self.threads
    }

    /// A process as it is spoken of.
    fn name(&self, process: usize) -> String {
        format!("process {process} at {}", self.addresses[process])
    }
}

/// Meets the other processes, for which it waits so long at most; they may be started in any order. None if `stop` is set
/// before all are there.
///
/// # Errors
/// When this process can't listen at its address, a process with another program or other settings is met, or not all
/// have come in time.
pub fn connect(
    cluster: &Cluster,
    hello: &Hello,
    stop: &AtomicBool,
    limit: Duration,
) -> Result<Option<Workers>, Error> {
    let peers = match cluster.processes() {
        1 => Some(Vec::new()),
        _ => meeting::meet(cluster, hello, stop, limit)?,
    };
    Ok(peers.map(|peers| Workers { threads: cluster.threads, process: cluster.process, peers }))
}
