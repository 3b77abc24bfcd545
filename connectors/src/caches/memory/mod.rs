//! The embedded cache: the newest candle of each symbol in memory, and a channel of updates within
//! the process.
//!
//! - [`MemoryCache`] takes open and settled candles from the dataflow and is a
//!   [`Cache`](tallow_model::store::Cache).

mod cache;

pub use cache::MemoryCache;
