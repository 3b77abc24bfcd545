//! Programs that measure Tallow, and what they measure it against.
//!
//! - [`log`]: the logs that are settled, made once from fixed seeds.
//! - [`baseline`]: the hand-written loop with hash maps and no dataflow.
//! - [`chaos`]: harm done to a running pipeline, and the comparison after it.
//! - [`fanout`]: many WebSocket clients and the server that they ask.
//! - [`hostile`]: attacks on a server, and customers that use it meanwhile.
//! - [`usage`]: what another process uses.
//! - [`system`]: what is measured, each run in a process of its own.
//! - [`tallow`]: the graph, with its settled output only counted.
//! - [`totals`]: what a run has settled, counted the same way for every system.
//! - [`report`]: the table.

/// The allocator of Tallow's own program.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

pub mod baseline;
pub mod chaos;
pub mod fanout;
pub mod hostile;
pub mod lines;
pub mod log;
pub mod report;
pub mod system;
pub mod tallow;
pub mod totals;
pub mod usage;
