//! The pipeline as another process sees it: over HTTP, from the processes that run the graph.
//!
//! - `tallow_model::pipeline_stats`: the statistics of `/api/v1/stats`, written there and read
//!   here.
//! - [`ProcessUrl`]: the address of such a process.
//! - [`RemotePipeline`]: requests the statistics of each process once a second and combines them.

mod address;
mod pipeline;

pub use address::{InvalidProcessUrl, ProcessUrl};
pub use pipeline::RemotePipeline;
