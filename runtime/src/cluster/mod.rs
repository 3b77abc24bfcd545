//! The processes that share the work: their addresses, and how they connect to each other.
//!
//! Every process listens at its own address of the host file, connects to the processes with a
//! lower number, and accepts connections of those with a higher one. Each new connection begins
//! with a handshake in both directions (`handshake.rs`), in which both sides check that they belong
//! together: the same program, the same settings, the same cluster. Only after that do the workers'
//! own bytes follow.
//!
//! There is no authentication and no encryption between the processes: their ports belong on a
//! private network.

mod handshake;
mod members;
mod rendezvous;
mod socket;

pub use handshake::Handshake;
pub use members::Cluster;

use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tallow_dataflow::Workers;
use tallow_model::Error;

/// Connects to all other processes, within a time limit. The processes may be started in any order.
/// Returns `None` if `stop` is set before all are connected.
///
/// # Errors
/// If this process can't listen at its address, if a process has another program or other settings,
/// or if not all are connected in time.
pub fn connect(
    cluster: &Cluster,
    handshake: &Handshake,
    stop: &AtomicBool,
    limit: Duration,
) -> Result<Option<Workers>, Error> {
    let peers = match cluster.processes() {
        1 => Some(Vec::new()),
        _ => rendezvous::meet(cluster, handshake, stop, limit)?,
    };
    Ok(peers.map(|peers| Workers { threads: cluster.threads, process: cluster.process, peers }))
}
