//! Runs a pipeline: the graph on threads, the queues and threads of sinks, checkpoints, the
//! processes of a cluster, and the status of remote pipelines.
//!
//! This crate names no connector: logs, stores and caches come as traits of `tallow-model`.

pub mod checkpoint;
pub mod cluster;
pub mod pipeline;
pub mod remote;
pub mod sinks;
