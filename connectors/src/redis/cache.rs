//! The cache of a server: the newest candles by their keys, and one subscription for all its clients.

use super::RedisConfig;
use super::keys::Keys;
use super::newest;
use super::server::{PATIENCE, Server, timed_out};
use super::subscription::Subscription;
use crate::error::Error;
use crate::model::LatestCandle;
use crate::store::{Cache, Update};
use async_trait::async_trait;
use redis::aio::ConnectionManager;
use redis::{Cmd, FromRedisValue, cmd};
use std::sync::Arc;
use tallow_dataflow::{Interval, Symbol};
use tokio::sync::broadcast;
use tokio::task::AbortHandle;

/// The most updates that the channel may be asked to keep.
const MAX_CAPACITY: usize = 1 << 22;

/// What Redis has, and says.
///
/// Every answer comes within a second, or is an error: the history can be asked instead. While Redis is away the
/// stream of updates pauses; when it is back it goes on with the newest candles.
pub struct RedisCache {
    server: Server,
    keys: Keys,
    commands: ConnectionManager,
    updates: broadcast::Sender<Update>,
    subscription: AbortHandle,
}

impl std::fmt::Debug for RedisCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisCache").field("server", &self.server.name()).finish_non_exhaustive()
    }
}

impl RedisCache {
    /// Starts the subscription, whose channel keeps the newest `capacity` updates for subscribers that are behind. To
    /// be called within a tokio runtime.
    ///
    /// # Errors
    /// When the URL is none. That the server can't be reached is none.
    pub fn start(config: &RedisConfig, capacity: usize) -> Result<RedisCache, Error> {
        let server = Server::new(config)?;
        let keys = Keys::new(config);
        let commands = server.manager()?;
        let (updates, _) = broadcast::channel(capacity.clamp(1, MAX_CAPACITY));
        let subscription = Subscription::new(server.clone(), keys.clone(), updates.clone());
        let subscription = tokio::spawn(subscription.run()).abort_handle();
        Ok(RedisCache { server, keys, commands, updates, subscription })
    }

    /// The answer to a question, which is asked once more where the connection turns out to have been lost.
    async fn ask<T: FromRedisValue>(&self, action: &'static str, question: &Cmd) -> Result<T, Error> {
        let answer = async {
            match question.query_async(&mut self.commands.clone()).await {
                Err(error) if error.is_connection_dropped() => {
                    question.query_async(&mut self.commands.clone()).await
                }
                answer => answer,
            }
        };
        let answer = tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err(timed_out()));
        answer.map_err(self.server.error(action))
    }

    /// The newest candles of these series, none where there is none.
    async fn candles(&self, series: &[(Symbol, Interval)]) -> Result<Vec<Option<Arc<LatestCandle>>>, Error> {
        if series.is_empty() {
            return Ok(Vec::new());
        }
        let question = newest::candles(&self.keys, series);
        let stored: Vec<Option<Vec<u8>>> = self.ask("read newest candles from", &question).await?;
        let read = |((symbol, interval), json): (&(Symbol, Interval), Option<Vec<u8>>)| {
            let Some(json) = json else { return Ok(None) };
            let (candle, _) = newest::read_candle(&json).map_err(|detail| {
                let what = format!("{} at {}", self.keys.latest(*symbol, *interval), self.server.name());
                Error::Damaged { what, detail }
            })?;
            Ok(Some(Arc::new(candle)))
        };
        series.iter().zip(stored).map(read).collect()
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
        self.ask("ping", &cmd("PING")).await
    }

    async fn latest(&self, symbol: Symbol) -> Result<Option<Arc<LatestCandle>>, Error> {
        self.newest(symbol, Interval::OneMinute).await
    }

    async fn latest_all(&self) -> Result<Vec<Arc<LatestCandle>>, Error> {
        let fields: Vec<String> = self.ask("read symbols from", &newest::series(&self.keys)).await?;
        let mut minutes = newest::read_series(&fields);
        minutes.retain(|(_, interval)| *interval == Interval::OneMinute);
        Ok(self.candles(&minutes).await?.into_iter().flatten().collect())
    }

    async fn newest(&self, symbol: Symbol, interval: Interval) -> Result<Option<Arc<LatestCandle>>, Error> {
        Ok(self.candles(&[(symbol, interval)]).await?.pop().flatten())
    }

    fn subscribe(&self) -> broadcast::Receiver<Update> {
        self.updates.subscribe()
    }
}
