//! Kafka as the pipeline uses it, against a real broker: the live log, ranges of it, alerts, dead
//! letters, topics.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod absence;
mod dead_letters;
mod exactly_once;
mod live;
mod ranges;
mod sasl;
mod sinks;
mod topics;
