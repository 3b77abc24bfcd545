//! Checkpoints: what is found of those that were written, and how they are written when not all goes well.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "checkpoints/bed.rs"]
mod bed;
#[path = "checkpoints/disk.rs"]
mod disk;
#[path = "checkpoints/faulty.rs"]
mod faulty;
#[path = "checkpoints/retention.rs"]
mod retention;
#[path = "checkpoints/s3.rs"]
mod s3;
#[path = "checkpoints/sink.rs"]
mod sink;
#[path = "checkpoints/store.rs"]
mod store;
#[path = "checkpoints/writer.rs"]
mod writer;
