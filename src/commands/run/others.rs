//! The connection to the other processes of `tallow run`, and the settings that all must share.

use crate::config::Config;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tallow_dataflow::Workers;
use tallow_model::Error;
use tallow_runtime::cluster::{Cluster, Handshake, connect};

/// The time that a process waits for the others. It is long because they may be started by hand; a
/// process that never starts must still become a failure.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(300);

/// Returns a function that connects to the other processes, to resume from `checkpoint` together.
/// It returns `None` if its flag is set before.
pub(super) fn connector(
    config: &Config,
    cluster: Cluster,
    checkpoint: String,
) -> impl FnOnce(&AtomicBool) -> Result<Option<Workers>, Error> + Send + 'static {
    let handshake =
        Handshake { program: env!("CARGO_PKG_VERSION").to_owned(), settings: shared(config), checkpoint };
    move |stop| connect(&cluster, &handshake, stop, CONNECT_TIMEOUT)
}

/// The settings that must be equal in all processes. Addresses are not among them: two names may
/// lead to one host.
fn shared(config: &Config) -> Vec<(String, String)> {
    let rest = [
        ("dataflow.idle_timeout_ms", config.dataflow.graph.idle_timeout_ms.to_string()),
        ("dataflow.max_skew_ms", config.dataflow.graph.max_skew_ms.to_string()),
        ("kafka.topic", config.kafka.topic.clone()),
        ("kafka.alerts_topic", config.kafka.alerts_topic.clone()),
        ("kafka.dead_letters_topic", config.kafka.dead_letters_topic.clone()),
        ("checkpoint.interval_ms", config.checkpoint.interval_ms.to_string()),
    ];
    config.graph().meaning().into_iter().chain(rest).map(|(name, value)| (name.to_owned(), value)).collect()
}
