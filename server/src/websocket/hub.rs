//! The hub: takes each update of the cache once and hands it to every client that subscribes to it.
//!
//! **Gaps.** The updates of a series have consecutive sequence numbers. If a number is skipped, the
//! hub sends `resync_required`: the missing updates cannot be sent any more, and the updates that
//! follow are complete again. Alerts have no numbers. If the hub falls behind the stream, or the
//! stream reports a gap of its own, the `resync_required` names no interval: it covers the whole
//! subscription, alerts too.
//!
//! **Restarted numbers.** If Redis has lost the counters, a restarted publisher counts from one,
//! and replays candles that clients have. An update with a low number may also be a repeated one.
//! The order of versions decides: the first newer candle counts as a gap, and the hub follows its
//! number. See [`tallow_model::version`].
//!
//! **Reconnecting clients.** The hub keeps a bounded number of recent closed candles. A client that
//! names the last number that it has received gets the closed candles after it, if none can be
//! missing and there are no more than may wait for a client. Clients share the JSON of these
//! candles with the hub; the frames are written while the client accepts them.
//!
//! **Before the first update.** The hub keeps the candles that were read from the stores for a
//! client, so that the next client causes no query: see `lookups`.

use super::binance::listeners::StreamListeners;
use super::delivered::SerializedCandle;
use super::frame::{self, Frame, Stamp};
use super::hub_state::{HubState, Subscriber};
use super::lookups::Lookups;
use super::mailbox::Mailbox;
use super::subscription::{SeriesKey, Subscription};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tallow_model::Error;
use tallow_model::error::chain;
use tallow_model::rows::LatestCandle;
use tallow_model::store::{Cache, Pipeline, Update};
use tallow_model::{Clock, EventTime, Interval, Symbol};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

/// The pause before the hub subscribes again after the stream of updates has ended.
const RESUBSCRIBE_DELAY: Duration = Duration::from_secs(1);

/// The hub of one server.
pub(crate) struct Hub {
    pipeline: Arc<dyn Pipeline>,
    clock: Arc<dyn Clock>,
    state: Mutex<HubState>,
    /// The queries to the stores for clients that connect.
    pub(super) lookups: Lookups,
    conflated: AtomicU64,
    evicted: AtomicU64,
}

/// The number of connected clients, and counts since the start of the server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ClientStats {
    /// Clients that are connected now.
    pub(crate) clients: usize,
    /// Open candles that were replaced before they were sent.
    pub(crate) conflated: u64,
    /// Clients that were disconnected because they were too slow or dead.
    pub(crate) evicted: u64,
}

/// The membership of a client at the hub, which ends when this is dropped.
pub(crate) struct Membership {
    hub: Arc<Hub>,
    subscriber: Arc<Subscriber>,
    /// The time at which the client joined.
    pub(super) stamp: Stamp,
    /// The newest candles at that time: later updates go to the mailbox.
    pub(super) snapshot: Vec<SerializedCandle>,
    /// The JSON of the closed candles after the resume point; `None` if they are unknown.
    pub(super) missed: Option<Vec<Arc<str>>>,
    /// Whether there is an announced gap that no update has followed yet.
    pub(super) has_gap: bool,
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut state = self.hub.state();
        let symbol = self.subscriber.subscription.symbol;
        if let Some(subscribers) = state.subscribers.get_mut(&symbol) {
            subscribers.retain(|other| !Arc::ptr_eq(other, &self.subscriber));
            if subscribers.is_empty() {
                state.subscribers.remove(&symbol);
            }
        }
    }
}

impl Hub {
    /// A hub without clients that has delivered no update.
    pub(crate) fn new(pipeline: Arc<dyn Pipeline>, clock: Arc<dyn Clock>) -> Hub {
        Hub {
            pipeline,
            clock,
            state: Mutex::new(HubState::new()),
            lookups: Lookups::default(),
            conflated: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
        }
    }

