//! Kafka as the pipeline uses it, against a real broker: the live log, ranges of it, alerts, dead letters, topics.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "kafka/bed.rs"]
mod bed;
#[path = "kafka/live.rs"]
mod live;
mod services;
mod topic;
