//! Kafka as the pipeline uses it, against a real broker: the live log, ranges of it, alerts, dead letters, topics.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "kafka/absence.rs"]
mod absence;
#[path = "kafka/bed.rs"]
mod bed;
#[path = "kafka/dead_letters.rs"]
mod dead_letters;
#[path = "kafka/exactly_once.rs"]
mod exactly_once;
#[path = "kafka/live.rs"]
mod live;
#[path = "kafka/ranges.rs"]
mod ranges;
#[allow(dead_code, reason = "not every sample is of use here")]
#[path = "contract/samples.rs"]
mod samples;
#[path = "kafka/sasl.rs"]
mod sasl;
mod services;
#[path = "kafka/sinks.rs"]
mod sinks;
mod topic;
#[path = "kafka/topics.rs"]
mod topics;