    /// Adds a client, whose mailbox gets the updates of its subscription from now on.
    ///
    /// A client that resumes gets at most `max_missed` closed candles.
    pub(crate) fn join(
        self: &Arc<Hub>,
        subscription: &Subscription,
        mailbox: Arc<Mailbox>,
        max_missed: usize,
    ) -> Membership {
        let source = json_string(&self.pipeline.source()).into();
        let mut state = self.state();
        state.source = source;
        let stamp = self.stamp(&state);
        let mut snapshot = Vec::new();
        for (_, series) in state.series_of(subscription) {
            let Some(newest) = series.newest(subscription.closed_only) else { continue };
            // The candle is from the stores, and the updates up to it are still on their way.
            if series.is_behind(&newest.candle) {
                mailbox.skip_through(&newest.candle);
            }
            snapshot.push(newest.clone());
        }
        let resumed = subscription.only().and_then(|key| state.series.get(&key));
        let missed = resumed
            .zip(subscription.resume_from)
            .and_then(|(series, resume_from)| series.missed(resume_from, max_missed));
        let has_gap = resumed.is_some_and(|series| series.gap_announced);
        let subscriber = Arc::new(Subscriber { subscription: subscription.clone(), mailbox });
        state.subscribers.entry(subscription.symbol).or_default().push(subscriber.clone());
        Membership { hub: self.clone(), subscriber, stamp, snapshot, missed, has_gap }
    }

    /// Whether the hub has a candle of this symbol.
    pub(super) fn knows(&self, symbol: Symbol) -> bool {
        let state = self.state();
        Interval::ALL.iter().any(|interval| state.series.contains_key(&(symbol, *interval)))
    }

    /// Keeps a candle that was read from the stores for clients that connect later.
    pub(super) fn add_stored(&self, stored: SerializedCandle) {
        let key = (stored.candle.symbol, stored.candle.interval);
        self.state().series.entry(key).or_default().add_stored(stored);
    }

    /// Calls `change` with the listeners of Binance's streams while no update is delivered.
    pub(super) fn change_listeners<T>(&self, change: impl FnOnce(&mut StreamListeners) -> T) -> T {
        change(&mut self.state().listeners)
    }

    /// The number of connected clients.
    pub(crate) fn clients(&self) -> usize {
        let state = self.state();
        state.subscribers.values().map(Vec::len).sum::<usize>() + state.listeners.clients()
    }

    /// The counts for the metrics.
    pub(crate) fn stats(&self) -> ClientStats {
        ClientStats {
            clients: self.clients(),
            conflated: self.conflated.load(Ordering::Relaxed),
            evicted: self.evicted.load(Ordering::Relaxed),
        }
    }

