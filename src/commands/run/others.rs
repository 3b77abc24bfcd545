//! The other processes of `tallow run`: what must be the same in all of them, and how they are met.

use crate::config::Config;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tallow_dataflow::Workers;
use tallow_model::Error;
use tallow_runtime::cluster::{Cluster, Handshake, connect};

/// How long a process waits for the others. Who starts them may take its time; one that never comes is a failure that
/// must be seen.
const LIMIT: Duration = Duration::from_secs(300);

/// Meets them when it is called, to go on from `checkpoint` together; gives none when the signal is set before.
pub(super) fn connector(
    config: &Config,
    cluster: Cluster,
    checkpoint: String,
) -> impl FnOnce(&AtomicBool) -> Result<Option<Workers>, Error> + Send + 'static {
    let handshake =
        Handshake { program: env!("CARGO_PKG_VERSION").to_owned(), settings: shared(config), checkpoint };
    move |stop| connect(&cluster, &handshake, stop, LIMIT)
}

/// The settings that make one pipeline of the processes. Not those that may lead to the same place by another name, as
/// addresses do.
fn shared(config: &Config) -> Vec<(String, String)> {
    let rest = [
        ("dataflow.idle_timeout_ms", config.dataflow.idle_timeout_ms.to_string()),
        ("dataflow.max_skew_ms", config.dataflow.max_skew_ms.to_string()),
        ("kafka.topic", config.kafka.topic.clone()),
        ("kafka.alerts_topic", config.kafka.alerts_topic.clone()),
        ("kafka.dead_letters_topic", config.kafka.dead_letters_topic.clone()),
        ("checkpoint.interval_ms", config.checkpoint.interval_ms.to_string()),
    ];
    config.graph().meaning().into_iter().chain(rest).map(|(name, value)| (name.to_owned(), value)).collect()
}
