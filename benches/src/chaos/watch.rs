//! Watch of PostgreSQL's newest settled one-minute candle.

use super::progress::until;
use anyhow::Result;
use postgres::{Client, NoTls};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Time between two queries.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Polls on a thread of its own, which ends with the program. While the database is down the newest
/// candle stays.
pub(super) struct Watch {
    newest: Arc<AtomicI64>,
}

impl Watch {
    pub(super) fn start(url: &str) -> Watch {
        let newest = Arc::new(AtomicI64::new(0));
        let (url, seen) = (url.to_owned(), Arc::clone(&newest));
        std::thread::spawn(move || {
            loop {
                // Any failure here is an injected fault: try again.
                if let Ok(mut client) = Client::connect(&url, NoTls) {
                    while let Ok(row) = client.query_one(
                        "SELECT COALESCE(extract(epoch FROM max(window_end)) * 1000, 0)::BIGINT FROM price_aggregates_1m",
                        &[],
                    ) {
                        seen.fetch_max(row.get(0), Ordering::Relaxed);
                        std::thread::sleep(POLL_INTERVAL);
                    }
                }
                std::thread::sleep(POLL_INTERVAL);
            }
        });
        Watch { newest }
    }

    /// Returns the end of the newest one-minute candle in milliseconds.
    pub(super) fn newest(&self) -> i64 {
        self.newest.load(Ordering::Relaxed)
    }

    /// Waits for a candle that ends later.
    pub(super) fn passes(&self, before: i64, within: Duration) -> Result<()> {
        until("a newly settled candle", within, || Ok((self.newest() > before).then_some(())))
    }
}
