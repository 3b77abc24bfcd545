//! Apache Kafka, by librdkafka.
//!
//! - [`KafkaLog`] reads the topic of ticks live; [`KafkaRange`] reads a part of it, for backtests.
//! - [`KafkaProducer`] writes records. [`KafkaAlerts`] and [`KafkaDeadLetters`] are sinks.
//! - [`ensure_topics`] creates the topics.
//!
//! Partitions are assigned by number and read from offsets that the caller knows. No consumer joins
//! a group, so there is no rebalance, and nothing is resumed from committed offsets.

mod admin;
mod alerts;
mod bound;
mod check;
mod config;
mod dead_letters;
mod errors;
mod fetcher;
mod listener;
mod log;
mod monitor;
mod partition_state;
mod producer;
mod queue;
mod range;
mod readback;
mod reader;
mod state;
mod topic;

pub use admin::{TopicState, ensure_topics};
pub use alerts::KafkaAlerts;
pub use bound::{Bound, check as check_range};
pub use config::KafkaConfig;
pub use dead_letters::{KafkaDeadLetters, MAX_RAW_BYTES};
pub use log::{KafkaLog, KafkaStatus, PartitionLag, WorkerPartitions};
pub use producer::{Deliveries, KafkaProducer, ProducerRecord};
pub use range::KafkaRange;
pub use state::Reader;
