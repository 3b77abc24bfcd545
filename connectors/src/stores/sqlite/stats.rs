//! Statistics over ranges of candles, in one pass over their rows.

use super::candles;
use rusqlite::Connection;
use tallow_model::candle_stats::StatsAccumulator;
use tallow_model::store::{CandleQuery, CandleStats, RollingWindow};
use tallow_model::{EventTime, Interval, Symbol};

/// Returns the statistics of a query's candles; `None` for a range without candles.
pub(super) fn of(connection: &Connection, query: &CandleQuery) -> rusqlite::Result<Option<CandleStats>> {
    let mut figures = StatsAccumulator::default();
    candles::each(connection, query, |row| figures.add(&row))?;
    Ok(figures.stats())
}

/// Returns the rolling window since a time, of each symbol or of one.
pub(super) fn recent(
    connection: &Connection,
    symbol: Option<Symbol>,
    from: EventTime,
) -> rusqlite::Result<Vec<RollingWindow>> {
    let symbols = match symbol {
        Some(symbol) => vec![symbol],
        None => candles::symbols(connection)?,
    };
    let recent = symbols.into_iter().map(|symbol| recent_of(connection, symbol, from));
    recent.filter_map(Result::transpose).collect()
}

fn recent_of(
    connection: &Connection,
    symbol: Symbol,
    from: EventTime,
) -> rusqlite::Result<Option<RollingWindow>> {
    let quarter_before = EventTime(from.millis().saturating_sub(Interval::FifteenMinutes.millis()));
    let (mut recent, mut previous_close, mut rest): (Option<RollingWindow>, _, _) = (None, None, from);
    for (interval, since) in [(Interval::FifteenMinutes, Some(quarter_before)), (Interval::OneMinute, None)] {
        let query = CandleQuery { from: since.or(Some(rest)), ..CandleQuery::all(symbol, interval) };
        candles::each(connection, &query, |row| {
            if row.window_start < from {
                previous_close = Some(row.close_price);
                return;
            }
            rest = rest.max(row.window_end);
            match &mut recent {
                Some(recent) => recent.add(&row),
                None => recent = Some(RollingWindow::of(&row, previous_close)),
            }
        })?;
    }
    Ok(recent)
}
