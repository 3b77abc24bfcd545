//! The reader: queries over the database file, while it is being written.

use super::pool::Readers;
use super::{alerts, candles, stats};
use crate::error::Error;
use crate::model::AlertRow;
use crate::store::{AlertQuery, CandlePage, CandleQuery, CandleStats, History};
use async_trait::async_trait;
use std::path::Path;
use tallow_dataflow::Symbol;

/// Answers queries out of the embedded store.
///
/// Every query goes along a primary key or an index and reads the rows of its range, not the table.
#[derive(Clone, Debug)]
pub struct SqliteHistory {
    readers: Readers,
}

impl SqliteHistory {
    /// Opens a database file that a [`SqliteSink`](super::SqliteSink) has made.
    ///
    /// # Errors
    /// When the file is not there, can't be read, or is not a database of exactly this program's version.
    pub fn open(path: impl AsRef<Path>) -> Result<SqliteHistory, Error> {
        Ok(SqliteHistory { readers: Readers::open(path.as_ref())? })
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
        self.readers.read("read", query).await
    }

    async fn symbols(&self) -> Result<Vec<Symbol>, Error> {
        self.readers.read("read symbols from", candles::symbols).await
    }

    async fn candles(&self, query: &CandleQuery) -> Result<CandlePage, Error> {
        query.span.check()?;
        let query = query.clone();
        self.readers.read("read candles from", move |connection| candles::page(connection, &query)).await
    }

    async fn stats(&self, query: &CandleQuery) -> Result<Option<CandleStats>, Error> {
        query.span.check()?;
        let query = query.clone();
        self.readers.read("read candles from", move |connection| stats::of(connection, &query)).await
    }

    async fn alerts(&self, query: &AlertQuery) -> Result<Vec<AlertRow>, Error> {
        let query = query.clone();
        self.readers.read("read alerts from", move |connection| alerts::newest(connection, &query)).await
    }
}
