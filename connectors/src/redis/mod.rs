//! Redis: the newest candles, and the channels of updates between processes.

mod config;

pub use config::RedisConfig;
