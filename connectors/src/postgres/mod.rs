//! PostgreSQL, with TimescaleDB where the extension is there.

mod config;

pub use config::PostgresConfig;
