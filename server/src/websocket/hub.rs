//! The hub: takes every update of the cache once and hands it to every client that wants it.
//!
//! **Gaps.** The updates of a symbol and interval are numbered one by one. Where a number is skipped, clients are sent
//! `resync_required`: what is missing can't be sent any more. What follows is complete again. Alerts have no numbers: where
//! the hub has fallen behind the stream, or the stream itself says that something may be missing, clients are told of no
//! interval, which means everything that they have subscribed to, alerts too.
//!
//! **Numbers that begin anew.** What the cache has lost, a publisher that is started again counts from one. So a number
//! below the last one is a gap like any other; only while the last one was taken from the cache itself may it also be
//! of an update that was under way meanwhile and is of no use any more. Then the candle decides: one that is newer than
//! all that clients have been given is taken, and the numbers are followed from there.
//!
//! **Clients that come back.** The closed candles of the last while are kept, so many over all symbols together. A client
//! that names the last number that it has seen is sent those that came after it, if none of them can be missing and they are
//! no more than may wait for a client. It shares their JSON with the hub; the frames around them are written as it takes
//! them in.
//!
//! **Before the first update.** What the stores had of a series when a client asked is kept, so that the next client need
//! not ask: see `lookups`.

use super::binance::Rooms;
use super::frame::{self, Frame, Stamp};
use super::lookups::Lookups;
use super::mailbox::Mailbox;
use super::series::{Series, Shown};
use super::state::{Member, State};
use super::subscription::{Key, Subscription};
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

/// How long to wait before subscribing again after the stream has ended.
const RESUBSCRIBE_PAUSE: Duration = Duration::from_secs(1);

/// The hub of one server.
pub(crate) struct Hub {
    pipeline: Arc<dyn Pipeline>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// What the stores are asked for clients that come.
    pub(super) lookups: Lookups,
    conflated: AtomicU64,
    evicted: AtomicU64,
}

/// The clients of a hub, in figures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ClientFigures {
    /// How many are connected.
    pub(crate) clients: usize,
    /// Open candles that were replaced before they were sent.
    pub(crate) conflated: u64,
    /// Clients that were closed because they took in too little, or were dead.
    pub(crate) evicted: u64,
}

/// A client's place at the hub, given up when dropped.
pub(crate) struct Membership {
    hub: Arc<Hub>,
    member: Arc<Member>,
    /// When the client came.
    pub(super) stamp: Stamp,
    /// The candles that the hub had then: everything after them goes to the mailbox.
    pub(super) snapshot: Vec<Shown>,
    /// The JSON of the closed candles after the number that the client resumes from; none where that can't be told.
    pub(super) missed: Option<Vec<Arc<str>>>,
    /// Whether updates may be missing of which the hub has told those who were there.
    pub(super) has_gap: bool,
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut state = self.hub.state();
        let symbol = self.member.subscription.symbol;
        if let Some(room) = state.rooms.get_mut(&symbol) {
            room.retain(|other| !Arc::ptr_eq(other, &self.member));
            if room.is_empty() {
                state.rooms.remove(&symbol);
            }
        }
    }
}

impl Hub {
    /// A hub without clients that has seen nothing.
    pub(crate) fn new(pipeline: Arc<dyn Pipeline>, clock: Arc<dyn Clock>) -> Hub {
        Hub {
            pipeline,
            clock,
            state: Mutex::new(State::new()),
            lookups: Lookups::default(),
            conflated: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
        }
    }

    /// Takes in a client. From now on its mailbox gets what it wants. So many closed candles that it has missed it may be
    /// sent.
    pub(crate) fn join(
        self: &Arc<Hub>,
        subscription: &Subscription,
        mailbox: Arc<Mailbox>,
        most_missed: usize,
    ) -> Membership {
        let source = json_string(&self.pipeline.source()).into();
        let mut state = self.state();
        state.source = source;
        let stamp = self.stamp(&state);
        let mut snapshot = Vec::new();
        for (_, series) in state.wanted(subscription) {
            let Some(shown) = series.shown(subscription.closed_only) else { continue };
            // It is from the stores, and the updates up to it are still to come.
            if shown.candle.seq > series.seq {
                mailbox.told(&shown.candle);
            }
            snapshot.push(shown.clone());
        }
        let resumed = subscription.only().and_then(|key| state.series.get(&key));
        let missed = resumed
            .zip(subscription.resume_from)
            .and_then(|(series, resume_from)| series.missed(resume_from, most_missed));
        let has_gap = resumed.is_some_and(|series| series.announced);
        let member = Arc::new(Member { subscription: subscription.clone(), mailbox });
        state.rooms.entry(subscription.symbol).or_default().push(member.clone());
        Membership { hub: self.clone(), member, stamp, snapshot, missed, has_gap }
    }

    /// Whether the hub has a candle of this symbol.
    pub(super) fn knows(&self, symbol: Symbol) -> bool {
        let state = self.state();
        Interval::ALL.iter().any(|interval| state.series.contains_key(&(symbol, *interval)))
    }

    /// Keeps a candle that the stores had, for clients that come later.
    pub(super) fn found(&self, shown: Shown) {
        let key = (shown.candle.symbol, shown.candle.interval);
        self.state().series.entry(key).or_default().found(shown);
    }

