//! The cache of a server: newest candles by key, and one subscription for all its clients.

use super::RedisConfig;
use super::batched_reads::{BatchedReads, ReadConnection};
use super::newest;
use super::subscription::Subscription;
use super::tracked_cache::TrackedCache;
use async_trait::async_trait;
use redis::cmd;
use std::sync::Arc;
use tallow_model::error::Error;
use tallow_model::rows::LatestCandle;
use tallow_model::store::{Cache, Update};
use tallow_model::{Interval, Symbol};
use tokio::sync::broadcast;
use tokio::task::AbortHandle;

/// Upper bound for the capacity of the channel.
const MAX_CAPACITY: usize = 1 << 22;

/// Reads newest candles from Redis and follows its channels.
///
/// Every query returns within a second, with a result or an error; on an error the caller reads the
/// history instead. While Redis is away the stream of updates pauses; afterwards it resumes with
/// the newest candles.
pub struct RedisCache {
    questions: ReadConnection,
    reads: BatchedReads,
    updates: broadcast::Sender<Update>,
    subscription: AbortHandle,
}

impl std::fmt::Debug for RedisCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisCache").field("server", &self.questions.server.name()).finish_non_exhaustive()
    }
}

impl RedisCache {
    /// Starts the subscription, whose channel keeps the newest `capacity` updates for subscribers
    /// that are behind. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the URL is malformed. An unreachable server is no error.
    pub fn start(config: &RedisConfig, capacity: usize) -> Result<RedisCache, Error> {
        let questions = ReadConnection::new(config)?;
        let (updates, _) = broadcast::channel(capacity.clamp(1, MAX_CAPACITY));
        let tracked = Arc::new(TrackedCache::new(questions.keys.clone()));
        let (server, keys) = (questions.server.clone(), questions.keys.clone());
        let subscription = Subscription::new(server, keys, updates.clone(), tracked.clone());
        let subscription = tokio::spawn(subscription.run()).abort_handle();
        let reads = BatchedReads::start(questions.clone(), tracked);
        Ok(RedisCache { questions, reads, updates, subscription })
    }
}

impl Drop for RedisCache {
    fn drop(&mut self) {
        self.subscription.abort();
    }
}

#[async_trait]
impl Cache for RedisCache {
    fn name(&self) -> &'static str {
        "redis"
    }

    async fn ping(&self) -> Result<(), Error> {
        self.questions.ask("ping", &cmd("PING")).await
    }

    async fn latest(&self, symbol: Symbol) -> Result<Option<Arc<LatestCandle>>, Error> {
        self.newest(symbol, Interval::OneMinute).await
    }

    async fn latest_all(&self) -> Result<Vec<Arc<LatestCandle>>, Error> {
        let fields: Vec<String> =
            self.questions.ask("read symbols from", &newest::series(&self.questions.keys)).await?;
        let mut minutes = newest::read_series(&fields);
        minutes.retain(|(_, interval)| *interval == Interval::OneMinute);
        let candles = self.questions.candles(&minutes).await?;
        candles.into_iter().filter_map(Result::transpose).collect()
    }

    async fn newest(&self, symbol: Symbol, interval: Interval) -> Result<Option<Arc<LatestCandle>>, Error> {
        self.reads.newest((symbol, interval)).await
    }

    fn subscribe(&self) -> broadcast::Receiver<Update> {
        self.updates.subscribe()
    }
}
