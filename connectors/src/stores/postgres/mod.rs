//! PostgreSQL, with TimescaleDB if the extension is available: settled candles, alerts and rejects,
//! for many readers and for pipelines of several processes.
//!
//! - [`migrate`] creates the tables, brings them up to date, and sets TimescaleDB up.
//! - [`name_coins`] fills in the names of the symbols in the database.
//! - [`PostgresSink`] writes, one transaction a call, from a thread that may block.
//! - [`PostgresHistory`] reads through a pool of connections, each query in one state of the
//!   database.
//!
//! The names of tables and columns are in `docs/api-contract.md`. Prices and volumes are `NUMERIC`,
//! to the digit as they settled. Every time in the tables comes from the log, so the same log
//! always makes the same rows.

mod alerts;
mod blocking;
mod candles;
mod coins;
mod config;
mod connection;
mod counts;
mod errors;
mod history;
mod names;
mod numeric;
mod open;
mod pool;
mod progress;
mod rejects;
mod schema;
mod sink;
mod statements;
mod stats;
mod time;
mod timescale;
mod upserts;

pub use coins::name_coins;
pub use config::PostgresConfig;
pub use history::PostgresHistory;
pub use progress::Share;
pub use schema::{MigrationReport, migrate};
pub use sink::PostgresSink;
pub use timescale::Timescale;
