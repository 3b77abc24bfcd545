//! The pure graph of Tallow: ticks of a partitioned log in; settled candles, alerts, rejects and open candles out.
//!
//! Every settled output is a function of the log and the [`Settings`], and of nothing else: not of the number of
//! workers, not of batching, not of the clock. The crate does no input or output, has no clock and no randomness;
//! its caller passes a [`PartitionReader`](tallow_model::PartitionReader) for each partition, an [`Outlet`] and a [`Clock`](tallow_model::Clock).

mod bar;
mod checkpoint;
mod graph;
mod operators;
mod outlet;
mod run;
mod settings;
mod settle;
mod views;
mod watermark;
mod wire;

pub use bar::{Bar, Order};
pub use checkpoint::{
    CheckpointId, CheckpointPart, CheckpointPolicy, Restore, ResumePoint, RetainedMinute, RetainedMove,
    RollupVersions, State,
};
pub use graph::{WorkerIo, build};
pub use outlet::Outlet;
pub use run::{Link, Peer, RunError, Workers, run};
pub use settings::{AnomalySettings, Settings};
pub use wire::{WIRE_FORMAT, WireBytes, WireEncoding, WireSample};
