//! Runs of the graph over records in memory, and what they are compared with.

pub mod crashes;
mod memory;
pub mod oracle;

pub use memory::{
    Collector, MemoryPartition, MockClock, Outcome, Random, bounded, eager, settle, tick, wait_for, worker_io,
};
