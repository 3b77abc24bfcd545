//! The part of the settings' check that needs a client.

use super::config::{KafkaConfig, unusable};
use super::producer::KafkaProducer;
use super::topic;
use rdkafka::consumer::BaseConsumer;
use tallow_model::error::Error;

impl KafkaConfig {
    /// Checks that clients can be made of the options; contacts no broker. Some faults show only in
    /// a client: options that contradict each other, or the content of a file that one of them
    /// names.
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
