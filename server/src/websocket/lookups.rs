//! The queries to the stores for clients that join: the newest candles of series that the hub has
//! not delivered yet.
//!
//! **A storm of clients** after a restart costs the stores no more than one client. A client that
//! queries within [`REUSE_PERIOD`] of another one shares its result, or waits for it if the query
//! is still running. Failures are shared too, because thousands of clients must not query a store
//! that is down. A result that is a second old is still right: the hub has delivered every later
//! change as an update. The hub keeps the candles that were found.
//!
//! State: the results of the last second, and older results until the next query.

use super::delivered::SerializedCandle;
use super::subscription::{SeriesKey, Subscription};
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
use tallow_model::rows::LatestCandle;
use tallow_model::{Interval, Symbol};
use tokio::time::Instant;

/// The time for which the result of a query is given to other clients.
const REUSE_PERIOD: Duration = Duration::from_secs(1);

/// The result of a query; `None` if it has failed, which is logged once.
type SharedResult<T> = Shared<BoxFuture<'static, Option<T>>>;

/// The queries that are running or have just ended.
#[derive(Default)]
pub(crate) struct Lookups {
    symbols: SharedQueries<(), Arc<BTreeSet<Symbol>>>,
    /// The key is the series, and whether its newest closed candle is wanted.
    candles: SharedQueries<(SeriesKey, bool), Option<SerializedCandle>>,
}

/// The queries of one kind, each with the time of its start.
struct SharedQueries<K, T>(Mutex<HashMap<K, (Instant, SharedResult<T>)>>);

impl<K, T> Default for SharedQueries<K, T> {
    fn default() -> SharedQueries<K, T> {
        SharedQueries(Mutex::default())
    }
}

impl<K: Eq + Hash, T: Clone + Send + 'static> SharedQueries<K, T> {
    /// Returns the result of the recent query with this key, or else of this new query.
    fn run<F>(&self, key: K, query: impl FnOnce() -> F) -> SharedResult<T>
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((start, result)) = recent.get(&key)
            && start.elapsed() < REUSE_PERIOD
        {
            return result.clone();
        }
        let query = query();
        let result = async move {
            query.await.inspect_err(|error| {
                tracing::warn!(error = chain(error), "snapshots of WebSocket clients not completed");
            })
        };
        let result = result.map(Result::ok).boxed().shared();
        recent.insert(key, (Instant::now(), result.clone()));
        result
    }

    /// Forgets the results that are too old to be shared.
    fn forget_old(&self) {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        recent.retain(|_, (start, _)| start.elapsed() < REUSE_PERIOD);
    }
}

impl Lookups {
    /// Reads the newest candles of the subscription's series that are not in `known`.
    ///
    /// The list ends early if a store fails.
    pub(super) async fn complete(
        &self,
        data: &Arc<Data>,
        subscription: &Subscription,
        known: &BTreeSet<SeriesKey>,
    ) -> Vec<SerializedCandle> {
        let symbols = match subscription.symbol {
            Some(symbol) => Some(Arc::new(BTreeSet::from([symbol]))),
            None => {
                let data = data.clone();
                self.symbols.run((), || async move { data.symbols().await.map(Arc::new) }).await
            }
        };
        let Some(symbols) = symbols else { return Vec::new() };
        let keys = symbols
            .iter()
            .flat_map(|symbol| subscription.intervals.iter().map(move |interval| (*symbol, *interval)));
        let missing: Vec<SeriesKey> = keys.filter(|key| !known.contains(key)).collect();
        if missing.is_empty() {
            return Vec::new();
        }
        self.candles.forget_old();
        let closed_only = subscription.closed_only;
        let mut results = stream::iter(missing)
            .map(|key| {
                let data = data.clone();
                self.candles.run((key, closed_only), || async move { read(&data, key, closed_only).await })
            })
            .buffered(LOOKUPS);
        let mut found = Vec::new();
        while let Some(Some(candle)) = results.next().await {
            found.extend(candle);
        }
        found
    }
}

async fn read(
    data: &Data,
    (symbol, interval): SeriesKey,
    closed_only: bool,
) -> Result<Option<SerializedCandle>, Error> {
    let Some(candle) = newest(data, symbol, interval, closed_only).await? else { return Ok(None) };
    match serde_json::to_string(&*candle) {
        Ok(json) => Ok(Some(SerializedCandle { candle, json: json.into() })),
        Err(error) => {
            tracing::error!(%error, %symbol, "candle not serialised as JSON");
            Ok(None)
        }
    }
}

/// The newest candle of the cache, or else the newest closed candle of the history.
async fn newest(
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
    Ok(row.map(|row| Arc::new(LatestCandle::unpublished(&row, interval))))
}
