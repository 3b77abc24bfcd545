//! Programs that measure Tallow, and the programs that it is measured against.
//!
//! - [`log`]: the logs that are settled, generated once from fixed seeds.
//! - [`baseline`]: the hand-written loop with hash maps and no dataflow.
//! - [`chaos`]: fault injection into a running pipeline, and the comparison after it.
//! - [`fanout`]: many WebSocket clients and their server.
//! - [`hostile`]: attacks on a server, and regular clients that use it meanwhile.
//! - [`usage`]: the resources that another process uses.
//! - [`system`]: the measured systems, each run in a process of its own.
//! - [`tallow`]: the graph, whose settled output is only counted.
//! - [`totals`]: the results of a run, counted the same way for every system.
//! - [`report`]: the printed table.

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
