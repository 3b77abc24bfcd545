//! Apache Kafka, by librdkafka.

mod config;

pub use config::KafkaConfig;
