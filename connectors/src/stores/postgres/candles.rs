//! Candles from the database: as they settled, or rolled up to longer windows.
//!
//! A rolled-up window has the open of its first candle, the close of its last, the highest high and
//! the lowest low. Its average is weighted by ticks. Its vwap is Σ quote volume / Σ volume over the
//! candles that traded. Its volume is their sum; if none traded, the newest rolling volume. Ticks
//! and revisions are summed, so a correction of any part raises the revision.
//!
//! Only complete windows are returned: those that end before the time up to which the database is
//! complete, or not after the end of the symbol's newest candle. (That candle has settled, so
//! everything before its end has settled too.)

use super::counts::CountCache;
use super::numeric::NumericAsF64;
use super::pool::ReadQuery;
use super::statements;
use super::time::Time;
use super::upserts::integer;
use async_trait::async_trait;
use deadpool_postgres::Transaction;
use futures_util::TryStreamExt;
use std::ops::Range;
use std::pin::pin;
use tallow_model::rows::CandleRow;
use tallow_model::store::{CandlePage, CandleQuery, Direction, Span};
use tallow_model::{EventTime, Symbol};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row};

/// A check that the database answers. Every connection has checked its schema when it was opened.
pub(super) struct Ping;

#[async_trait]
impl ReadQuery for Ping {
    type Output = ();
    const ACTION: &'static str = "read";

    async fn ask(&self, database: &Transaction<'_>) -> Result<(), Error> {
        database.simple_query("SELECT").await.map(drop)
    }
}

/// A query for all symbols in the database, sorted.
pub(super) struct Symbols;

#[async_trait]
impl ReadQuery for Symbols {
    type Output = Vec<Symbol>;
    const ACTION: &'static str = "read symbols from";

    async fn ask(&self, database: &Transaction<'_>) -> Result<Vec<Symbol>, Error> {
        let statement = database.prepare_cached(statements::SYMBOLS).await?;
        let rows = database.query(&statement, &[]).await?;
        // A row that another program wrote and that is no symbol has no candles either.
        let symbols = rows.iter().map(|row| Ok(Symbol::parse(row.try_get::<_, &str>(0)?.as_bytes()).ok()));
        symbols.filter_map(Result::transpose).collect()
    }
}

/// The rows of a query and, if it asks, their number.
pub(super) struct Page<'a> {
    pub(super) query: &'a CandleQuery,
    pub(super) counts: &'a CountCache,
}

#[async_trait]
impl ReadQuery for Page<'_> {
    type Output = CandlePage;
    const ACTION: &'static str = "read candles from";

    async fn ask(&self, database: &Transaction<'_>) -> Result<CandlePage, Error> {
        let query = self.query;
        let windows = PostgresWindows::of(database, query).await?;
        let count = async {
            if !query.counted {
                return Ok(None);
            }
            let range = (query.symbol, query.span, windows.starts.start, windows.starts.end);
            self.counts.of(range, database, windows.count(database)).await.map(Some)
        };
        let rest = windows.rest(query);
        let rows = async {
            match windows.are_settled() {
                true => rest.settled(database, query).await,
                false => rest.rolled_up(database, query).await,
            }
        };
        let (total, rows) = tokio::try_join!(count, rows)?;
        Ok(CandlePage { rows, total })
    }

    fn is_heavy(&self) -> bool {
        self.query.span.window_ms > self.query.span.base.millis()
    }
}

/// The windows of one symbol that a query selects.
pub(super) struct PostgresWindows {
    symbol: Symbol,
    span: Span,
    /// Start times of the settled candles in these windows, in milliseconds.
    starts: Range<u64>,
}

impl PostgresWindows {
    pub(super) async fn of(
        database: &Transaction<'_>,
        query: &CandleQuery,
    ) -> Result<PostgresWindows, Error> {
        let (symbol, span) = (query.symbol, query.span);
        let from = aligned(query.from.unwrap_or(EventTime(0)), span);
        let until = query.until.map_or(u64::MAX, |until| aligned(until, span));
        let mut windows = PostgresWindows { symbol, span, starts: from..until };
        if !windows.are_settled() {
            let over = windows.over_through(database).await?;
            windows.starts.end = until.min(over / span.window_ms * span.window_ms);
        }
        Ok(windows)
    }

    /// Returns the windows that come after the one that the query names.
    fn rest(&self, query: &CandleQuery) -> PostgresWindows {
        let rest = query.rest(EventTime(self.starts.start)..EventTime(self.starts.end));
        PostgresWindows { starts: aligned(rest.start, self.span)..aligned(rest.end, self.span), ..*self }
    }

    fn are_settled(&self) -> bool {
        self.span.window_ms == self.span.base.millis()
    }

    /// Returns the time up to which every candle of this symbol has settled and is stored.
    async fn over_through(&self, database: &Transaction<'_>) -> Result<u64, Error> {
        let statement = database.prepare_cached(&statements::over(self.span.base)).await?;
        let row = database.query_one(&statement, &[&self.symbol.to_string()]).await?;
        let millis = |time: Option<Time>| time.map(|time| EventTime::from(time).millis());
        // A candle settles at the end of its window, so that end must be below the complete time.
        let complete = millis(row.try_get(1)?).map(|through| through.saturating_sub(1));
        Ok(millis(row.try_get(0)?).max(complete).unwrap_or(0))
    }

