//! The state of the hub: the series that it has delivered, and its clients.

use super::binance::listeners::StreamListeners;
use super::delivered::{DeliveredSeries, SerializedCandle};
use super::mailbox::Mailbox;
use super::subscription::{SeriesKey, Subscription};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use tallow_model::Symbol;
use tallow_model::rows::LatestCandle;

/// The maximum number of closed candles that are kept for clients that reconnect.
///
/// They take about 20 MB: the last five days of eight symbols, or the last five minutes of 10,000.
const MAX_RECENT: usize = 65_536;

/// The part of the hub that changes while it runs.
pub(super) struct HubState {
    pub(super) series: BTreeMap<SeriesKey, DeliveredSeries>,
    /// The clients by the symbol of their subscription; `None` has the clients of every symbol.
    pub(super) subscribers: HashMap<Option<Symbol>, Vec<Arc<Subscriber>>>,
    pub(super) listeners: StreamListeners,
    /// The series of each closed candle that is kept, oldest first.
    recent: VecDeque<SeriesKey>,
    /// The source of the ticks, as a JSON string.
    pub(super) source: Arc<str>,
}

/// A client: its subscription and its mailbox.
pub(super) struct Subscriber {
    pub(super) subscription: Subscription,
    pub(super) mailbox: Arc<Mailbox>,
}

impl HubState {
    /// A state without series and clients.
    pub(super) fn new() -> HubState {
        HubState {
            series: BTreeMap::new(),
            subscribers: HashMap::new(),
            listeners: StreamListeners::default(),
            recent: VecDeque::new(),
            source: "\"\"".into(),
        }
    }

    /// The series of a subscription.
    pub(super) fn series_of(
        &self,
        subscription: &Subscription,
    ) -> impl Iterator<Item = (&SeriesKey, &DeliveredSeries)> {
        let within = self.series.range(subscription.bounds());
        within.filter(|(key, _)| subscription.includes(**key))
    }

    /// The clients that may subscribe to a series of this symbol.
    pub(super) fn subscribers_of(&self, symbol: Symbol) -> impl Iterator<Item = &Arc<Subscriber>> {
        [Some(symbol), None].into_iter().filter_map(|symbol| self.subscribers.get(&symbol)).flatten()
    }

    /// Takes a candle of the cache as the newest of its series. Returns its JSON.
    pub(super) fn restore(&mut self, candle: Arc<LatestCandle>) -> Option<Arc<str>> {
        let json: Arc<str> = match serde_json::to_string(&*candle) {
            Ok(json) => json.into(),
            Err(error) => {
                tracing::error!(%error, symbol = %candle.symbol, "candle not serialised as JSON");
                return None;
            }
        };
        let key = (candle.symbol, candle.interval);
        let series = self.series.entry(key).or_default();
        if series.deliver(SerializedCandle { candle, json: json.clone() }) {
            self.keep_recent(key);
        }
        Some(json)
    }

    /// Counts a closed candle of this series that is kept, and forgets the oldest one over the
    /// limit.
    pub(super) fn keep_recent(&mut self, key: SeriesKey) {
        self.recent.push_back(key);
        if self.recent.len() > MAX_RECENT
            && let Some(oldest) = self.recent.pop_front()
            && let Some(series) = self.series.get_mut(&oldest)
        {
            series.forget_oldest();
        }
    }
}
