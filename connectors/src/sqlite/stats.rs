//! Figures over a range of candles, in one pass over its rows.

use super::candles;
use crate::figures::Figures;
use crate::store::{CandleQuery, CandleStats};
use rusqlite::Connection;

/// The figures of the candles of a query; none where there are no candles.
pub(super) fn of(connection: &Connection, query: &CandleQuery) -> rusqlite::Result<Option<CandleStats>> {
    let mut figures = Figures::default();
    candles::each(connection, query, |row| figures.add(&row))?;
    Ok(figures.stats())
}
