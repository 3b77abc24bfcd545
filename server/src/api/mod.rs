//! The handlers of `/api/v1`, `/health`, `/ready` and `/metrics`: one file a resource.

pub(crate) mod alerts;
pub(crate) mod bars;
pub(crate) mod day;
pub(crate) mod export;
mod gap_filling;
pub(crate) mod health;
pub(crate) mod historical;
pub(crate) mod history;
pub(crate) mod latest;
pub(crate) mod metrics;
pub(crate) mod stats;
pub(crate) mod symbols;
pub(crate) mod trending;
