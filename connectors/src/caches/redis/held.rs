//! Newest candles that were read before, as long as Redis has not said that they are others now: what its documentation
//! calls server-assisted client-side caching.
//!
//! The subscriber's connection asks Redis to remember what is read over it. Before Redis sends anybody the update of a
//! candle, it says over that connection that the key has been written; both come in the order in which they were sent. So
//! whoever has an update finds that candle here, or a newer one, as they would in Redis. What is here may be older than
//! what is in Redis by the time that its word takes; and where its word does not come at all, by [`HOLD`].

use super::keys::Keys;
use hashbrown::{HashMap, HashSet};
use redis::Value;
use redis::aio::MultiplexedConnection;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};
use tallow_model::rows::LatestCandle;
use tallow_model::{Interval, Symbol};

/// How long a candle is held at most. Redis may notice up to some seconds late that a key has expired, and a connection can
/// be dead for a while before anybody knows.
const HOLD: Duration = Duration::from_secs(1);

/// The candles of one key.
pub(super) type Series = (Symbol, Interval);

/// The candles, for those who read them, for the connection over which they are read, and for what Redis says there.
#[derive(Debug)]
pub(super) struct Held {
    keys: Keys,
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How many connections there have been.
    connections: u64,
    /// The one whose reads are remembered, if there is one.
    connection: Option<Connection>,
    /// Those of the question that is under way which have not been written meanwhile.
    asked: HashSet<Series>,
    candles: HashMap<Series, Candle>,
}

struct Connection(MultiplexedConnection);

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connection")
    }
}

#[derive(Debug)]
struct Candle {
    candle: Arc<LatestCandle>,
    asked: Instant,
}

impl Held {
    pub(super) fn new(keys: Keys) -> Held {
        Held { keys, state: RwLock::default() }
    }

    /// The newest candle of a series, if it is here.
    pub(super) fn get(&self, series: Series) -> Option<Arc<LatestCandle>> {
        let state = self.read();
        let held = state.candles.get(&series)?;
        (held.asked.elapsed() < HOLD).then(|| held.candle.clone())
    }

    /// Begins a question for these series, the only one that is under way, and gives the connection to ask over. None where
    /// Redis remembers nothing: then the answer can't be held.
    pub(super) fn ask(&self, series: &[Series]) -> Option<MultiplexedConnection> {
        let mut state = self.write();
        let Connection(connection) = state.connection.as_ref()?;
        let connection = connection.clone();
        state.asked = series.iter().copied().collect();
        Some(connection)
    }

    /// Takes the answers to the question that was begun last, asked at this time.
    pub(super) fn hold(&self, asked: Instant, candles: impl IntoIterator<Item = Arc<LatestCandle>>) {
        let mut state = self.write();
        for candle in candles {
            let series = (candle.symbol, candle.interval);
            if state.asked.remove(&series) {
                state.candles.insert(series, Candle { candle, asked });
            }
        }
    }

    /// The number of a new connection, over which nothing is read yet.
    pub(super) fn connect(&self) -> u64 {
        let mut state = self.write();
        *state = State { connections: state.connections + 1, ..State::default() };
        state.connections
    }

    /// From now on Redis remembers what is read over this connection.
    pub(super) fn remember(&self, number: u64, connection: MultiplexedConnection) {
        let mut state = self.write();
        if state.connections == number {
            state.connection = Some(Connection(connection));
        }
    }

    /// The connection of this number is lost, or is no longer used.
    pub(super) fn lose(&self, number: u64) {
        let mut state = self.write();
        if state.connections == number {
            *state = State { connections: number, ..State::default() };
        }
    }

    /// What Redis has said: the keys that were written, or that all were.
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

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}
