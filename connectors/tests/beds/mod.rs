//! Places with one store or one cache that nobody else uses, the embedded ones and those that are servers.
#![allow(dead_code, reason = "each test program uses its own part")]

pub(crate) mod embedded;
pub(crate) mod postgres;
pub(crate) mod redis;

use std::sync::Arc;
use tallow_model::store::{Cache, History, Sink};
use tallow_model::{LiveCandle, Step};

/// What may need a server.
pub(crate) trait Bed {
    /// Whether it is there. Where it is not, that has been said, and its tests are left out.
    fn is_there() -> bool {
        true
    }
}

/// A place with one store that nobody else uses.
pub(crate) trait StoreBed: Bed + Sized + Send + Sync + 'static {
    /// An empty store.
    fn fresh() -> Self;
    /// A new sink into it, for so many workers. What an earlier one wrote is still there.
    fn sink(&self, workers: usize) -> Box<dyn Sink>;
    /// Its reader. The first sink has been opened before.
    fn history(&self) -> Arc<dyn History>;
}

/// A place with one cache that nobody else uses.
pub(crate) trait CacheBed: Bed + Sized + Send + Sync + 'static {
    /// An empty cache, whose subscribers may be so many updates behind.
    fn fresh(capacity: usize) -> Self;
    /// Publishes open candles.
    fn publish_live(&self, candles: &[LiveCandle]);
    /// Publishes what has settled.
    fn publish_settled(&self, step: &Step);
    /// Waits until everything published before is in the cache and has been sent to its subscribers.
    fn settle(&self);
    /// Its reader.
    fn cache(&self) -> &dyn Cache;
    /// The same, to be kept.
    fn shared(&self) -> Arc<dyn Cache>;
}
