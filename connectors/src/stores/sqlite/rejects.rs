//! The dead letters of the embedded store: the newest rejects, each record once. A record is
//! identified by partition, offset, log time and bytes, because the offsets of a recreated log
//! begin again.
//!
//! Their number, and the bytes kept of each, are bounded: a feed of rubbish can't fill the disk.
//! The record itself is in the log, at that partition and offset.

use super::convert::{integer, millis};
use rusqlite::{Connection, TransactionBehavior, params};
use tallow_model::Reject;
use tallow_model::store::{MAX_KEPT_REJECTS, MAX_RAW_BYTES};

/// Writes the rejects in one transaction. An existing one stays as it is.
pub(super) fn store(connection: &mut Connection, rejects: &[Reject]) -> rusqlite::Result<()> {
    let newest = &rejects[rejects.len().saturating_sub(MAX_KEPT_REJECTS)..];
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut insert = transaction.prepare_cached(
            // A row without a log time stands for any record with these bytes at this position.
            r#"INSERT INTO rejects (partition, "offset", log_time, reason, detail, raw, raw_len)
               SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7
               WHERE NOT EXISTS (SELECT 1 FROM rejects WHERE partition = ?1 AND "offset" = ?2
                   AND (log_time IS NULL OR log_time = ?3) AND raw_len = ?7 AND raw = ?6)"#,
        )?;
        for reject in newest {
            insert.execute(params![
                reject.partition,
                integer(reject.offset),
                reject.log_time.map(millis),
                reject.reason.name(),
                reject.detail,
                &reject.raw[..reject.raw.len().min(MAX_RAW_BYTES)],
                integer(reject.raw.len() as u64),
            ])?;
        }
        transaction
            .prepare_cached("DELETE FROM rejects WHERE id <= (SELECT MAX(id) FROM rejects) - ?1")?
            .execute([integer(MAX_KEPT_REJECTS as u64)])?;
    }
    transaction.commit()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;
    use crate::stores::sqlite::SqliteSink;
    use tallow_model::store::Sink;
    use tallow_model::{EventTime, RejectReason};

    fn reject(offset: u64, raw: &[u8]) -> Reject {
        let detail = "price_usd is missing".to_owned();
        Reject {
            partition: 1,
            offset,
            log_time: None,
            reason: RejectReason::Malformed,
            detail,
            raw: raw.to_vec(),
        }
    }

    fn one<T: rusqlite::types::FromSql>(reader: &Connection, sql: &str) -> T {
        reader.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_reject_is_kept_once_with_its_bytes_and_a_long_one_with_its_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tallow.db");
        let mut sink = SqliteSink::open(&path, 1).unwrap();
        let long = vec![b'x'; MAX_RAW_BYTES + 7];
        for _ in 0..2 {
            sink.write_rejects(&[reject(5, b"\xff{oops"), reject(u64::MAX, &long)]).unwrap();
        }
        let reader = Connection::open(&path).unwrap();
        assert_eq!(one::<i64>(&reader, "SELECT COUNT(*) FROM rejects"), 2);
        let raw = r#"SELECT raw FROM rejects WHERE partition = 1 AND "offset" = 5 AND reason = 'malformed'"#;
        assert_eq!(one::<Vec<u8>>(&reader, raw), b"\xff{oops");
        let lengths = "SELECT raw_len - LENGTH(raw) FROM rejects WHERE raw_len > 100";
        assert_eq!(one::<i64>(&reader, lengths), 7);
    }

    #[test]
    fn a_log_that_is_made_anew_has_rejects_of_its_own_at_the_same_offsets() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tallow.db");
        let mut sink = SqliteSink::open(&path, 1).unwrap();
        let at = |log_time, raw: &[u8]| Reject { log_time, ..reject(7, raw) };
        let [first, second] = [1_000, 2_000].map(|time| Some(EventTime(time)));
        for _ in 0..2 {
            sink.write_rejects(&[
                at(first, b"one"),
                at(second, b"one"),
                at(second, b"other"),
                at(None, b"old"),
            ])
            .unwrap();
            sink.write_rejects(&[at(second, b"old")]).unwrap();
        }
        let reader = Connection::open(&path).unwrap();
        let rows = "SELECT GROUP_CONCAT(CAST(raw AS TEXT) || ' ' || IFNULL(log_time, '?'), ', ' ORDER BY id) FROM rejects";
        assert_eq!(one::<String>(&reader, rows), "one 1000, one 2000, other 2000, old ?");
    }

    #[test]
    fn only_the_newest_rejects_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tallow.db");
        let mut sink = SqliteSink::open(&path, 1).unwrap();
        let most = MAX_KEPT_REJECTS as u64;
        let rejects: Vec<Reject> = (0..most + 10).map(|offset| reject(offset, b"{")).collect();
        sink.write_rejects(&rejects[..1_000]).unwrap();
        sink.write_rejects(&rejects[1_000..]).unwrap();
        let reader = Connection::open(&path).unwrap();
        assert_eq!(one::<i64>(&reader, "SELECT COUNT(*) FROM rejects"), integer(most));
        assert_eq!(one::<i64>(&reader, r#"SELECT MIN("offset") FROM rejects"#), 10);
    }
}
