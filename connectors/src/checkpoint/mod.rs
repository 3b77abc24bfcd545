//! Checkpoints, kept in an object store: a folder, S3 or another that a URL names.

mod config;

pub use config::CheckpointConfig;
