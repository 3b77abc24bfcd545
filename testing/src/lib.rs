//! The test kit: what the tests of several crates share. A dev-dependency only.
//!
//! | module | what it gives a test |
//! | --- | --- |
//! | [`services`] | the addresses of PostgreSQL, Redis and Kafka; names that no other test uses |
//! | [`ports`] | free ports for programs that listen later |
//! | [`process`], [`program`] | the `tallow` program: run to its end, or started, queried and stopped |
//! | [`recordings`] | recordings of real markets that may lie beside the checkout |
//! | [`sources`] | the files of the repository, for rules over all of them |
//! | [`wait`] | waiting for a condition, with a limit that only guards against hanging |
//! | `database`, `topic`, `redis_server`, `kafka_log`, `pipeline` | a database, a topic, a server, a log or a whole pipeline of a test's own (feature `connectors`) |
//! | `fixtures`, `contract`, `samples` | stores and caches, the suite that each of them passes, and the rows for it (feature `connectors`) |
//! | `graph` | runs of the graph over records in memory, and the oracle (feature `graph`) |
//! | `server` | a server over stores in memory, and clients (feature `server`) |
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

#[cfg(feature = "connectors")]
pub mod contract;
#[cfg(feature = "connectors")]
pub mod database;
#[cfg(feature = "connectors")]
pub mod fixtures;
#[cfg(feature = "graph")]
pub mod graph;
#[cfg(feature = "connectors")]
pub mod kafka_log;
#[cfg(feature = "connectors")]
pub mod pipeline;
pub mod ports;
pub mod process;
pub mod program;
pub mod recordings;
#[cfg(feature = "connectors")]
pub mod redis_server;
#[cfg(feature = "connectors")]
pub mod samples;
#[cfg(feature = "server")]
pub mod server;
pub mod services;
pub mod sources;
#[cfg(feature = "connectors")]
pub mod topic;
pub mod wait;
