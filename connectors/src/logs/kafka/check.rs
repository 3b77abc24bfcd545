//! The check of the settings that only a client can make.

use super::config::{KafkaConfig, unusable};
use super::producer::KafkaProducer;
use super::topic;
use rdkafka::consumer::BaseConsumer;
use tallow_model::error::Error;

impl KafkaConfig {
    /// Whether clients can be made of the options; asks no broker. Some of what can't be shows only in a client: options
    /// that contradict each other, or what is in a file that one of them names.
    ///
    /// # Errors
    /// As [`KafkaConfig::client`], or when a consumer or a producer can't be made.
    pub fn check(&self) -> Result<(), Error> {
        self.client()?;
        if self.options.is_empty() {
            return Ok(());
        }
        let nowhere = KafkaConfig { bootstrap_servers: String::new(), ..self.clone() };
        topic::client(&nowhere, &self.group)?.create::<BaseConsumer>().map_err(unusable)?;
        KafkaProducer::open(&nowhere, "tallow-check").map(drop)
    }
}
