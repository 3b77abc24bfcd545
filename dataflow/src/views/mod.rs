//! The views: differential collections derived from the one-minute candles, one a file.

pub(crate) mod anomalies;
pub(crate) mod candles;
