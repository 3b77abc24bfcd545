//! One suite for every route and both WebSocket protocols on two pairs of stores.
//!
//! The embedded pair is that of `tallow up`: SQLite and a cache in memory. The other pair is that
//! of `tallow serve`: PostgreSQL and Redis, with the status of the pipeline read over HTTP.
//! Responses are checked against the contract and against each other. `sides` lists the parts that
//! may differ.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

#[path = "../../connectors/tests/beds/mod.rs"]
mod beds;
#[path = "contract/cases.rs"]
mod cases;
#[path = "contract/content.rs"]
mod content;
#[path = "contract/exports.rs"]
mod exports;
#[path = "contract/headers.rs"]
mod headers;
#[path = "contract/market.rs"]
mod market;
#[path = "contract/pages.rs"]
mod pages;
#[path = "contract/routes.rs"]
mod routes;
#[path = "../../connectors/tests/contract/samples.rs"]
#[allow(dead_code, reason = "the contract of the stores uses more samples")]
mod samples;
#[path = "../../connectors/tests/services/mod.rs"]
mod services;
#[path = "contract/sides.rs"]
mod sides;
#[path = "contract/sockets.rs"]
mod sockets;
mod support;
