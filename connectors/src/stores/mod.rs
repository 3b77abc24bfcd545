//! Stores: settled results, kept and queried.

pub mod postgres;
pub mod sqlite;