    /// Visits every row, oldest first, as the rows arrive: a long range takes no more memory than a
    /// short one.
    pub(super) async fn each(
        &self,
        database: &Transaction<'_>,
        mut visit: impl FnMut(CandleRow) + Send,
    ) -> Result<(), Error> {
        let (symbol, [from, until], length) = (self.symbol.to_string(), self.bounds(), self.length());
        let (base, direction) = (self.span.base, Direction::Ascending);
        let (statement, parameters): (String, Vec<&(dyn ToSql + Sync)>) = match self.are_settled() {
            true => (statements::settled(base, direction), vec![&symbol, &from, &until, &i64::MAX, &0i64]),
            false => (statements::rolled_up(base, direction), vec![&symbol, &from, &until, &length]),
        };
        let statement = database.prepare_cached(&statement).await?;
        let mut rows = pin!(database.query_raw(&statement, parameters).await?);
        while let Some(row) = rows.try_next().await? {
            visit(read(&row, self.symbol)?);
        }
        Ok(())
    }

    async fn settled(
        &self,
        database: &Transaction<'_>,
        query: &CandleQuery,
    ) -> Result<Vec<CandleRow>, Error> {
        let (symbol, [from, until]) = (self.symbol.to_string(), self.bounds());
        let [limit, offset] = [query.limit, query.offset].map(|rows| integer(rows as u64));
        let statement = statements::settled(self.span.base, query.direction);
        let statement = database.prepare_cached(&statement).await?;
        let rows = database.query(&statement, &[&symbol, &from, &until, &limit, &offset]).await?;
        rows.iter().map(|row| read(row, self.symbol)).collect()
    }

    async fn count(&self, database: &Transaction<'_>) -> Result<u64, Error> {
        let (symbol, [from, until], length) = (self.symbol.to_string(), self.bounds(), self.length());
        let row = if self.are_settled() {
            let statement = database.prepare_cached(&statements::count(self.span.base)).await?;
            database.query_one(&statement, &[&symbol, &from, &until]).await?
        } else {
            let statement = database.prepare_cached(&statements::count_windows(self.span.base)).await?;
            database.query_one(&statement, &[&symbol, &from, &until, &length]).await?
        };
        Ok(row.try_get::<_, i64>(0)?.unsigned_abs())
    }

    /// Reads the rolled-up windows of the page. The candles of other windows are not read.
    async fn rolled_up(
        &self,
        database: &Transaction<'_>,
        query: &CandleQuery,
    ) -> Result<Vec<CandleRow>, Error> {
        let (symbol, [from, until], length) = (self.symbol.to_string(), self.bounds(), self.length());
        let [limit, offset] = [query.limit, query.offset].map(|rows| integer(rows as u64));
        let statement = database.prepare_cached(&statements::starts(self.span.base, query.direction)).await?;
        let starts = database.query(&statement, &[&symbol, &from, &until, &length, &limit, &offset]).await?;
        let (Some(one), Some(other)) = (starts.first(), starts.last()) else { return Ok(Vec::new()) };
        let [one, other] = [one, other].map(|row| row.try_get::<_, Time>(0).map(EventTime::from));
        let (one, other) = (one?, other?);
        let until = EventTime(one.max(other).millis() + self.span.window_ms);
        let [from, until] = [one.min(other), until].map(Time::from);
        let statement =
            database.prepare_cached(&statements::rolled_up(self.span.base, query.direction)).await?;
        let rows = database.query(&statement, &[&symbol, &from, &until, &length]).await?;
        rows.iter().map(|row| read(row, self.symbol)).collect()
    }

    fn bounds(&self) -> [Time; 2] {
        [self.starts.start, self.starts.end].map(|millis| Time::from(EventTime(millis)))
    }

    /// Returns the length in milliseconds of a rolled-up window.
    fn length(&self) -> f64 {
        self.span.window_ms as f64
    }
}

/// Returns the start of the first window at or after `time`. A window belongs to a range if its
/// start does, with all its candles.
fn aligned(time: EventTime, span: Span) -> u64 {
    time.millis().div_ceil(span.window_ms).saturating_mul(span.window_ms)
}

fn read(row: &Row, symbol: Symbol) -> Result<CandleRow, Error> {
    let number = |column: usize| row.try_get(column).map(|NumericAsF64(number)| number);
    Ok(CandleRow {
        symbol,
        window_start: row.try_get::<_, Time>(0)?.into(),
        window_end: row.try_get::<_, Time>(1)?.into(),
        open_price: number(2)?,
        high_price: number(3)?,
        low_price: number(4)?,
        close_price: number(5)?,
        avg_price: number(6)?,
        vwap: row.try_get::<_, Option<NumericAsF64>>(7)?.map(|NumericAsF64(number)| number),
        volume_sum: number(8)?,
        quote_volume: number(9)?,
        trade_count: row.try_get::<_, i64>(10)?.unsigned_abs(),
        revision: u32::try_from(row.try_get::<_, i64>(11)?).unwrap_or(u32::MAX),
    })
}
