//! The embedded store: settled candles, alerts and rejects in one SQLite file, for running without
//! any service.
//!
//! - [`SqliteSink`] writes, one transaction a call, and is the file's only writer.
//! - [`SqliteHistory`] reads, on connections of its own that never wait for the writer (write-ahead
//!   log).
//!
//! The names of tables and columns are those of PostgreSQL in `docs/api-contract.md`. Prices are
//! `REAL`, times are milliseconds. Every time in the file comes from the log, so the same log
//! always makes the same rows.
//!
//! A commit is on disk before it is acknowledged (`synchronous = FULL`). So a checkpoint, which
//! discards the means of making the rows again, may rely on it even across a power failure.

mod alerts;
mod candles;
mod convert;
mod errors;
#[cfg(test)]
mod fault_tests;
mod history;
mod pool;
mod rejects;
mod schema;
mod sink;
mod statements;
mod stats;

pub use history::SqliteHistory;
pub use sink::SqliteSink;
