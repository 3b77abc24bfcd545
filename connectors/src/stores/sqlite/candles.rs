//! Candles from the database: as they settled, or rolled up to longer windows.
//!
//! A rolled-up window has the open of its first candle, the close of its last, the highest high and
//! the lowest low. Its average is weighted by ticks. Its vwap is Σ quote volume / Σ volume over the
//! candles that traded. Its volume is their sum; if none traded, the newest rolling volume. Ticks
//! and revisions are summed, so a correction of any part raises the revision.
//!
//! Only complete windows are returned: those that end before the time up to which the file is
//! complete, or not after the end of the symbol's newest candle. (That candle has settled, so
//! everything before its end has settled too.)

use super::convert::{integer, millis};
use super::sink::read_progress;
use super::statements;
use rusqlite::{Connection, OptionalExtension, Row, named_params};
use std::ops::Range;
use tallow_model::rows::CandleRow;
use tallow_model::store::{CandlePage, CandleQuery, Direction, Span};
use tallow_model::{EventTime, Interval, Symbol};

/// Returns every symbol in the file, sorted.
pub(super) fn symbols(connection: &Connection) -> rusqlite::Result<Vec<Symbol>> {
    let mut statement = connection.prepare_cached("SELECT symbol FROM cryptocurrencies ORDER BY symbol")?;
    let rows = statement.query_map([], |row| symbol(row, 0))?;
    rows.collect()
}

/// Returns the rows of a query and, if it asks, their number.
pub(super) fn page(connection: &Connection, query: &CandleQuery) -> rusqlite::Result<CandlePage> {
    let Some(windows) = SqliteWindows::of(connection, query)? else {
        return Ok(CandlePage { rows: Vec::new(), total: query.counted.then_some(0) });
    };
    let mut rows = Vec::new();
    let rest = windows.rest(query);
    if windows.are_settled() {
        rest.settled(connection, query, |row| rows.push(row))?;
    } else if let Some(page) = rest.page(connection, query)? {
        page.rolled_up(connection, query.direction, |row| rows.push(row))?;
    }
    let total = if query.counted { Some(windows.count(connection)?) } else { None };
    Ok(CandlePage { rows, total })
}

/// Visits every row of a query, oldest first, whatever its limit, offset and direction.
pub(super) fn each(
    connection: &Connection,
    query: &CandleQuery,
    visit: impl FnMut(CandleRow),
) -> rusqlite::Result<()> {
    let Some(windows) = SqliteWindows::of(connection, query)? else { return Ok(()) };
    if windows.are_settled() {
        let all =
            CandleQuery { direction: Direction::Ascending, limit: usize::MAX, offset: 0, ..query.clone() };
        windows.settled(connection, &all, visit)
    } else {
        windows.rolled_up(connection, Direction::Ascending, visit)
    }
}

/// The windows of one symbol that a query selects.
struct SqliteWindows {
    crypto_id: i64,
    symbol: Symbol,
    span: Span,
    /// Start times of the settled candles in these windows.
    starts: Range<i64>,
}

impl SqliteWindows {
    /// Returns the windows of a query; `None` for an unknown symbol.
    fn of(connection: &Connection, query: &CandleQuery) -> rusqlite::Result<Option<SqliteWindows>> {
        let Some(crypto_id) = crypto_id(connection, query.symbol)? else { return Ok(None) };
        let (symbol, span) = (query.symbol, query.span);
        let from = aligned(query.from.unwrap_or(EventTime(0)), span);
        let until = query.until.map_or(i64::MAX, |until| aligned(until, span));
        let mut windows = SqliteWindows { crypto_id, symbol, span, starts: from..until };
        if !windows.are_settled() {
            let (over, length) = (over_through(connection, crypto_id, span.base)?, windows.length());
            windows.starts.end = until.min(over / length * length);
        }
        Ok(Some(windows))
    }

    /// Returns the windows that come after the one that the query names.
    fn rest(&self, query: &CandleQuery) -> SqliteWindows {
        let [from, until] = [self.starts.start, self.starts.end].map(|start| EventTime(start.unsigned_abs()));
        let rest = query.rest(from..until);
        SqliteWindows { starts: aligned(rest.start, self.span)..aligned(rest.end, self.span), ..*self }
    }

    fn are_settled(&self) -> bool {
        self.span.window_ms == self.span.base.millis()
    }

    fn length(&self) -> i64 {
        integer(self.span.window_ms)
    }

    fn settled(
        &self,
        connection: &Connection,
        query: &CandleQuery,
        mut visit: impl FnMut(CandleRow),
    ) -> rusqlite::Result<()> {
        let mut statement =
            connection.prepare_cached(&statements::settled(self.span.base, query.direction))?;
        let mut rows = statement.query(named_params! {
            ":crypto_id": self.crypto_id, ":from": self.starts.start, ":until": self.starts.end,
            ":limit": integer(query.limit as u64), ":offset": integer(query.offset as u64),
        })?;
        while let Some(row) = rows.next()? {
            visit(read(row, self.symbol)?);
        }
        Ok(())
    }

