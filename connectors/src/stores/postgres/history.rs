//! The reader: queries on the database while it is being written.

use super::PostgresConfig;
use super::alerts::NewestAlerts;
use super::candles::{Page, Ping, Symbols};
use super::counts::CountCache;
use super::pool::PostgresPool;
use super::stats::{Since, Stats};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use tallow_model::error::Error;
use tallow_model::rows::AlertRow;
use tallow_model::store::{AlertQuery, CandlePage, CandleQuery, CandleStats, History, RollingWindow};
use tallow_model::{EventTime, Symbol};

/// Time limit for a query. The server itself gives up a statement sooner.
const QUERY_TIMEOUT: Duration = Duration::from_secs(15);
/// Time limit for a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// Answers queries from PostgreSQL.
///
/// Every query uses a primary key or an index and reads the rows of its range, not the table.
#[derive(Clone, Debug)]
pub struct PostgresHistory {
    readers: PostgresPool,
    counts: Arc<CountCache>,
}

impl PostgresHistory {
    /// Opens a reader with up to `pool_size` connections. They are made on demand, so a server can
    /// start before its database; each is refused if the database has not been migrated.
    /// [`History::ping`] makes the first.
    ///
    /// # Errors
    /// When the address is malformed.
    pub fn open(config: &PostgresConfig) -> Result<PostgresHistory, Error> {
        Ok(PostgresHistory { readers: PostgresPool::new(config)?, counts: Arc::default() })
    }
}

#[async_trait]
impl History for PostgresHistory {
    fn name(&self) -> &'static str {
        "postgres"
    }

    async fn ping(&self) -> Result<(), Error> {
        self.readers.ask(&Ping, PING_TIMEOUT).await
    }

    async fn symbols(&self) -> Result<Vec<Symbol>, Error> {
        self.readers.ask(&Symbols, QUERY_TIMEOUT).await
    }

    async fn candles(&self, query: &CandleQuery) -> Result<CandlePage, Error> {
        query.span.check()?;
        self.readers.ask(&Page { query, counts: &self.counts }, QUERY_TIMEOUT).await
    }

    async fn stats(&self, query: &CandleQuery) -> Result<Option<CandleStats>, Error> {
        query.span.check()?;
        self.readers.ask(&Stats(query), QUERY_TIMEOUT).await
    }

    async fn recent(&self, symbol: Option<Symbol>, from: EventTime) -> Result<Vec<RollingWindow>, Error> {
        self.readers.ask(&Since { symbol, from }, QUERY_TIMEOUT).await
    }

    async fn alerts(&self, query: &AlertQuery) -> Result<Vec<AlertRow>, Error> {
        self.readers.ask(&NewestAlerts(query), QUERY_TIMEOUT).await
    }
}
