//! The number of candles in a range, counted once for each state of the database.
//!
//! A count reads every row of its range (129,600 for the minutes of 90 days), and the page beside
//! it reads a hundred. So a count is kept until anything has been written. PostgreSQL's snapshot
//! tells: two queries with the same snapshot see the same rows, whoever writes them.

use deadpool_postgres::Transaction;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tallow_model::Symbol;
use tallow_model::store::Span;
use tokio_postgres::Error;

/// The most ranges whose counts are kept.
const MAX_RANGES: usize = 1024;
const SNAPSHOT: &str = "SELECT pg_current_snapshot()::TEXT";

/// A range: symbol, windows, first and last start in milliseconds.
pub(super) type CountedRange = (Symbol, Span, u64, u64);

/// A count, and the snapshot for which it holds.
type Counted = Arc<tokio::sync::Mutex<Option<(String, u64)>>>;

/// The counts of the ranges that were queried last.
#[derive(Debug, Default)]
pub(super) struct CountCache(Mutex<HashMap<CountedRange, Counted>>);

impl CountCache {
    /// Returns the count of a range in the snapshot of this transaction, from memory or by `count`.
    /// Concurrent callers with the same range share one count.
    pub(super) async fn of(
        &self,
        range: CountedRange,
        database: &Transaction<'_>,
        count: impl Future<Output = Result<u64, Error>>,
    ) -> Result<u64, Error> {
        let statement = database.prepare_cached(SNAPSHOT).await?;
        let snapshot: String = database.query_one(&statement, &[]).await?.try_get(0)?;
        let counted = self.place(range);
        let mut counted = counted.lock().await;
        if let Some((known, count)) = &*counted
            && *known == snapshot
        {
            return Ok(*count);
        }
        let count = count.await?;
        *counted = Some((snapshot, count));
        Ok(count)
    }

    fn place(&self, range: CountedRange) -> Counted {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= MAX_RANGES && !places.contains_key(&range) {
            places.clear();
        }
        places.entry(range).or_default().clone()
    }
}
