//! Every route and both dialects of the WebSocket on both pairs of stores, the embedded one of `tallow up` (SQLite, and a
//! cache in memory) and that of `tallow serve` (PostgreSQL and Redis, and the pipeline asked over HTTP): put to one suite,
//! held against the contract, and against each other. `sides` says what may differ.
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
