//! Beds of stores that are servers.

pub(crate) mod postgres;
pub(crate) mod redis;
