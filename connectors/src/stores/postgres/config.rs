//! Settings of PostgreSQL: its address, and how long rows are kept.

use serde::{Deserialize, Serialize};
use tallow_model::secret::Secret;
use tallow_model::setting::{Bounded, UNBOUNDED};

/// The maximum age of rows, in days: a hundred years.
const MAX_AGE_DAYS: u64 = 36_500;

/// The section `[postgres]` of the settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresConfig {
    /// Address of the database, as a URL or as `key=value` pairs.
    pub url: Secret,
    /// The most connections that the server reads with.
    #[serde(with = "Bounded::<1, UNBOUNDED>")]
    pub pool_size: usize,
    /// With TimescaleDB: age in days at which chunks are compressed; 0 for never.
    #[serde(with = "Bounded::<0, MAX_AGE_DAYS>")]
    pub compress_after_days: u32,
    /// With TimescaleDB: age in days at which one-minute candles are dropped; 0 for never.
    #[serde(with = "Bounded::<0, MAX_AGE_DAYS>")]
    pub keep_1m_days: u32,
    /// With TimescaleDB: age in days at which five-minute candles are dropped; 0 for never.
    #[serde(with = "Bounded::<0, MAX_AGE_DAYS>")]
    pub keep_5m_days: u32,
    /// With TimescaleDB: age in days at which fifteen-minute candles are dropped; 0 for never.
    #[serde(with = "Bounded::<0, MAX_AGE_DAYS>")]
    pub keep_15m_days: u32,
}

impl Default for PostgresConfig {
    /// Returns the settings of a local server that never drops rows.
    fn default() -> PostgresConfig {
        PostgresConfig {
            url: "postgres://tallow@localhost:5432/tallow".to_owned().into(),
            pool_size: 8,
            compress_after_days: 7,
            keep_1m_days: 0,
            keep_5m_days: 0,
            keep_15m_days: 0,
        }
    }
}
