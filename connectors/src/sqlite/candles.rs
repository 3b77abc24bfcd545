//! Candles out of the database: as they settled, or rolled up to longer windows.
//!
//! A rolled-up window: open of its first candle, close of its last, highest high, lowest low; average weighted by
//! ticks; vwap = Σ quote volume / Σ volume over the candles that traded; volume their sum, or where none traded the
//! newest rolling volume; ticks and revisions summed, so that a correction of any part raises the revision.
//!
//! Only windows that are over are answered: those that end before the time up to which the file is complete, or not
//! after the end of the symbol's own newest candle (which has settled, so everything before its end has).

use super::sink::{integer, millis, read_progress};
use crate::model::CandleRow;
use crate::store::{CandlePage, CandleQuery, Direction, Span};
use rusqlite::{Connection, OptionalExtension, Row, named_params};
use std::ops::Range;
use tallow_dataflow::{EventTime, Interval, Symbol};

/// Every symbol in the file, sorted.
pub(super) fn symbols(connection: &Connection) -> rusqlite::Result<Vec<Symbol>> {
    let mut statement = connection.prepare_cached("SELECT symbol FROM cryptocurrencies ORDER BY symbol")?;
    let rows = statement.query_map([], |row| symbol(row, 0))?;
    rows.collect()
}

/// The rows of a query and how many there are in all.
pub(super) fn page(connection: &Connection, query: &CandleQuery) -> rusqlite::Result<CandlePage> {
    let Some(windows) = Windows::of(connection, query)? else { return Ok(CandlePage::default()) };
    let mut rows = Vec::new();
    let total = if windows.span.window_ms == windows.span.base.millis() {
        windows.settled(connection, query, |row| rows.push(row))?;
        windows.count(connection)?
    } else {
        let starts = windows.starts(connection)?;
        let total = starts.len();
        let page = match query.direction {
            Direction::Ascending => {
                let from = query.offset.min(total);
                from..from.saturating_add(query.limit).min(total)
            }
            Direction::Descending => {
                let until = total.saturating_sub(query.offset);
                until.saturating_sub(query.limit)..until
            }
        };
        if let [first, ..] = starts[page.clone()]
            && let [.., last] = starts[page]
        {
            let page = Windows { starts: first..last + windows.length(), ..windows };
            page.rolled_up(connection, query.direction, |row| rows.push(row))?;
        }
        total as u64
    };
    Ok(CandlePage { rows, total })
}

/// Shows every row of a query, oldest first, whatever its limit, offset and direction.
pub(super) fn each(
    connection: &Connection,
    query: &CandleQuery,
    visit: impl FnMut(CandleRow),
) -> rusqlite::Result<()> {
    let Some(windows) = Windows::of(connection, query)? else { return Ok(()) };
    if windows.span.window_ms == windows.span.base.millis() {
        let all =
            CandleQuery { direction: Direction::Ascending, limit: usize::MAX, offset: 0, ..query.clone() };
        windows.settled(connection, &all, visit)
    } else {
        windows.rolled_up(connection, Direction::Ascending, visit)
    }
}

/// The windows of one symbol that a query is about.
struct Windows {
    crypto_id: i64,
    symbol: Symbol,
    span: Span,
    /// The starts of settled candles that belong to them.
    starts: Range<i64>,
}

impl Windows {
    /// None where the symbol is unknown.
    fn of(connection: &Connection, query: &CandleQuery) -> rusqlite::Result<Option<Windows>> {
        let Some(crypto_id) = crypto_id(connection, query.symbol)? else { return Ok(None) };
        let length = integer(query.span.window_ms);
        // A window is in the range if its start is, and all its candles with it.
        let aligned = |time: EventTime| {
            millis(EventTime(time.millis().div_ceil(query.span.window_ms))).saturating_mul(length)
        };
        let from = aligned(query.from.unwrap_or(EventTime(0)));
        let mut until = query.until.map_or(i64::MAX, aligned);
        if query.span.window_ms != query.span.base.millis() {
            let over = over_through(connection, crypto_id, query.span.base)?;
            until = until.min(over / length * length);
        }
        let (symbol, span) = (query.symbol, query.span);
        Ok(Some(Windows { crypto_id, symbol, span, starts: from..until }))
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
        let mut statement = connection.prepare_cached(&settled_statement(self.span.base, query.direction))?;
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
        let count: i64 = connection.prepare_cached(&count_statement(self.span.base))?.query_row(
            named_params! {
                ":crypto_id": self.crypto_id, ":from": self.starts.start, ":until": self.starts.end,
            },
            |row| row.get(0),
        )?;
        Ok(count.unsigned_abs())
    }

    /// The starts of the rolled-up windows that have candles, in order.
    fn starts(&self, connection: &Connection) -> rusqlite::Result<Vec<i64>> {
        let mut statement = connection.prepare_cached(&starts_statement(self.span.base))?;
        let rows = statement.query_map(
            named_params! {
                ":crypto_id": self.crypto_id, ":from": self.starts.start, ":until": self.starts.end,
                ":length": self.length(),
            },
            |row| row.get(0),
        )?;
        rows.collect()
    }