    fn count(&self, connection: &Connection) -> rusqlite::Result<u64> {
        let count: i64 = if self.are_settled() {
            let range = named_params! {
                ":crypto_id": self.crypto_id, ":from": self.starts.start, ":until": self.starts.end,
            };
            connection
                .prepare_cached(&statements::count(self.span.base))?
                .query_row(range, |row| row.get(0))?
        } else {
            let range = named_params! {
                ":crypto_id": self.crypto_id, ":from": self.starts.start, ":until": self.starts.end,
                ":length": self.length(),
            };
            connection
                .prepare_cached(&statements::count_windows(self.span.base))?
                .query_row(range, |row| row.get(0))?
        };
        Ok(count.unsigned_abs())
    }

    /// Returns the range of rolled-up windows of the page; `None` if it is empty.
    fn page(&self, connection: &Connection, query: &CandleQuery) -> rusqlite::Result<Option<SqliteWindows>> {
        let mut statement =
            connection.prepare_cached(&statements::starts(self.span.base, query.direction))?;
        let starts = statement.query_map(
            named_params! {
                ":crypto_id": self.crypto_id, ":from": self.starts.start, ":until": self.starts.end,
                ":length": self.length(), ":limit": integer(query.limit as u64),
                ":offset": integer(query.offset as u64),
            },
            |row| row.get::<_, i64>(0),
        )?;
        let starts = starts.collect::<rusqlite::Result<Vec<i64>>>()?;
        let (Some(first), Some(last)) = (starts.iter().min(), starts.iter().max()) else { return Ok(None) };
        Ok(Some(SqliteWindows { starts: *first..*last + self.length(), ..*self }))
    }

    fn rolled_up(
        &self,
        connection: &Connection,
        direction: Direction,
        mut visit: impl FnMut(CandleRow),
    ) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(&statements::rolled_up(self.span.base, direction))?;
        let mut rows = statement.query(named_params! {
            ":crypto_id": self.crypto_id, ":from": self.starts.start, ":until": self.starts.end,
            ":length": self.length(),
        })?;
        while let Some(row) = rows.next()? {
            visit(read(row, self.symbol)?);
        }
        Ok(())
    }
}

/// Returns the start of the first window at or after `time`. A window belongs to a range if its
/// start does, with all its candles.
fn aligned(time: EventTime, span: Span) -> i64 {
    millis(EventTime(time.millis().div_ceil(span.window_ms))).saturating_mul(integer(span.window_ms))
}

/// Returns the time up to which every candle of this symbol has settled and is in the file.
fn over_through(connection: &Connection, crypto_id: i64, base: Interval) -> rusqlite::Result<i64> {
    let newest: Option<i64> = connection
        .prepare_cached(&statements::newest(base))?
        .query_row([crypto_id], |row| row.get(0))
        .optional()?;
    // A candle settles at the end of its window, so that end must be below the complete time.
    let complete = read_progress(connection)?.map(|through| millis(through) - 1);
    Ok(newest.max(complete).unwrap_or(0))
}

fn read(row: &Row<'_>, symbol: Symbol) -> rusqlite::Result<CandleRow> {
    Ok(CandleRow {
        symbol,
        window_start: time(row, 0)?,
        window_end: time(row, 1)?,
        open_price: row.get(2)?,
        high_price: row.get(3)?,
        low_price: row.get(4)?,
        close_price: row.get(5)?,
        avg_price: row.get(6)?,
        vwap: row.get(7)?,
        volume_sum: row.get(8)?,
        quote_volume: row.get(9)?,
        trade_count: row.get::<_, i64>(10)?.unsigned_abs(),
        revision: u32::try_from(row.get::<_, i64>(11)?).unwrap_or(u32::MAX),
    })
}

/// Returns the id of a symbol in the file.
pub(super) fn crypto_id(connection: &Connection, symbol: Symbol) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT id FROM cryptocurrencies WHERE symbol = ?1")?
        .query_row([&*symbol.text()], |row| row.get(0))
        .optional()
}

/// Reads a column that is a time.
pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<EventTime> {
    Ok(EventTime(row.get::<_, i64>(column)?.unsigned_abs()))
}

/// Reads a column that is a symbol.
pub(super) fn symbol(row: &Row<'_>, column: usize) -> rusqlite::Result<Symbol> {
    let text = row.get_ref(column)?.as_str()?;
    Symbol::parse(text.as_bytes()).map_err(|why| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(why))
    })
}
