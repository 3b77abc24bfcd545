//! Feeds: sources of ticks for a log.

pub mod coingecko;
pub mod simulator;
