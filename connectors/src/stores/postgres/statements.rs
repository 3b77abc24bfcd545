//! The statements that read candles. Each uses the primary key of its table; a test asks PostgreSQL
//! to confirm this.

use super::progress::STORED_THROUGH;
use tallow_model::Interval;
use tallow_model::store::Direction;

/// All symbols, sorted by their bytes.
pub(super) const SYMBOLS: &str = "SELECT symbol FROM cryptocurrencies ORDER BY symbol";

/// Condition: candles of `$1` that start at or after `$2` and before `$3`.
const RANGE: &str = "crypto_id = (SELECT id FROM cryptocurrencies WHERE symbol = $1)
            AND window_start >= $2 AND window_start < $3";

/// Start of the window of `$4` milliseconds that contains a candle.
const WINDOW: &str = "DATE_BIN($4::FLOAT8 * INTERVAL '1 millisecond', window_start, TIMESTAMPTZ 'epoch')";

/// Returns the statement for the end of the newest candle of `$1`, and the time that all processes
/// have stored.
pub(super) fn over(base: Interval) -> String {
    format!(
        "SELECT (SELECT window_end FROM price_aggregates_{base}
            WHERE crypto_id = (SELECT id FROM cryptocurrencies WHERE symbol = $1)
            ORDER BY window_start DESC LIMIT 1), ({STORED_THROUGH})"
    )
}

const fn order(direction: Direction) -> &'static str {
    match direction {
        Direction::Ascending => "ASC",
        Direction::Descending => "DESC",
    }
}

/// Returns the statement for candles as they settled: `$4` of them after the first `$5`.
pub(super) fn settled(base: Interval, direction: Direction) -> String {
    format!(
        "SELECT window_start, window_end, open_price, high_price, low_price, close_price, avg_price, vwap, volume_sum,
            quote_volume, trade_count, revision::INT8
         FROM price_aggregates_{base} WHERE {RANGE}
         ORDER BY window_start {} LIMIT $4 OFFSET $5",
        order(direction)
    )
}

/// Returns the statement that counts candles.
pub(super) fn count(base: Interval) -> String {
    format!("SELECT COUNT(*) FROM price_aggregates_{base} WHERE {RANGE}")
}

/// Returns the statement that counts the windows of `$4` milliseconds that have candles.
pub(super) fn count_windows(base: Interval) -> String {
    format!("SELECT COUNT(DISTINCT {WINDOW}) FROM price_aggregates_{base} WHERE {RANGE}")
}

/// Returns the statement for the starts of windows of `$4` milliseconds that have candles: `$5` of
/// them after the first `$6`. It jumps from window to window by one look-up of the key each, past
/// all candles between, and no further than the page.
pub(super) fn starts(base: Interval, direction: Direction) -> String {
    let order = order(direction);
    let next = |beyond: &str| {
        format!(
            "(SELECT {WINDOW} FROM price_aggregates_{base} WHERE {RANGE}{beyond}
              ORDER BY window_start {order} LIMIT 1)"
        )
    };
    let beyond = match direction {
        Direction::Ascending => " AND window_start >= windows.opens + $4::FLOAT8 * INTERVAL '1 millisecond'",
        Direction::Descending => " AND window_start < windows.opens",
    };
    format!(
        "WITH RECURSIVE windows (opens) AS (
            SELECT {} UNION ALL SELECT {} FROM windows WHERE opens IS NOT NULL)
         SELECT opens FROM windows WHERE opens IS NOT NULL LIMIT $5 OFFSET $6",
        next(""),
        next(beyond)
    )
}

/// Returns the statement for rolled-up windows of `$4` milliseconds; the columns are those of
/// [`settled`].
pub(super) fn rolled_up(base: Interval, direction: Direction) -> String {
    let price_at = |column: &str, window: &str| {
        format!(
            "(SELECT {column} FROM price_aggregates_{base}
              WHERE crypto_id = rolled.crypto_id AND window_start = rolled.{window})"
        )
    };
    format!(
        "SELECT opens, opens + $4::FLOAT8 * INTERVAL '1 millisecond', {open}, high, low, {close}, average, vwap,
            COALESCE(traded, {rolling}), quote, ticks::INT8, revisions::INT8
         FROM (
            SELECT crypto_id, {WINDOW} AS opens, MIN(window_start) AS first, MAX(window_start) AS last,
                MAX(high_price) AS high, MIN(low_price) AS low,
                SUM(avg_price * trade_count) / SUM(trade_count) AS average,
                SUM(quote_volume) FILTER (WHERE vwap IS NOT NULL)
                    / NULLIF(SUM(volume_sum) FILTER (WHERE vwap IS NOT NULL), 0) AS vwap,
                SUM(volume_sum) FILTER (WHERE vwap IS NOT NULL) AS traded,
                SUM(quote_volume) AS quote, SUM(trade_count) AS ticks, SUM(revision) AS revisions
            FROM price_aggregates_{base} WHERE {RANGE}
            GROUP BY crypto_id, opens) AS rolled
         ORDER BY opens {order}",
        open = price_at("open_price", "first"),
        close = price_at("close_price", "last"),
        rolling = price_at("volume_sum", "last"),
        order = order(direction)
    )
}

