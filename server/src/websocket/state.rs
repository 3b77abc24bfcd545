//! What the hub knows: the series that it has seen, the clients, and whose closed candles are kept for those who come back.

use super::binance::Rooms;
use super::mailbox::Mailbox;
use super::series::{Series, Shown};
use super::subscription::{Key, Subscription};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use tallow_model::Symbol;
use tallow_model::rows::LatestCandle;

/// How many closed candles are kept for clients that come back: some 20 MB, the last five days of eight symbols or the
/// last five minutes of 10,000.
const MAX_RECENT: usize = 65_536;

/// All that changes while the hub runs.
pub(super) struct State {
    pub(super) series: BTreeMap<Key, Series>,
    /// The clients of each symbol, and under none those of all.
    pub(super) rooms: HashMap<Option<Symbol>, Vec<Arc<Member>>>,
    /// The clients of Binance's streams.
    pub(super) streams: Rooms,
    /// Whose closed candles are kept, oldest first.
    recent: VecDeque<Key>,
    /// As a JSON string.
    pub(super) source: Arc<str>,
}

/// What a client wants, and where it is put.
pub(super) struct Member {
    pub(super) subscription: Subscription,
    pub(super) mailbox: Arc<Mailbox>,
}

impl State {
    /// Nothing has been seen, and nobody is there.
    pub(super) fn new() -> State {
        State {
            series: BTreeMap::new(),
            rooms: HashMap::new(),
            streams: Rooms::default(),
            recent: VecDeque::new(),
            source: "\"\"".into(),
        }
    }

    /// The series that a client wants.
    pub(super) fn wanted(&self, subscription: &Subscription) -> impl Iterator<Item = (&Key, &Series)> {
        let within = self.series.range(subscription.bounds());
        within.filter(|(key, _)| subscription.wants(**key))
    }

    /// The clients that may want something of this symbol.
    pub(super) fn room(&self, symbol: Symbol) -> impl Iterator<Item = &Arc<Member>> {
        [Some(symbol), None].into_iter().filter_map(|room| self.rooms.get(&room)).flatten()
    }

    /// Takes a candle from the cache as the newest of its series: updates up to it are of no use any more. Gives its
    /// JSON.
    pub(super) fn restore(&mut self, candle: Arc<LatestCandle>) -> Option<Arc<str>> {
        let json: Arc<str> = match serde_json::to_string(&*candle) {
            Ok(json) => json.into(),
            Err(error) => {
                tracing::error!(%error, symbol = %candle.symbol, "candle not written as JSON");
                return None;
            }
        };
        let series = self.series.entry((candle.symbol, candle.interval)).or_default();
        let (key, told) = ((candle.symbol, candle.interval), candle.seq);
        let is_kept = series.seen(Shown { candle, json: json.clone() });
        series.told = told;
        if is_kept {
            self.keep(key);
        }
        Some(json)
    }

    /// A closed candle of this series is kept for clients that come back, at the cost of the oldest.
    pub(super) fn keep(&mut self, key: Key) {
        self.recent.push_back(key);
        if self.recent.len() > MAX_RECENT
            && let Some(oldest) = self.recent.pop_front()
            && let Some(series) = self.series.get_mut(&oldest)
        {
            series.forget_oldest();
        }
    }
}
