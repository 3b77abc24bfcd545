//! Statistics over ranges of candles. They are computed here, in one pass over the rows: the
//! database's sums would differ from those of the embedded store in the last digits.

use super::candles::PostgresWindows;
use super::names::NameText;
use super::pool::ReadQuery;
use super::statements;
use super::time::Time;
use async_trait::async_trait;
use deadpool_postgres::Transaction;
use tallow_model::candle_stats::StatsAccumulator;
use tallow_model::store::{CandleQuery, CandleStats, RollingWindow};
use tallow_model::{EventTime, Symbol};
use tokio_postgres::{Error, Row};

/// A query for the statistics of a range; `None` for a range without candles.
pub(super) struct Stats<'a>(pub(super) &'a CandleQuery);

#[async_trait]
impl ReadQuery for Stats<'_> {
    type Output = Option<CandleStats>;
    const ACTION: &'static str = "read candles from";

    async fn ask(&self, database: &Transaction<'_>) -> Result<Self::Output, Error> {
        let mut figures = StatsAccumulator::default();
        let windows = PostgresWindows::of(database, self.0).await?;
        windows.each(database, |row| figures.add(&row)).await?;
        Ok(figures.stats())
    }

    fn is_heavy(&self) -> bool {
        true
    }
}

/// A query for the rolling window since a time, of each symbol or of one.
pub(super) struct Since {
    pub(super) symbol: Option<Symbol>,
    pub(super) from: EventTime,
}

#[async_trait]
impl ReadQuery for Since {
    type Output = Vec<RollingWindow>;
    const ACTION: &'static str = "read candles from";

    async fn ask(&self, database: &Transaction<'_>) -> Result<Vec<RollingWindow>, Error> {
        let (from, symbol) = (Time::from(self.from), self.symbol.map(|symbol| symbol.to_string()));
        let statement = database.prepare_cached(&statements::recent()).await?;
        let rows = database.query(&statement, &[&from, &symbol]).await?;
        rows.iter().map(recent).collect()
    }

    fn is_heavy(&self) -> bool {
        self.symbol.is_none()
    }
}

fn recent(row: &Row) -> Result<RollingWindow, Error> {
    Ok(RollingWindow {
        symbol: row.try_get::<_, NameText<_>>(0)?.0,
        start: row.try_get::<_, Time>(1)?.into(),
        previous_close: row.try_get(2)?,
        open: row.try_get(3)?,
        high: row.try_get(4)?,
        low: row.try_get(5)?,
        volume: row.try_get(6)?,
        quote_volume: row.try_get(7)?,
        trades: row.try_get::<_, i64>(8)?.unsigned_abs(),
    })
}