/// Returns the statement for the rolling window since `$1` of the symbol `$2`, or of each symbol:
/// its quarters of an hour, and the minutes since the last of them. Floats are added in order of
/// time, as in the embedded store, so both give the same sums.
pub(super) fn recent() -> String {
    let candles = |base: Interval, from: &str| {
        format!(
            "SELECT window_start, open_price, high_price, low_price, vwap, volume_sum, quote_volume, trade_count
             FROM price_aggregates_{base} WHERE crypto_id = c.id AND window_start >= {from}"
        )
    };
    format!(
        "SELECT c.symbol, d.first,
            (SELECT close_price::FLOAT8 FROM price_aggregates_15m
             WHERE crypto_id = c.id AND window_start = $1 - INTERVAL '15 minutes'),
            d.open::FLOAT8, d.high::FLOAT8, d.low::FLOAT8, COALESCE(d.volume, 0), d.quote, d.ticks::INT8
         FROM cryptocurrencies AS c
            CROSS JOIN LATERAL (
                SELECT MAX(window_end) AS ends FROM price_aggregates_15m
                WHERE crypto_id = c.id AND window_start >= $1) AS q
            CROSS JOIN LATERAL (
                SELECT MIN(window_start) AS first, (ARRAY_AGG(open_price ORDER BY window_start))[1] AS open,
                    MAX(high_price) AS high, MIN(low_price) AS low,
                    SUM(volume_sum::FLOAT8 ORDER BY window_start) FILTER (WHERE vwap IS NOT NULL) AS volume,
                    SUM(quote_volume::FLOAT8 ORDER BY window_start) AS quote, SUM(trade_count) AS ticks
                FROM ({quarters} UNION ALL {minutes}) AS candles) AS d
         WHERE ($2::TEXT IS NULL OR c.symbol = $2) AND d.first IS NOT NULL
         ORDER BY c.symbol",
        quarters = candles(Interval::FifteenMinutes, "$1"),
        minutes = candles(Interval::OneMinute, "GREATEST($1, q.ends)"),
    )
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;
    use crate::stores::postgres::time::Time;
    use crate::stores::postgres::{PostgresConfig, migrate};
    use ::postgres::types::ToSql;
    use tallow_model::EventTime;
    use tallow_testing::database::Database;

    /// PostgreSQL's plans for statements over a year of candles and as many alerts; absent without
    /// a server.
    pub(in crate::stores::postgres) struct Planner {
        client: ::postgres::Client,
        _database: Database,
    }

    impl Planner {
        pub(in crate::stores::postgres) fn start() -> Option<Planner> {
            let database = Database::create()?;
            migrate(&PostgresConfig { url: database.url().into(), ..PostgresConfig::default() }).unwrap();
            let mut client = database.connect();
            let rows = "INSERT INTO cryptocurrencies (symbol, created_at, updated_at)
                    SELECT 'COIN' || number, NOW(), NOW() FROM GENERATE_SERIES(1, 20) AS number;
                INSERT INTO price_alerts
                    SELECT id || ':' || start, id, 'PRICE_SPIKE', 'LOW', 1, 1, 1, 1, 1, 1, 1, 1, start, start, 0,
                        'raised', start, start
                    FROM cryptocurrencies, GENERATE_SERIES(TIMESTAMPTZ 'epoch', 'epoch'::TIMESTAMPTZ + '90 days', '1 hour')
                        AS start;
                ANALYZE;";
            client.batch_execute(rows).unwrap();
            for base in Interval::ALL {
                let candles = format!(
                    "INSERT INTO price_aggregates_{base}
                        SELECT id, start, start, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, start
                        FROM cryptocurrencies,
                            GENERATE_SERIES(TIMESTAMPTZ 'epoch', 'epoch'::TIMESTAMPTZ + '30 days', '15 minutes') AS start;
                    ANALYZE price_aggregates_{base}"
                );
                client.batch_execute(&candles).unwrap();
            }
            Some(Planner { client, _database: database })
        }

        /// Returns the lines of the plan that read a table.
        pub(in crate::stores::postgres) fn reads(
            &mut self,
            statement: &str,
            parameters: &[&(dyn ToSql + Sync)],
        ) -> Vec<String> {
            let plan = self.client.query(&format!("EXPLAIN {statement}"), parameters).unwrap();
            let lines = plan.iter().map(|row| row.get::<_, String>(0));
            let reads: Vec<String> = lines.filter(|line| line.contains("Scan")).collect();
            assert!(!reads.is_empty(), "{statement}");
            reads
        }
    }

    #[test]
    fn every_statement_goes_along_a_primary_key() {
        let Some(mut planner) = Planner::start() else { return };
        let symbol = "COIN7";
        let [from, until] = [3u64, 5].map(|day| Time::from(EventTime(day * 24 * 3_600_000)));
        let (hour, limit, offset) = (3_600_000f64, 100i64, 0i64);
        for base in Interval::ALL {
            let key = format!("price_aggregates_{base}_pkey");
            let mut statements: Vec<(String, Vec<&(dyn ToSql + Sync)>)> = vec![
                (over(base), vec![&symbol]),
                (count(base), vec![&symbol, &from, &until]),
                (count_windows(base), vec![&symbol, &from, &until, &hour]),
            ];
            for direction in [Direction::Ascending, Direction::Descending] {
                statements.push((settled(base, direction), vec![&symbol, &from, &until, &limit, &offset]));
                statements.push((rolled_up(base, direction), vec![&symbol, &from, &until, &hour]));
                let walk = vec![&symbol as &(dyn ToSql + Sync), &from, &until, &hour, &limit, &offset];
                statements.push((starts(base, direction), walk));
            }
            for (statement, parameters) in statements {
                let reads = planner.reads(&statement, &parameters);
                assert!(reads.iter().any(|line| line.contains(&key)), "{reads:?}");
                assert!(!reads.iter().any(|line| line.contains("Seq Scan on price_aggregates")), "{reads:?}");
            }
        }
        let reads = planner.reads(&recent(), &[&from, &Some(symbol)]);
        assert!(!reads.iter().any(|line| line.contains("Seq Scan on price_aggregates")), "{reads:?}");
    }
}
