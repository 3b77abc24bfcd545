//! Newest candles that were read before, kept until Redis invalidates them: server-assisted
//! client-side caching.
//!
//! The subscriber's connection asks Redis to track what is read over it. Before Redis sends anybody
//! the update of a candle, it sends an invalidation of its key over that connection, and both
//! arrive in this order. So whoever has an update finds that candle here, or a newer one, as they
//! would in Redis. A candle here may be older than the one in Redis by the travel time of the
//! invalidation; if that never arrives, by [`MAX_AGE`].

use super::keys::Keys;
use hashbrown::{HashMap, HashSet};
use redis::Value;
use redis::aio::MultiplexedConnection;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};
use tallow_model::rows::LatestCandle;
use tallow_model::{Interval, Symbol};

/// Longest time that a candle is kept. Redis may notice an expired key some seconds late, and a
/// connection can be dead for a while before anybody notices.
const MAX_AGE: Duration = Duration::from_secs(1);

/// The symbol and interval of a series.
pub(super) type SeriesKey = (Symbol, Interval);

/// The candles, shared by their readers, the connection over which they are read, and the handler
/// of invalidations.
#[derive(Debug)]
pub(super) struct TrackedCache {
    keys: Keys,
    state: RwLock<TrackedState>,
}

#[derive(Debug, Default)]
struct TrackedState {
    /// Number of connections so far.
    connections: u64,
    /// Connection whose reads are tracked, if there is one.
    connection: Option<TrackedConnection>,
    /// Series of the query in flight that have not been invalidated meanwhile.
    asked: HashSet<SeriesKey>,
    candles: HashMap<SeriesKey, Candle>,
}

struct TrackedConnection(MultiplexedConnection);

impl std::fmt::Debug for TrackedConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TrackedConnection")
    }
}

#[derive(Debug)]
struct Candle {
    candle: Arc<LatestCandle>,
    asked: Instant,
}

impl TrackedCache {
    pub(super) fn new(keys: Keys) -> TrackedCache {
        TrackedCache { keys, state: RwLock::default() }
    }

    /// Returns the newest candle of a series, if it is kept.
    pub(super) fn get(&self, series: SeriesKey) -> Option<Arc<LatestCandle>> {
        let state = self.read();
        let tracked = state.candles.get(&series)?;
        (tracked.asked.elapsed() < MAX_AGE).then(|| tracked.candle.clone())
    }

    /// Begins a query for these series, the only one in flight, and returns the connection for it;
    /// `None` if Redis tracks nothing, so that the result can't be kept.
    pub(super) fn ask(&self, series: &[SeriesKey]) -> Option<MultiplexedConnection> {
        let mut state = self.write();
        let TrackedConnection(connection) = state.connection.as_ref()?;
        let connection = connection.clone();
        state.asked = series.iter().copied().collect();
        Some(connection)
    }

    /// Keeps the results of the query that was begun last, at the time `asked`.
    pub(super) fn hold(&self, asked: Instant, candles: impl IntoIterator<Item = Arc<LatestCandle>>) {
        let mut state = self.write();
        for candle in candles {
            let series = (candle.symbol, candle.interval);
            if state.asked.remove(&series) {
                state.candles.insert(series, Candle { candle, asked });
            }
        }
    }

    /// Returns the number of a new connection, over which nothing has been read yet.
    pub(super) fn connect(&self) -> u64 {
        let mut state = self.write();
        *state = TrackedState { connections: state.connections + 1, ..TrackedState::default() };
        state.connections
    }

    /// Marks the connection as tracked by Redis from now on.
    pub(super) fn remember(&self, number: u64, connection: MultiplexedConnection) {
        let mut state = self.write();
        if state.connections == number {
            state.connection = Some(TrackedConnection(connection));
        }
    }

    /// Forgets the connection of this number: it is lost, or no longer used.
    pub(super) fn lose(&self, number: u64) {
        let mut state = self.write();
        if state.connections == number {
            *state = TrackedState { connections: number, ..TrackedState::default() };
        }
    }

    /// Drops the candles of the keys that Redis has invalidated, or of all keys.
    pub(super) fn forget(&self, keys: &[Value]) {
        let mut state = self.write();
        match keys {
            [Value::Array(keys)] => {
                for key in keys {
                    let Value::BulkString(key) = key else { continue };
                    let Some(series) = self.keys.parse_latest(key) else { continue };
                    state.asked.remove(&series);
                    state.candles.remove(&series);
                }
            }
            _ => {
                state.asked.clear();
                state.candles.clear();
            }
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, TrackedState> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, TrackedState> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}
