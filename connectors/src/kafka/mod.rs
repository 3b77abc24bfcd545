//! Apache Kafka, by librdkafka.

mod config;
mod producer;

pub use config::KafkaConfig;
pub use producer::{Deliveries, KafkaProducer, Outgoing};
