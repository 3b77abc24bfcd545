//! A running pipeline, whatever its log and its stores are: the threads of the graph, the output of
//! each worker, and the board that says where everything stands.

mod board;
mod checkpoints;
mod graph;
mod outlet;
mod slots;

pub use board::{Board, BoardSettings, LogStatus, Partitions};
pub use checkpoints::{Checkpoints, PartSink, Past};
pub use graph::Graph;
pub use outlet::{Destinations, Store, WorkerOutlet};
pub use slots::WorkerSlots;
