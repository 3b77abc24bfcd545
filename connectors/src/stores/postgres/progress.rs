//! The time up to which the database is complete, with several processes writing to it.
//!
//! Each process has a row: everything of its workers below that time is stored. The database is
//! complete up to the lowest row, and unknown while a row is empty.

use super::errors::postgres;
use super::time::Time;
use std::ops::Range;
use tallow_model::EventTime;
use tallow_model::error::Error;
use tokio_postgres::Client;

/// The part of a pipeline that writes through one sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Number of the process, counted from 0.
    pub process: usize,
    /// Number of processes of the pipeline.
    pub processes: usize,
    /// Workers of this process, counted over all processes, as steps name them.
    pub workers: Range<usize>,
}

impl Share {
    /// Returns the share of the only process of a pipeline.
    pub fn whole(workers: usize) -> Share {
        Share { process: 0, processes: 1, workers: 0..workers }
    }
}

/// The time that all processes have stored.
pub(super) const STORED_THROUGH: &str =
    "SELECT CASE WHEN BOOL_AND(stored_through IS NOT NULL) THEN MIN(stored_through) END FROM sink_progress";

/// Moves a process's row forward.
pub(super) const ADVANCE: &str =
    "UPDATE sink_progress SET stored_through = GREATEST(stored_through, $2) WHERE process = $1";

/// The lock that a sink holds while it opens: `tallow` and a number.
const OPENING_LOCK: i64 = 0x7461_6c6c_6f77_0002;

/// Makes a row for each process of the pipeline that begins to write; returns the time that all had
/// stored before.
///
/// Every row gets that time, even one that was further: with another number of processes or
/// workers, the symbols that the row covered belong to other processes. A process that already runs
/// updates its row with its next write.
pub(super) async fn begin(client: &mut Client, share: &Share, on: &str) -> Result<Option<EventTime>, Error> {
    let number = |number: usize| {
        i32::try_from(number).map_err(|_| Error::Invalid(format!("{number} is no number of a process")))
    };
    let (processes, last) = (number(share.processes)?, number(share.processes)? - 1);
    let begun = async {
        let transaction = client.transaction().await?;
        transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&OPENING_LOCK]).await?;
        let through: Option<Time> = transaction.query_one(STORED_THROUGH, &[]).await?.try_get(0)?;
        transaction.execute("DELETE FROM sink_progress WHERE process >= $1", &[&processes]).await?;
        let set = "INSERT INTO sink_progress (process, stored_through)
            SELECT process, $2 FROM GENERATE_SERIES(0, $1) AS process
            ON CONFLICT (process) DO UPDATE SET stored_through = excluded.stored_through";
        transaction.execute(set, &[&last, &through]).await?;
        transaction.commit().await?;
        Ok(through.map(EventTime::from))
    };
    begun.await.map_err(postgres("record progress in", on))
}
