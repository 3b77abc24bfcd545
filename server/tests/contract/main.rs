//! One suite for every route and both WebSocket protocols on two pairs of stores.
//!
//! The embedded pair is that of `tallow up`: SQLite and a cache in memory. The other pair is that
//! of `tallow serve`: PostgreSQL and Redis, with the status of the pipeline read over HTTP.
//! Responses are checked against the contract and against each other. `sides` lists the parts that
//! may differ.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod cases;
mod content;
mod exports;
mod headers;
mod market;
mod pages;
mod routes;
mod sides;
mod sockets;
