//! Alerts, newest first, read along the index of all alerts or of one symbol.

use super::names::NameText;
use super::pool::ReadQuery;
use super::time::Time;
use super::upserts::integer;
use async_trait::async_trait;
use deadpool_postgres::Transaction;
use tallow_model::rows::AlertRow;
use tallow_model::store::AlertQuery;
use tallow_model::{EventTime, Severity};
use tokio_postgres::Row;

/// The newest alerts of a query; alerts of the same window are ordered by id.
pub(super) struct NewestAlerts<'a>(pub(super) &'a AlertQuery);

#[async_trait]
impl ReadQuery for NewestAlerts<'_> {
    type Output = Vec<AlertRow>;
    const ACTION: &'static str = "read alerts from";

    async fn ask(&self, database: &Transaction<'_>) -> Result<Vec<AlertRow>, tokio_postgres::Error> {
        let query = self.0;
        let symbol = query.symbol.map(|symbol| symbol.to_string());
        let since = Time::from(query.since.unwrap_or(EventTime(0)));
        let until = Time::from(query.until.unwrap_or(EventTime(u64::MAX)));
        let severity = query.severity.map(Severity::name);
        let limit = integer(query.limit as u64);
        let statement = database.prepare_cached(statement(symbol.is_some())).await?;
        let rows = database
            .query(&statement, &[&symbol, &since, &severity, &query.include_retracted, &limit, &until])
            .await?;
        rows.iter().map(read).collect()
    }
}

/// Returns the statement for the alerts of one symbol, or of all.
fn statement(one_symbol: bool) -> &'static str {
    macro_rules! alerts {
        ($whose:literal) => {
            concat!(
                "SELECT a.alert_id, c.symbol, a.alert_type, a.severity, a.price_change_pct, a.old_price::FLOAT8,
                    a.new_price::FLOAT8, a.z_score, a.mean, a.stddev, a.samples, a.threshold, a.window_start,
                    a.window_end, a.revision, a.status, a.created_at
                 FROM price_alerts AS a JOIN cryptocurrencies AS c ON c.id = a.crypto_id
                 WHERE ",
                $whose,
                " AND a.window_end >= $2 AND a.window_end < $6
                    AND ($3::TEXT IS NULL OR a.severity = $3)
                    AND ($4 OR a.status = 'raised')
                 ORDER BY a.window_end DESC, a.alert_id LIMIT $5"
            )
        };
    }
    if one_symbol {
        alerts!("a.crypto_id = (SELECT id FROM cryptocurrencies WHERE symbol = $1)")
    } else {
        alerts!("$1::TEXT IS NULL")
    }
}

fn read(row: &Row) -> Result<AlertRow, tokio_postgres::Error> {
    let count = |column: usize| row.try_get::<_, i32>(column).map(i32::unsigned_abs);
    Ok(AlertRow {
        alert_id: row.try_get(0)?,
        symbol: row.try_get::<_, NameText<_>>(1)?.0,
        alert_type: row.try_get::<_, NameText<_>>(2)?.0,
        severity: row.try_get::<_, NameText<_>>(3)?.0,
        price_change_pct: row.try_get(4)?,
        old_price: row.try_get(5)?,
        new_price: row.try_get(6)?,
        z_score: row.try_get(7)?,
        mean: row.try_get(8)?,
        stddev: row.try_get(9)?,
        samples: count(10)?,
        threshold: row.try_get(11)?,
        window_start: row.try_get::<_, Time>(12)?.into(),
        window_end: row.try_get::<_, Time>(13)?.into(),
        revision: count(14)?,
        status: row.try_get::<_, NameText<_>>(15)?.0,
        created_at: row.try_get::<_, Time>(16)?.into(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;
    use crate::stores::postgres::statements::tests::Planner;

    #[test]
    fn alerts_are_read_along_an_index() {
        let Some(mut planner) = Planner::start() else { return };
        let since = Time::from(EventTime(80 * 24 * 3_600_000));
        let until = Time::from(EventTime(u64::MAX));
        let (nobody, nothing, somebody) = (None::<String>, None::<String>, Some("COIN7"));
        let newest = planner.reads(statement(false), &[&nobody, &since, &nothing, &false, &10i64, &until]);
        assert!(newest.iter().any(|line| line.contains("using price_alerts_newest on")), "{newest:?}");
        let of_symbol =
            planner.reads(statement(true), &[&somebody, &since, &nothing, &false, &10i64, &until]);
        assert!(of_symbol.iter().any(|line| line.contains("price_alerts_newest_of_symbol")), "{of_symbol:?}");
        let all: Vec<&String> = newest.iter().chain(&of_symbol).collect();
        assert!(all.iter().all(|line| !line.contains("Seq Scan on price_alerts")), "{all:?}");
    }
}
