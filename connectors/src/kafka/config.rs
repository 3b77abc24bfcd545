//! How to reach Kafka, and the names of the topics.

use crate::secret::Secret;
use serde::{Deserialize, Serialize};

/// `[kafka]` of the settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaConfig {
    /// Brokers to start from: `host:port`, separated by commas.
    pub bootstrap_servers: String,
    /// The topic of ticks.
    pub topic: String,
    /// The topic of alerts.
    pub alerts_topic: String,
    /// The topic of records that were not accepted.
    pub dead_letters_topic: String,
    /// Partitions of the topic of ticks where it has to be made.
    pub partitions: u32,
    /// On how many brokers a topic that has to be made is kept.
    pub replication_factor: u32,
    /// The consumer group whose committed offsets show to other tools how far the log has been read.
    pub group: String,
    /// Further properties of librdkafka, `name=value`. Some of them are secrets.
    pub options: Vec<Secret>,
}
