//! What the stores are asked for clients that join: the newest candles of series of which the hub has seen nothing yet.
//!
//! **A storm of clients** after a restart asks no more than one client does. Whoever asks within [`SHARED`] of another gets
//! the same answer, of the same question if that is still under way; a failure too, as a store that is down is not to be
//! asked by thousands. An answer is as good a second later: whatever has come meanwhile has come to the hub as an update.
//! What was found stays with the hub.
//!
//! State: the answers of the last second, and of the one before until somebody asks again.

use super::series::Shown;
use super::subscription::{Key, Subscription};
use crate::api::history::{LOOKUPS, newest_closed};
use crate::app::Data;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use futures_util::stream::{self, StreamExt};
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tallow_model::Error;
use tallow_model::error::chain;
use tallow_model::rows::{CandleRow, LatestCandle};
use tallow_model::{Interval, Symbol};
use tokio::time::Instant;

/// For how long an answer is given to others.
const SHARED: Duration = Duration::from_secs(1);

/// None can be given where the stores could not answer, which the log says once.
type Answer<T> = Shared<BoxFuture<'static, Option<T>>>;

/// The questions that are under way or have just been answered.
#[derive(Default)]
pub(crate) struct Lookups {
    symbols: Questions<(), Arc<BTreeSet<Symbol>>>,
    /// By series, and whether it must be a closed candle.
    candles: Questions<(Key, bool), Option<Shown>>,
}

/// Those of one kind, and when each was asked.
struct Questions<K, T>(Mutex<HashMap<K, (Instant, Answer<T>)>>);

impl<K, T> Default for Questions<K, T> {
    fn default() -> Questions<K, T> {
        Questions(Mutex::default())
    }
}

impl<K: Eq + Hash, T: Clone + Send + 'static> Questions<K, T> {
    /// The answer that somebody else has asked for just now, or else that to this question.
    fn ask<F>(&self, key: K, question: impl FnOnce() -> F) -> Answer<T>
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, answer)) = asked.get(&key)
            && at.elapsed() < SHARED
        {
            return answer.clone();
        }
        let question = question();
        let answer = async move {
            question.await.inspect_err(|error| {
                tracing::warn!(error = chain(error), "snapshots of WebSocket clients not completed");
            })
        };
        let answer = answer.map(Result::ok).boxed().shared();
        asked.insert(key, (Instant::now(), answer.clone()));
        answer
    }

    /// Forgets the answers that are given to nobody any more.
    fn forget(&self) {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asked.retain(|_, (at, _)| at.elapsed() < SHARED);
    }
}

impl Lookups {
    /// What the stores have of the series that a client wants and that are not among those known, as far as they can
    /// answer.
    pub(super) async fn complete(
        &self,
        data: &Arc<Data>,
        subscription: &Subscription,
        known: &BTreeSet<Key>,
    ) -> Vec<Shown> {
        let symbols = match subscription.symbol {
            Some(symbol) => Some(Arc::new(BTreeSet::from([symbol]))),
            None => {
                let data = data.clone();
                self.symbols.ask((), || async move { data.symbols().await.map(Arc::new) }).await
            }
        };
        let Some(symbols) = symbols else { return Vec::new() };
        let keys = symbols
            .iter()
            .flat_map(|symbol| subscription.intervals.iter().map(move |interval| (*symbol, *interval)));
        let missing: Vec<Key> = keys.filter(|key| !known.contains(key)).collect();
        if missing.is_empty() {
            return Vec::new();
        }
        self.candles.forget();
        let closed_only = subscription.closed_only;
        let mut answers = stream::iter(missing)
            .map(|key| {
                let data = data.clone();
                self.candles.ask((key, closed_only), || async move { find(&data, key, closed_only).await })
            })
            .buffered(LOOKUPS);
        let mut found = Vec::new();
        while let Some(Some(shown)) = answers.next().await {
            found.extend(shown);
        }
        found
    }
}

/// Asks for one candle.
async fn find(data: &Data, (symbol, interval): Key, closed_only: bool) -> Result<Option<Shown>, Error> {
    let Some(candle) = stored(data, symbol, interval, closed_only).await? else { return Ok(None) };
    match serde_json::to_string(&*candle) {
        Ok(json) => Ok(Some(Shown { candle, json: json.into() })),
        Err(error) => {
            tracing::error!(%error, %symbol, "candle not written as JSON");
            Ok(None)
        }
    }
}

/// The newest candle that the cache has, or the newest closed one of the history.
async fn stored(
    data: &Data,
    symbol: Symbol,
    interval: Interval,
    closed_only: bool,
) -> Result<Option<Arc<LatestCandle>>, Error> {
    let cached = data.cache.newest(symbol, interval).await.unwrap_or_else(|error| {
        tracing::warn!(store = data.cache.name(), error = chain(&error), "falling back to the history");
        None
    });
    if let Some(candle) = cached.filter(|candle| candle.is_closed || !closed_only) {
        return Ok(Some(candle));
    }
    let row = newest_closed(data, symbol, interval).await?;
    Ok(row.map(|row| Arc::new(unpublished(&row, interval))))
}

/// A closed candle in the shape of an update, with the sequence number 0 of one that was not published.
fn unpublished(row: &CandleRow, interval: Interval) -> LatestCandle {
    LatestCandle {
        symbol: row.symbol,
        interval,
        window_start: row.window_start.millis() / 1000,
        window_end: row.window_end.millis() / 1000,
        open: row.open_price,
        high: row.high_price,
        low: row.low_price,
        close: row.close_price,
        volume_sum: row.volume_sum,
        quote_volume: row.vwap.map(|_| row.quote_volume),
        event_count: row.trade_count,
        is_closed: true,
        revision: row.revision,
        seq: 0,
        event_time: row.window_end,
    }
}
