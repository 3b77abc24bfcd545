//! Alerts, newest first, read along the index of all alerts or of one symbol.

use super::candles::{crypto_id, symbol, time};
use super::convert::{integer, millis};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Connection, Row, named_params};
use tallow_model::rows::AlertRow;
use tallow_model::store::AlertQuery;
use tallow_model::{AlertStatus, AlertType, EventTime, Severity};

/// Returns the newest alerts of a query; alerts of the same window are ordered by id.
pub(super) fn newest(connection: &Connection, query: &AlertQuery) -> rusqlite::Result<Vec<AlertRow>> {
    let crypto_id = match query.symbol {
        None => None,
        Some(symbol) => match crypto_id(connection, symbol)? {
            None => return Ok(Vec::new()),
            known => known,
        },
    };
    let mut statement = connection.prepare_cached(statement(crypto_id.is_some()))?;
    let rows = statement.query_map(
        named_params! {
            ":crypto_id": crypto_id,
            ":since": millis(query.since.unwrap_or(EventTime(0))),
            ":until": millis(query.until.unwrap_or(EventTime(u64::MAX))),
            ":severity": query.severity.map(Severity::name),
            ":retracted": query.include_retracted,
            ":limit": integer(query.limit as u64),
        },
        read,
    )?;
    rows.collect()
}

/// Returns the statement for the alerts of one symbol, or of all.
fn statement(one_symbol: bool) -> &'static str {
    macro_rules! alerts {
        ($whose:literal) => {
            concat!(
                "SELECT a.alert_id, c.symbol, a.alert_type, a.severity, a.price_change_pct, a.old_price, a.new_price,
                    a.z_score, a.mean, a.stddev, a.samples, a.threshold, a.window_start, a.window_end, a.revision,
                    a.status, a.created_at
                 FROM price_alerts AS a CROSS JOIN cryptocurrencies AS c ON c.id = a.crypto_id
                 WHERE ",
                $whose,
                " AND a.window_end >= :since AND a.window_end < :until
                    AND (:severity IS NULL OR a.severity = :severity)
                    AND (:retracted OR a.status = 'raised')
                 ORDER BY a.window_end DESC, a.alert_id LIMIT :limit"
            )
        };
    }
    if one_symbol { alerts!("a.crypto_id = :crypto_id") } else { alerts!(":crypto_id IS NULL") }
}

fn read(row: &Row<'_>) -> rusqlite::Result<AlertRow> {
    Ok(AlertRow {
        alert_id: row.get(0)?,
        symbol: symbol(row, 1)?,
        alert_type: row.get::<_, NameColumn<AlertType>>(2)?.0,
        severity: row.get::<_, NameColumn<Severity>>(3)?.0,
        price_change_pct: row.get(4)?,
        old_price: row.get(5)?,
        new_price: row.get(6)?,
        z_score: row.get(7)?,
        mean: row.get(8)?,
        stddev: row.get(9)?,
        samples: row.get(10)?,
        threshold: row.get(11)?,
        window_start: time(row, 12)?,
        window_end: time(row, 13)?,
        revision: row.get(14)?,
        status: row.get::<_, NameColumn<AlertStatus>>(15)?.0,
        created_at: time(row, 16)?,
    })
}

/// A value that is stored as its name on the wire.
struct NameColumn<T>(T);

fn named<T: Copy>(
    value: ValueRef<'_>,
    all: &[T],
    name: fn(T) -> &'static str,
) -> FromSqlResult<NameColumn<T>> {
    let text = value.as_str()?;
    let found = all.iter().copied().find(|it| name(*it) == text);
    found.map(NameColumn).ok_or_else(|| FromSqlError::Other(format!("unknown value {text:?}").into()))
}

impl FromSql for NameColumn<AlertType> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        named(value, &[AlertType::PriceSpike, AlertType::PriceDrop], AlertType::name)
    }
}

impl FromSql for NameColumn<Severity> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        named(value, &[Severity::Low, Severity::Medium, Severity::High], Severity::name)
    }
}

impl FromSql for NameColumn<AlertStatus> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        named(value, &[AlertStatus::Raised, AlertStatus::Retracted], AlertStatus::name)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;
    use crate::stores::sqlite::statements::tests::plan;

    #[test]
    fn alerts_are_read_along_an_index_and_never_sorted() {
        let newest = plan(statement(false));
        assert!(
            newest[0].contains("USING INDEX price_alerts_newest (window_end>? AND window_end<?)"),
            "{newest:?}"
        );
        let of_symbol = plan(statement(true));
        let index =
            "USING INDEX price_alerts_newest_of_symbol (crypto_id=? AND window_end>? AND window_end<?)";
        assert!(of_symbol[0].contains(index), "{of_symbol:?}");
        for step in newest.iter().chain(&of_symbol) {
            assert!(step.starts_with("SEARCH"), "{step}");
        }
    }
}
