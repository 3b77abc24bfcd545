//! A running pipeline, whatever its log and its stores are: the threads of the graph, the output of
//! each worker, and the board that says where everything stands.

mod checkpoints;
mod graph;
mod output;
mod slots;
mod status;

pub use checkpoints::{Checkpoints, FoundCheckpoint, PartSink};
pub use graph::Graph;
pub use output::{Destinations, StoreOutput, WorkerOutput};
pub use slots::WorkerSlots;
pub use status::{LogStatus, Partitions, StatusBoard, StatusSettings};
