//! Caches: the newest candle of each symbol, and the stream of updates.

pub mod memory;
pub mod redis;
