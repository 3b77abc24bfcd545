//! What `tallow up` keeps to itself: a database file, and a cache in memory.

use super::{Bed, CacheBed, StoreBed};
use std::sync::Arc;
use tallow_connectors::caches::memory::MemoryCache;
use tallow_connectors::stores::sqlite::{SqliteHistory, SqliteSink};
use tallow_model::store::{Cache, History, Publish, Sink};
use tallow_model::{LiveCandle, Step};

/// A database file in a folder that goes with the bed.
pub(crate) struct SqliteBed(tempfile::TempDir);

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

/// A cache in memory.
pub(crate) struct MemoryBed(Arc<MemoryCache>);

impl Bed for MemoryBed {}

impl CacheBed for MemoryBed {
    fn fresh(capacity: usize) -> MemoryBed {
        MemoryBed(Arc::new(MemoryCache::new(capacity)))
    }

    fn publish_live(&self, candles: &[LiveCandle]) {
        self.0.publish_live(candles);
    }

    fn publish_settled(&self, step: &Step) {
        self.0.publish_settled(step);
    }

    fn settle(&self) {}

    fn cache(&self) -> &dyn Cache {
        &*self.0
    }

    fn shared(&self) -> Arc<dyn Cache> {
        self.0.clone()
    }
}
