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

impl KafkaConfig {
    /// The properties that every client begins with.
    ///
    /// # Errors
    /// When an option is no `name=value`.
    pub fn client(&self) -> Result<rdkafka::ClientConfig, crate::Error> {
        let mut client = rdkafka::ClientConfig::new();
        client.set("bootstrap.servers", &self.bootstrap_servers);
        for option in &self.options {
            let Some((name, value)) = option.expose().split_once('=') else {
                return Err(crate::Error::Unusable("kafka.options has one that is no name=value".to_owned()));
            };
            client.set(name.trim(), value.trim());
        }
        Ok(client)
    }
}
