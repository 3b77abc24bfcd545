//! The dead letters: the newest rejects, each record once. A record is identified by partition,
//! offset, log time and bytes, because the offsets of a recreated log begin again.
//!
//! Their number, and the bytes kept of each, are bounded: a feed of rubbish can't fill the disk.
//! The record itself is in the log, at that partition and offset.

use super::time::Time;
use super::upserts::integer;
use tallow_model::Reject;
use tallow_model::store::{MAX_KEPT_REJECTS, MAX_RAW_BYTES};
use tokio_postgres::Client;

/// Rejects in one statement: at most 16 MiB of their bytes.
const PER_STATEMENT: usize = 1_000;

/// A row without a log time stands for any record with these bytes at this position.
const INSERT: &str = r#"INSERT INTO rejects (partition, "offset", log_time, reason, detail, raw, raw_len)
    SELECT * FROM UNNEST($1::INT8[], $2::INT8[], $3::TIMESTAMPTZ[], $4::TEXT[], $5::TEXT[], $6::BYTEA[], $7::INT8[])
        AS new (partition, "offset", log_time, reason, detail, raw, raw_len)
    WHERE NOT EXISTS (SELECT FROM rejects AS old WHERE old.partition = new.partition AND old."offset" = new."offset"
        AND old.log_time IS NULL AND old.raw_len = new.raw_len AND old.raw = new.raw)
    ON CONFLICT DO NOTHING"#;

/// The numbers have gaps where a reject existed already, so rows are counted.
const TRIM: &str =
    "DELETE FROM rejects WHERE id <= (SELECT id FROM rejects ORDER BY id DESC OFFSET $1 LIMIT 1)";

/// Writes the rejects in one transaction. An existing one stays as it is.
pub(super) async fn store(client: &mut Client, rejects: &[Reject]) -> Result<(), tokio_postgres::Error> {
    let newest = &rejects[rejects.len().saturating_sub(MAX_KEPT_REJECTS)..];
    let transaction = client.transaction().await?;
    let insert = transaction.prepare(INSERT).await?;
    for part in newest.chunks(PER_STATEMENT) {
        let partitions: Vec<i64> = part.iter().map(|reject| i64::from(reject.partition)).collect();
        let offsets: Vec<i64> = part.iter().map(|reject| integer(reject.offset)).collect();
        let times: Vec<Option<Time>> = part.iter().map(|reject| reject.log_time.map(Time::from)).collect();
        let reasons: Vec<&str> = part.iter().map(|reject| reject.reason.name()).collect();
        // NUL is the one character that a text in PostgreSQL can't contain.
        let details: Vec<String> =
            part.iter().map(|reject| reject.detail.replace('\0', "\u{fffd}")).collect();
        let raws: Vec<&[u8]> =
            part.iter().map(|reject| &reject.raw[..reject.raw.len().min(MAX_RAW_BYTES)]).collect();
        let lengths: Vec<i64> = part.iter().map(|reject| integer(reject.raw.len() as u64)).collect();
        transaction
            .execute(&insert, &[&partitions, &offsets, &times, &reasons, &details, &raws, &lengths])
            .await?;
    }
    transaction.execute(TRIM, &[&integer(MAX_KEPT_REJECTS as u64)]).await?;
    transaction.commit().await
}
