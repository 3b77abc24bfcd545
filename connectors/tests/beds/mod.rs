//! Beds of stores that are servers.

pub(crate) mod redis;