    /// Calls `change` with the clients of streams, while nothing is delivered.
    pub(super) fn streams<T>(&self, change: impl FnOnce(&mut Rooms) -> T) -> T {
        change(&mut self.state().streams)
    }

    /// How many clients there are.
    pub(crate) fn clients(&self) -> usize {
        let state = self.state();
        state.rooms.values().map(Vec::len).sum::<usize>() + state.streams.clients()
    }

    /// How the clients are.
    pub(crate) fn figures(&self) -> ClientFigures {
        ClientFigures {
            clients: self.clients(),
            conflated: self.conflated.load(Ordering::Relaxed),
            evicted: self.evicted.load(Ordering::Relaxed),
        }
    }

    /// A client is closed because it took in too little, or is dead.
    pub(crate) fn evict(&self) {
        self.evicted.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes over what the cache has, so that a gap right after the start is seen as one. To be called after
    /// subscribing and before there are clients.
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

    /// Takes updates until the task is aborted.
    pub(crate) async fn run(self: Arc<Hub>, cache: Arc<dyn Cache>, mut updates: Receiver<Update>) {
        loop {
            match updates.recv().await {
                Ok(update) => self.deliver(&update),
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "WebSocket hub fell behind, clients must resync");
                    self.announce_gap();
                    self.catch_up(&mut updates);
                    self.return_to_present(&*cache).await;
                }
                Err(RecvError::Closed) => {
                    tracing::warn!(cache = cache.name(), "stream of updates ended, subscribing again");
                    tokio::time::sleep(RESUBSCRIBE_PAUSE).await;
                    updates = cache.subscribe();
                    self.announce_gap();
                    self.return_to_present(&*cache).await;
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
                for member in state.room(alert.symbol) {
                    let frame = frame.get_or_insert_with(|| self.stamp(&state).alert(alert.symbol, json));
                    member.mailbox.keep(frame.clone());
                }
            }
            Update::Gap => {
                drop(state);
                self.announce_gap();
            }
        }
    }

    fn deliver_candle(&self, state: &mut State, candle: &Arc<LatestCandle>, json: &Arc<str>) {
        let key = (candle.symbol, candle.interval);
        let series = state.series.entry(key).or_default();
        if candle.seq <= series.told && !series.is_older_than(candle) {
            return;
        }
        let gap = series.seq != 0 && !series.announced && candle.seq != series.seq + 1;
        let from_seq = candle.seq.min(series.seq + 1);
        if series.seen(Shown { candle: candle.clone(), json: json.clone() }) {
            state.keep(key);
        }
        if gap {
            let missing =
                frame::resync_required(self.now(), &candle.symbol.text(), Some(candle.interval), from_seq);
            let room = state.room(candle.symbol).filter(|member| member.subscription.wants(key));
            room.for_each(|member| member.mailbox.keep(missing.clone()));
            state.streams.lose(key);
        }
        let mut frame = None;
        let mut conflated = state.streams.deliver(candle, self.now());
        for member in state.room(candle.symbol).filter(|member| member.subscription.wants_candle(candle)) {
            let frame = frame.get_or_insert_with(|| self.stamp(state).price_update(candle.symbol, json));
            conflated += u64::from(member.mailbox.candle(candle, frame.clone()));
        }
        self.conflated.fetch_add(conflated, Ordering::Relaxed);
    }

    /// Tells every client that updates of whatever it has subscribed to may be missing, alerts too; and from where on,
    /// where that is one series.
    fn announce_gap(&self) {
        let now = self.now();
        let mut state = self.state();
        for Member { subscription, mailbox } in state.rooms.values().flatten().map(|member| &**member) {
            let series = subscription.only().and_then(|key| state.series.get(&key));
            let from_seq = series.map_or(0, |series| series.seq + 1);
            mailbox.keep(frame::resync_required(now, &subscription.name(), None, from_seq));
        }
        state.streams.lose_all();
        state.series.values_mut().for_each(|series| series.announced = true);
    }

    /// Delivers what the channel still holds.
    fn catch_up(&self, updates: &mut Receiver<Update>) {
        loop {
            match updates.try_recv() {
                Ok(update) => self.deliver(&update),
                Err(TryRecvError::Lagged(_)) => self.announce_gap(),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    /// Sends the newest candle of every series whose newest update was among those missed.
    async fn return_to_present(&self, cache: &dyn Cache) {
        let stale: Vec<Key> = {
            let state = self.state();
            state.series.iter().filter(|(_, series)| series.announced).map(|(key, _)| *key).collect()
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
        // An update that came meanwhile has restored the series already.
        let is_news = |series: &Series| series.seq < candle.seq || series.is_older_than(&candle);
        if !state.series.get(&key).is_some_and(|series| series.announced && is_news(series)) {
            return;
        }
        let Some(json) = state.restore(candle.clone()) else { return };
        let mut frame: Option<Frame> = None;
        for member in state.room(candle.symbol).filter(|member| member.subscription.wants_candle(&candle)) {
            let frame = frame.get_or_insert_with(|| self.stamp(&state).initial_data(candle.symbol, &json));
            member.mailbox.keep(frame.clone());
        }
    }

    fn stamp(&self, state: &State) -> Stamp {
        Stamp { time: self.now(), source: state.source.clone() }
    }

    fn now(&self) -> EventTime {
        EventTime(self.clock.now_ms())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
