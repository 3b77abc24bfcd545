//! The handlers of `/api/v1`, `/health`, `/ready` and `/metrics`, one file a resource, and a folder for each dialect
//! that other programs already speak.

pub(crate) mod alerts;
mod bars;
pub(crate) mod binance;
mod day;
pub(crate) mod export;
pub(crate) mod health;
pub(crate) mod historical;
pub(crate) mod latest;
pub(crate) mod metrics;
mod series;
pub(crate) mod stats;
pub(crate) mod symbols;
pub(crate) mod trending;
pub(crate) mod udf;
