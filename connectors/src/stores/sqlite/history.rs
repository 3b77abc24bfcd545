//! The reader: queries on the database file while it is being written.

use super::pool::{SqlitePool, Weight};
use super::{alerts, candles, stats};
use async_trait::async_trait;
use std::path::Path;
use tallow_model::error::Error;
use tallow_model::rows::AlertRow;
use tallow_model::store::{AlertQuery, CandlePage, CandleQuery, CandleStats, History, RollingWindow};
use tallow_model::{EventTime, Symbol};

/// Answers queries from the embedded store.
///
/// Every query uses a primary key or an index and reads the rows of its range, not the table.
#[derive(Clone, Debug)]
pub struct SqliteHistory {
    readers: SqlitePool,
}

impl SqliteHistory {
    /// Opens a database file that a [`SqliteSink`](super::SqliteSink) has made.
    ///
    /// # Errors
    /// When the file is missing, can't be read, or is not a database of exactly this program's
    /// version.
    pub fn open(path: impl AsRef<Path>) -> Result<SqliteHistory, Error> {
        Ok(SqliteHistory { readers: SqlitePool::open(path.as_ref())? })
    }
}

#[async_trait]
impl History for SqliteHistory {
    fn name(&self) -> &'static str {
        "embedded"
    }

    async fn ping(&self) -> Result<(), Error> {
        let query = |connection: &rusqlite::Connection| {
            connection.prepare_cached("SELECT COUNT(*) FROM progress")?.query_row([], |_| Ok(()))
        };
        self.readers.read("read", Weight::Light, query).await
    }

    async fn symbols(&self) -> Result<Vec<Symbol>, Error> {
        self.readers.read("read symbols from", Weight::Light, candles::symbols).await
    }

    async fn candles(&self, query: &CandleQuery) -> Result<CandlePage, Error> {
        query.span.check()?;
        let weight = match query.span.window_ms > query.span.base.millis() {
            true => Weight::Heavy,
            false => Weight::Light,
        };
        let query = query.clone();
        let page = move |connection: &rusqlite::Connection| candles::page(connection, &query);
        self.readers.read("read candles from", weight, page).await
    }

    async fn stats(&self, query: &CandleQuery) -> Result<Option<CandleStats>, Error> {
        query.span.check()?;
        let query = query.clone();
        let figures = move |connection: &rusqlite::Connection| stats::of(connection, &query);
        self.readers.read("read candles from", Weight::Heavy, figures).await
    }

    async fn recent(&self, symbol: Option<Symbol>, from: EventTime) -> Result<Vec<RollingWindow>, Error> {
        let weight = if symbol.is_none() { Weight::Heavy } else { Weight::Light };
        let recent = move |connection: &rusqlite::Connection| stats::recent(connection, symbol, from);
        self.readers.read("read candles from", weight, recent).await
    }

    async fn alerts(&self, query: &AlertQuery) -> Result<Vec<AlertRow>, Error> {
        let query = query.clone();
        let newest = move |connection: &rusqlite::Connection| alerts::newest(connection, &query);
        self.readers.read("read alerts from", Weight::Light, newest).await
    }
}
