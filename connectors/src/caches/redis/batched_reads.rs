//! Reads of newest candles, batched over all concurrent readers.
//!
//! One query is in flight at a time. Readers that arrive meanwhile wait for the next one, which
//! reads all their series, each once. Results that Redis tracks are then kept, see
//! [`TrackedCache`]: so a symbol that everybody reads costs Redis and the parser no more than one
//! that few read.

use super::RedisConfig;
use super::keys::Keys;
use super::newest;
use super::server::{RESPONSE_TIMEOUT, Server, timed_out};
use super::tracked_cache::{SeriesKey, TrackedCache};
use redis::aio::ConnectionManager;
use redis::{Cmd, FromRedisValue};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;
use tallow_model::error::Error;
use tallow_model::rows::LatestCandle;
use tokio::sync::{mpsc, oneshot};

/// The attempt, in the infinitive, for errors.
const READ: &str = "read newest candles from";

/// Most readers that may wait for the next query; further ones wait for a free slot.
const MAX_WAITING: usize = 1024;

/// A candle, or `None` if the series has none.
type NewestCandle = Option<Arc<LatestCandle>>;

/// A waiting reader.
struct WaitingRead {
    series: SeriesKey,
    answer: oneshot::Sender<Result<NewestCandle, Arc<Error>>>,
}

/// The connection that queries Redis.
#[derive(Clone)]
pub(super) struct ReadConnection {
    pub(super) server: Server,
    pub(super) keys: Keys,
    commands: ConnectionManager,
}

impl ReadConnection {
    /// Prepares a connection, which is made when first needed. Must be called within a tokio
    /// runtime.
    pub(super) fn new(config: &RedisConfig) -> Result<ReadConnection, Error> {
        let server = Server::new(config)?;
        let commands = server.manager()?;
        Ok(ReadConnection { server, keys: Keys::new(config), commands })
    }

    /// Runs a command; repeats it once if the connection turns out to be lost.
    pub(super) async fn ask<T: FromRedisValue>(
        &self,
        action: &'static str,
        question: &Cmd,
    ) -> Result<T, Error> {
        let answer = async {
            match question.query_async(&mut self.commands.clone()).await {
                Err(error) if error.is_connection_dropped() => {
                    question.query_async(&mut self.commands.clone()).await
                }
                answer => answer,
            }
        };
        let answer =
            tokio::time::timeout(RESPONSE_TIMEOUT, answer).await.unwrap_or_else(|_| Err(timed_out()));
        answer.map_err(self.server.error(action))
    }

    /// Reads the newest candle of each of these series.
    pub(super) async fn candles(
        &self,
        series: &[SeriesKey],
    ) -> Result<Vec<Result<NewestCandle, Error>>, Error> {
        if series.is_empty() {
            return Ok(Vec::new());
        }
        let stored = self.ask(READ, &newest::candles(&self.keys, series)).await?;
        Ok(self.read(series, stored))
    }

    /// Reads the newest candles over the tracked connection, and keeps those that are not
    /// invalidated meanwhile.
    async fn remembered(
        &self,
        series: &[SeriesKey],
        tracked: &TrackedCache,
    ) -> Result<Vec<Result<NewestCandle, Error>>, Error> {
        let Some(mut connection) = tracked.ask(series) else { return self.candles(series).await };
        let asked = Instant::now();
        let question = newest::candles(&self.keys, series);
        let Ok(stored) = question.query_async(&mut connection).await else {
            // The connection may have been lost a moment ago.
            return self.candles(series).await;
        };
        let candles = self.read(series, stored);
        tracked.hold(asked, candles.iter().flatten().flatten().cloned());
        Ok(candles)
    }

    /// Parses the values stored under the keys of these series.
    fn read(&self, series: &[SeriesKey], stored: Vec<Option<Vec<u8>>>) -> Vec<Result<NewestCandle, Error>> {
        let read = |((symbol, interval), json): (&SeriesKey, Option<Vec<u8>>)| {
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

/// The readers' end. The batching task ends with the last of these.
pub(super) struct BatchedReads {
    server: Server,
    tracked: Arc<TrackedCache>,
    readers: mpsc::Sender<WaitingRead>,
}

impl BatchedReads {
    /// Starts the batching task. Must be called within a tokio runtime.
    pub(super) fn start(questions: ReadConnection, tracked: Arc<TrackedCache>) -> BatchedReads {
        let server = questions.server.clone();
        let (readers, waiting) = mpsc::channel(MAX_WAITING);
        tokio::spawn(run(questions, tracked.clone(), waiting));
        BatchedReads { server, tracked, readers }
    }

    /// Returns the newest candle of a series.
    pub(super) async fn newest(&self, series: SeriesKey) -> Result<NewestCandle, Error> {
        if let Some(candle) = self.tracked.get(series) {
            return Ok(Some(candle));
        }
        let asked = async {
            let (answer, asked) = oneshot::channel();
            self.readers.send(WaitingRead { series, answer }).await.ok()?;
            asked.await.ok()
        };
        let failure = match tokio::time::timeout(RESPONSE_TIMEOUT, asked).await {
            Ok(Some(newest)) => return newest.map_err(Error::Shared),
            Ok(None) => std::io::Error::other("the task that asks has ended").into(),
            Err(_) => timed_out(),
        };
        Err(self.server.error(READ)(failure))
    }
}

async fn run(
    questions: ReadConnection,
    tracked: Arc<TrackedCache>,
    mut waiting: mpsc::Receiver<WaitingRead>,
) {
    let mut readers = Vec::new();
    while waiting.recv_many(&mut readers, MAX_WAITING).await > 0 {
        let mut wanted: BTreeMap<SeriesKey, Vec<_>> = BTreeMap::new();
        for WaitingRead { series, answer } in readers.drain(..) {
            wanted.entry(series).or_default().push(answer);
        }
        let series: Vec<SeriesKey> = wanted.keys().copied().collect();
        let candles: Vec<_> = match questions.remembered(&series, &tracked).await {
            Ok(candles) => candles.into_iter().map(|newest| newest.map_err(Arc::new)).collect(),
            Err(error) => vec![Err(Arc::new(error)); series.len()],
        };
        for (answers, newest) in wanted.into_values().zip(candles) {
            for answer in answers {
                // A reader that has gone meanwhile needs no result.
                drop(answer.send(newest.clone()));
            }
        }
    }
}