    fn rolled_up(
        &self,
        connection: &Connection,
        direction: Direction,
        mut visit: impl FnMut(CandleRow),
    ) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(&rolled_up_statement(self.span.base, direction))?;
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

/// The time up to which everything of this symbol has settled and is in the file.
fn over_through(connection: &Connection, crypto_id: i64, base: Interval) -> rusqlite::Result<i64> {
    let newest: Option<i64> = connection
        .prepare_cached(&newest_statement(base))?
        .query_row([crypto_id], |row| row.get(0))
        .optional()?;
    // A candle settles at its window's end, so that end must be below what the file is complete to.
    let complete = read_progress(connection)?.map(|through| millis(through) - 1);
    Ok(newest.max(complete).unwrap_or(0))
}

fn newest_statement(base: Interval) -> String {
    format!(
        "SELECT window_end FROM price_aggregates_{base} WHERE crypto_id = ?1
         ORDER BY window_start DESC LIMIT 1"
    )
}

const fn order(direction: Direction) -> &'static str {
    match direction {
        Direction::Ascending => "ASC",
        Direction::Descending => "DESC",
    }
}

fn settled_statement(base: Interval, direction: Direction) -> String {
    format!(
        "SELECT window_start, window_end, open_price, high_price, low_price, close_price, avg_price, vwap,
            volume_sum, quote_volume, trade_count, revision
         FROM price_aggregates_{base}
         WHERE crypto_id = :crypto_id AND window_start >= :from AND window_start < :until
         ORDER BY window_start {} LIMIT :limit OFFSET :offset",
        order(direction)
    )
}

fn count_statement(base: Interval) -> String {
    format!(
        "SELECT COUNT(*) FROM price_aggregates_{base}
         WHERE crypto_id = :crypto_id AND window_start >= :from AND window_start < :until"
    )
}

/// From window to window by one look at the key each, past all candles between.
fn starts_statement(base: Interval) -> String {
    let next = |at: &str| {
        format!(
            "(SELECT window_start FROM price_aggregates_{base}
              WHERE crypto_id = :crypto_id AND window_start >= {at} AND window_start < :until
              ORDER BY window_start LIMIT 1) / :length * :length"
        )
    };
    format!(
        "WITH RECURSIVE windows (start) AS (
            SELECT {} UNION ALL SELECT {} FROM windows WHERE start IS NOT NULL)
         SELECT start FROM windows WHERE start IS NOT NULL",
        next(":from"),
        next("start + :length")
    )
}

fn rolled_up_statement(base: Interval, direction: Direction) -> String {
    let price_at = |column: &str, window: &str| {
        format!(
            "(SELECT {column} FROM price_aggregates_{base}
              WHERE crypto_id = :crypto_id AND window_start = rolled.{window})"
        )
    };
    format!(
        "SELECT number * :length, (number + 1) * :length, {open}, high, low, {close}, average, vwap,
            COALESCE(traded, {rolling}), quote, ticks, revisions
         FROM (
            SELECT window_start / :length AS number, MIN(window_start) AS first, MAX(window_start) AS last,
                MAX(high_price) AS high, MIN(low_price) AS low,
                SUM(avg_price * trade_count) / SUM(trade_count) AS average,
                SUM(quote_volume) FILTER (WHERE vwap IS NOT NULL)
                    / SUM(volume_sum) FILTER (WHERE vwap IS NOT NULL) AS vwap,
                SUM(volume_sum) FILTER (WHERE vwap IS NOT NULL) AS traded,
                SUM(quote_volume) AS quote, SUM(trade_count) AS ticks, SUM(revision) AS revisions
            FROM price_aggregates_{base}
            WHERE crypto_id = :crypto_id AND window_start >= :from AND window_start < :until
            GROUP BY number) AS rolled
         ORDER BY number {order}",
        open = price_at("open_price", "first"),
        close = price_at("close_price", "last"),
        rolling = price_at("volume_sum", "last"),
        order = order(direction)
    )
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

/// The id of a symbol in the file, if it is there.
pub(super) fn crypto_id(connection: &Connection, symbol: Symbol) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT id FROM cryptocurrencies WHERE symbol = ?1")?
        .query_row([&*symbol.text()], |row| row.get(0))
        .optional()
}

/// A column that is a time.
pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<EventTime> {
    Ok(EventTime(row.get::<_, i64>(column)?.unsigned_abs()))
}

/// A column that is a symbol.
pub(super) fn symbol(row: &Row<'_>, column: usize) -> rusqlite::Result<Symbol> {
    let text = row.get_ref(column)?.as_str()?;
    Symbol::parse(text.as_bytes()).map_err(|why| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(why))
    })
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;
    use crate::sqlite::schema::open_for_writing;

    /// The steps by which SQLite would answer a statement.
    pub(in crate::sqlite) fn plan(statement: &str) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let connection = open_for_writing(&dir.path().join("tallow.db")).unwrap();
        let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
        explain.raw_query().mapped(|row| row.get("detail")).collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn no_query_reads_a_whole_table_or_sorts_what_the_key_has_in_order() {
        for base in Interval::ALL {
            let along_the_key = [
                settled_statement(base, Direction::Ascending),
                settled_statement(base, Direction::Descending),
                count_statement(base),
                newest_statement(base),
            ];
            for statement in along_the_key {
                let plan = plan(&statement);
                assert!(plan.iter().all(|step| step.starts_with("SEARCH price_aggregates_")), "{plan:?}");
            }
            let rolled_up = [
                starts_statement(base),
                rolled_up_statement(base, Direction::Ascending),
                rolled_up_statement(base, Direction::Descending),
            ];
            for statement in rolled_up {
                let plan = plan(&statement);
                let reads = plan.iter().filter(|step| step.contains("price_aggregates_"));
                assert!(reads.clone().count() > 0, "{plan:?}");
                for step in reads {
                    assert!(step.starts_with("SEARCH") && step.contains("PRIMARY KEY"), "{plan:?}");
                }
            }
        }
    }
}
