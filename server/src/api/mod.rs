//! The handlers of `/api/v1`, `/health`, `/ready` and `/metrics`, one file a resource.

pub(crate) mod alerts;
pub(crate) mod health;
pub(crate) mod historical;
pub(crate) mod latest;
pub(crate) mod metrics;
mod series;
pub(crate) mod stats;
pub(crate) mod symbols;
