//! The pipeline as another process sees it: over HTTP, from the processes that run the graph.
//!
//! - [`PipelineStats`]: the figures as `/api/v1/stats` has them, written there and read here.
//! - [`ProcessUrl`]: where such a process is asked.
//! - [`RemotePipeline`]: asks each process for them once a second and puts them together.

mod address;
mod pipeline;

pub use address::{InvalidProcessUrl, ProcessUrl};
pub use pipeline::RemotePipeline;
