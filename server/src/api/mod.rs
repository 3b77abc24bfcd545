//! The handlers of `/api/v1`, `/health` and `/ready`, one file a resource.

pub(crate) mod alerts;
pub(crate) mod health;
pub(crate) mod historical;
pub(crate) mod latest;
mod series;
pub(crate) mod stats;
pub(crate) mod symbols;
