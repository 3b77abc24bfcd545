//! Every sink, history and cache, put to the same contract. A new one is a bed and one line below.

mod beds;
mod contract;
mod services;

use contract::{Bed, CacheBed, StoreBed};
use std::sync::Arc;
use tallow_connectors::memory::MemoryCache;
use tallow_connectors::sqlite::{SqliteHistory, SqliteSink};
use tallow_connectors::store::{Cache, History, Publish, Sink};
use tallow_dataflow::{LiveCandle, Step};

contract::store_contract!(sqlite, super::SqliteBed);
contract::store_contract!(postgres, super::beds::postgres::PostgresBed);
contract::cache_contract!(memory, super::MemoryBed);
contract::cache_contract!(redis, super::beds::redis::RedisBed);

/// A database file in a folder that goes with the bed.
struct SqliteBed(tempfile::TempDir);

impl Bed for SqliteBed {}

impl StoreBed for SqliteBed {
    fn fresh() -> SqliteBed {
        SqliteBed(tempfile::tempdir().expect("a temporary folder"))
    }

    fn sink(&self, workers: usize) -> Box<dyn Sink> {
        Box::new(SqliteSink::open(self.0.path().join("tallow.db"), workers).expect("a sink"))
    }

    fn history(&self) -> Arc<dyn History> {
        Arc::new(SqliteHistory::open(self.0.path().join("tallow.db")).expect("a history"))
    }
}

struct MemoryBed(MemoryCache);

impl Bed for MemoryBed {}

impl CacheBed for MemoryBed {
    fn fresh(capacity: usize) -> MemoryBed {
        MemoryBed(MemoryCache::new(capacity))
    }

    fn publish_live(&self, candles: &[LiveCandle]) {
        self.0.publish_live(candles);
    }

    fn publish_settled(&self, step: &Step) {
        self.0.publish_settled(step);
    }

    fn settle(&self) {}

    fn cache(&self) -> &dyn Cache {
        &self.0
    }
}