    /// Counts a client that is disconnected because it is too slow or dead.
    pub(crate) fn count_eviction(&self) {
        self.evicted.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes the newest candles of the cache, so that a gap right after the start is noticed.
    ///
    /// Must be called after subscribing to the cache and before the first client joins.
    ///
    /// # Errors
    /// If the cache cannot be read.
    pub(crate) async fn prefill(&self, cache: &dyn Cache) -> Result<(), Error> {
        for minute in cache.latest_all().await? {
            for interval in Interval::ALL {
                if let Some(candle) = cache.newest(minute.symbol, interval).await? {
                    self.state().restore(candle);
                }
            }
        }
        Ok(())
    }

    /// Delivers updates until the task is aborted.
    pub(crate) async fn run(self: Arc<Hub>, cache: Arc<dyn Cache>, mut updates: Receiver<Update>) {
        loop {
            match updates.recv().await {
                Ok(update) => self.deliver(&update),
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "WebSocket hub fell behind the updates, clients must resync");
                    self.announce_gap();
                    self.catch_up(&mut updates);
                    self.restore_series(&*cache).await;
                }
                Err(RecvError::Closed) => {
                    tracing::warn!(cache = cache.name(), "stream of updates ended, subscribing again");
                    tokio::time::sleep(RESUBSCRIBE_DELAY).await;
                    updates = cache.subscribe();
                    self.announce_gap();
                    self.restore_series(&*cache).await;
                }
            }
        }
    }

    fn deliver(&self, update: &Update) {
        let mut state = self.state();
        match update {
            Update::Candle { candle, json } => self.deliver_candle(&mut state, candle, json),
            Update::Alert { alert, json } => {
                let mut frame = None;
                for subscriber in state.subscribers_of(alert.symbol) {
                    let frame = frame.get_or_insert_with(|| self.stamp(&state).alert(alert.symbol, json));
                    subscriber.mailbox.keep(frame.clone());
                }
            }
            Update::Gap => {
                drop(state);
                self.announce_gap();
            }
        }
    }

    fn deliver_candle(&self, state: &mut HubState, candle: &Arc<LatestCandle>, json: &Arc<str>) {
        let key = (candle.symbol, candle.interval);
        let series = state.series.entry(key).or_default();
        if series.is_duplicate(candle) {
            return;
        }
        let gap = series.gap_before(candle);
        if series.deliver(SerializedCandle { candle: candle.clone(), json: json.clone() }) {
            state.keep_recent(key);
        }
        if let Some(from_seq) = gap {
            let symbol = candle.symbol.text();
            let notice = frame::resync_required(self.now(), &symbol, Some(candle.interval), from_seq);
            for subscriber in state.subscribers_of(candle.symbol) {
                if subscriber.subscription.includes(key) {
                    subscriber.mailbox.keep(notice.clone());
                }
            }
            state.listeners.lose(key);
        }
        let mut frame = None;
        let mut conflated = state.listeners.deliver(candle, self.now());
        for subscriber in state.subscribers_of(candle.symbol) {
            if subscriber.subscription.includes_candle(candle) {
                let frame = frame.get_or_insert_with(|| self.stamp(state).price_update(candle.symbol, json));
                conflated += u64::from(subscriber.mailbox.add_candle(candle, frame.clone()));
            }
        }
        self.conflated.fetch_add(conflated, Ordering::Relaxed);
    }

    /// Tells every client that updates of its whole subscription may be missing, alerts included.
    ///
    /// A client of one series also learns the first sequence number that may be missing.
    fn announce_gap(&self) {
        let now = self.now();
        let mut state = self.state();
        for Subscriber { subscription, mailbox } in state.subscribers.values().flatten().map(|it| &**it) {
            let series = subscription.only().and_then(|key| state.series.get(&key));
            let from_seq = series.map_or(0, |series| series.next_seq());
            mailbox.keep(frame::resync_required(now, &subscription.name(), None, from_seq));
        }
        state.listeners.lose_all();
        state.series.values_mut().for_each(|series| series.gap_announced = true);
    }

    /// Delivers the updates that the channel still holds.
    fn catch_up(&self, updates: &mut Receiver<Update>) {
        loop {
            match updates.try_recv() {
                Ok(update) => self.deliver(&update),
                Err(TryRecvError::Lagged(_)) => self.announce_gap(),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    /// Sends the newest candle of every series that no update has followed since the gap.
    async fn restore_series(&self, cache: &dyn Cache) {
        let stale: Vec<SeriesKey> = {
            let state = self.state();
            state.series.iter().filter(|(_, series)| series.gap_announced).map(|(key, _)| *key).collect()
        };
        for (symbol, interval) in stale {
            match cache.newest(symbol, interval).await {
                Ok(Some(candle)) => self.restore(candle),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(cache = cache.name(), error = chain(&error), "newest candle not read");
                    return;
                }
            }
        }
    }

    fn restore(&self, candle: Arc<LatestCandle>) {
        let mut state = self.state();
        let key = (candle.symbol, candle.interval);
        if !state.series.get(&key).is_some_and(|series| series.is_restored_by(&candle)) {
            return;
        }
        let Some(json) = state.restore(candle.clone()) else { return };
        let mut frame: Option<Frame> = None;
        for subscriber in state.subscribers_of(candle.symbol) {
            if subscriber.subscription.includes_candle(&candle) {
                let frame =
                    frame.get_or_insert_with(|| self.stamp(&state).initial_data(candle.symbol, &json));
                subscriber.mailbox.keep(frame.clone());
            }
        }
    }

    fn stamp(&self, state: &HubState) -> Stamp {
        Stamp { time: self.now(), source: state.source.clone() }
    }

    fn now(&self) -> EventTime {
        EventTime(self.clock.now_ms())
    }

    fn state(&self) -> MutexGuard<'_, HubState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
