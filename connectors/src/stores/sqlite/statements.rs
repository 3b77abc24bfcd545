//! The statements on the tables of candles. Each uses the primary key; a test asks SQLite to
//! confirm this.

use tallow_model::Interval;
use tallow_model::store::Direction;

/// Returns the statement for the end of a symbol's newest candle.
pub(super) fn newest(base: Interval) -> String {
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

/// Returns the statement for candles as they settled.
pub(super) fn settled(base: Interval, direction: Direction) -> String {
    format!(
        "SELECT window_start, window_end, open_price, high_price, low_price, close_price, avg_price, vwap,
            volume_sum, quote_volume, trade_count, revision
         FROM price_aggregates_{base}
         WHERE crypto_id = :crypto_id AND window_start >= :from AND window_start < :until
         ORDER BY window_start {} LIMIT :limit OFFSET :offset",
        order(direction)
    )
}

/// Returns the statement that counts candles.
pub(super) fn count(base: Interval) -> String {
    format!(
        "SELECT COUNT(*) FROM price_aggregates_{base}
         WHERE crypto_id = :crypto_id AND window_start >= :from AND window_start < :until"
    )
}

/// Returns the common table of windows that have candles, by their starts, ended by NULL. It jumps
/// from window to window by one look-up of the key each, past all candles between.
fn windows(base: Interval, direction: Direction, page: &str) -> String {
    let next = |from: &str, until: &str| {
        format!(
            "(SELECT window_start FROM price_aggregates_{base}
              WHERE crypto_id = :crypto_id AND window_start >= {from} AND window_start < {until}
              ORDER BY window_start {} LIMIT 1) / :length * :length",
            order(direction)
        )
    };
    let following = match direction {
        Direction::Ascending => next("start + :length", ":until"),
        Direction::Descending => next(":from", "start"),
    };
    format!(
        "WITH RECURSIVE windows (start) AS (
            SELECT {} UNION ALL SELECT {following} FROM windows WHERE start IS NOT NULL {page})",
        next(":from", ":until"),
    )
}

/// Returns the statement for the starts of windows that have candles: one page of them, and no
/// further.
pub(super) fn starts(base: Interval, direction: Direction) -> String {
    let windows = windows(base, direction, "LIMIT :limit OFFSET :offset");
    format!("{windows} SELECT start FROM windows WHERE start IS NOT NULL")
}

/// Returns the statement that counts the windows that have candles.
pub(super) fn count_windows(base: Interval) -> String {
    format!("{} SELECT COUNT(start) FROM windows", windows(base, Direction::Ascending, ""))
}

/// Returns the statement for rolled-up windows; the columns are those of [`settled`].
pub(super) fn rolled_up(base: Interval, direction: Direction) -> String {
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

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;
    use crate::stores::sqlite::schema::open_for_writing;

    /// Returns the steps of SQLite's plan for a statement.
    pub(in crate::stores::sqlite) fn plan(statement: &str) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let connection = open_for_writing(&dir.path().join("tallow.db")).unwrap();
        let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
        explain.raw_query().mapped(|row| row.get("detail")).collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn no_query_reads_a_whole_table_or_sorts_what_the_key_has_in_order() {
        for base in Interval::ALL {
            let along_the_key = [
                settled(base, Direction::Ascending),
                settled(base, Direction::Descending),
                count(base),
                newest(base),
            ];
            for statement in along_the_key {
                let plan = plan(&statement);
                assert!(plan.iter().all(|step| step.starts_with("SEARCH price_aggregates_")), "{plan:?}");
            }
            let rolled_up = [
                count_windows(base),
                starts(base, Direction::Ascending),
                starts(base, Direction::Descending),
                rolled_up(base, Direction::Ascending),
                rolled_up(base, Direction::Descending),
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
