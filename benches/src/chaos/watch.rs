//! Watches what PostgreSQL has: the newest one-minute candle that has settled.

use anyhow::Result;
use postgres::{Client, NoTls};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// How often it looks.
const LOOK: Duration = Duration::from_millis(20);

/// Looks on a thread of its own, which ends with the program. While the database is away nothing is new.
pub(super) struct Watch {
    newest: Arc<AtomicI64>,
}

impl Watch {
    pub(super) fn start(url: &str) -> Watch {
        let newest = Arc::new(AtomicI64::new(0));
        let (url, seen) = (url.to_owned(), Arc::clone(&newest));
        std::thread::spawn(move || {
            loop {
                // Whatever goes wrong here is a fault that was made: look again.
                if let Ok(mut client) = Client::connect(&url, NoTls) {
                    while let Ok(row) = client.query_one(
                        "SELECT COALESCE(extract(epoch FROM max(window_end)) * 1000, 0)::BIGINT FROM price_aggregates_1m",
                        &[],
                    ) {
                        seen.fetch_max(row.get(0), Ordering::Relaxed);
                        std::thread::sleep(LOOK);
                    }
                }
                std::thread::sleep(LOOK);
            }
        });
        Watch { newest }
    }

    /// The end of the newest one-minute candle, in milliseconds.
    pub(super) fn newest(&self) -> i64 {
        self.newest.load(Ordering::Relaxed)
    }

    /// Waits for one that ends later.
    pub(super) fn passes(&self, before: i64, within: Duration) -> Result<()> {
        super::until("a newly settled candle", within, || Ok((self.newest() > before).then_some(())))
    }
}
