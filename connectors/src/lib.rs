//! One module per system outside Tallow: feeds that make ticks, logs that keep them, sinks and stores that keep what
//! has settled. No graph logic and no HTTP serving.

pub mod checkpoint;
pub mod clock;
pub mod cluster;
pub mod coingecko;
pub mod coins;
pub mod distribution;
pub mod error;
pub mod export;
pub mod feed;
mod figures;
pub mod file;
pub mod filelog;
pub mod kafka;
pub mod memory;
pub mod model;
pub mod postgres;
pub mod redis;
pub mod remote;
pub mod retry;
pub mod secret;
pub mod simulator;
pub mod sinks;
mod slot;
pub mod sqlite;
pub mod store;

pub use error::{Action, Error};
/// The domain's words, for the layers above.
pub use tallow_dataflow as dataflow;
