//! Outside systems, a folder each: feeds that make ticks, logs that keep them, stores and caches
//! for results. No graph logic and no HTTP serving.

pub mod caches;
pub mod export;
pub mod feeds;
pub mod logs;
pub mod stores;
