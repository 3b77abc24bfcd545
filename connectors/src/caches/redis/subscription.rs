//! The one subscription of a process: follows the channels, recovers from gaps, and forwards
//! updates to the subscribers within the process.

use super::keys::Keys;
use super::newest;
use super::sequence_filter::SequenceFilter;
use super::server::{BACKOFF, PING_INTERVAL, Server};
use super::tracked_cache::TrackedCache;
use redis::aio::{MultiplexedConnection, SendError};
use redis::{PushInfo, PushKind, Value};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tallow_model::error::{Error, chain};
use tallow_model::retry::Backoff;
use tallow_model::rows::{AlertMessage, LatestCandle};
use tallow_model::store::Update;
use tallow_model::version::Arrival;
use tallow_model::{Interval, Symbol};
use tokio::sync::{broadcast, mpsc};

/// Most messages that may be received and not yet forwarded. Beyond it the connection is dropped,
/// and the gap is recovered as after any other loss.
const MAX_RECEIVED: usize = 65_536;

/// Shortest interval between log lines about malformed messages.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);

pub(super) struct Subscription {
    server: Server,
    keys: Keys,
    updates: broadcast::Sender<Update>,
    tracked: Arc<TrackedCache>,
    filter: SequenceFilter,
    malformed: Malformed,
    /// Whether messages may have been missed since the last forwarded one.
    missed: bool,
}

/// A subscribed connection.
struct Link {
    connection: MultiplexedConnection,
    /// Number of the connection, for [`TrackedCache`].
    number: u64,
    /// Ends when the connection is lost.
    messages: mpsc::Receiver<PushInfo>,
    /// Newest candle of each series, read from its key after subscribing and not yet forwarded.
    newest: HashMap<(Symbol, Interval), Stored>,
}

/// A candle as it was stored or published.
struct Stored {
    candle: Arc<LatestCandle>,
    json: Arc<str>,
}

/// Messages that could not be parsed.
#[derive(Default)]
struct Malformed {
    since_complaint: u64,
    complained: Option<Instant>,
}

impl Subscription {
    pub(super) fn new(
        server: Server,
        keys: Keys,
        updates: broadcast::Sender<Update>,
        tracked: Arc<TrackedCache>,
    ) -> Subscription {
        let (filter, malformed) = (SequenceFilter::default(), Malformed::default());
        Subscription { server, keys, updates, tracked, filter, malformed, missed: false }
    }

    /// Follows the channels until the task is aborted.
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::new(BACKOFF);
        let mut lost = false;
        loop {
            let error = match self.connect().await {
                Ok(mut link) => {
                    tracing::info!(server = self.server.name(), "subscribed to updates from Redis");
                    lost = false;
                    let since = Instant::now();
                    let error = self.follow(&mut link).await;
                    self.tracked.lose(link.number);
                    if since.elapsed() > BACKOFF.longest {
                        backoff = Backoff::new(BACKOFF);
                    }
                    error
                }
                Err(error) => error,
            };
            self.missed = true;
            if !lost {
                let (server, problem) = (self.server.name(), chain(&error));
                tracing::warn!(server, problem, "no updates from Redis, subscribing again");
            }
            lost = true;
            tokio::time::sleep(backoff.next_wait()).await;
        }
    }

    /// Subscribes, then reads the newest candles: whatever is published afterwards comes as a
    /// message.
    async fn connect(&mut self) -> Result<Link, Error> {
        let (sender, messages) = mpsc::channel(MAX_RECEIVED);
        let (tracked, number) = (self.tracked.clone(), self.tracked.connect());
        // Dropped as soon as a message has no room or the connection is lost; this ends the
        // messages.
        let sender = Mutex::new(Some(sender));
        let push = move |push: PushInfo| {
            match push.kind {
                PushKind::Invalidate => {
                    tracked.forget(&push.data);
                    return Ok(());
                }
                PushKind::Disconnection => tracked.lose(number),
                _ => {}
            }
            let mut sender = sender.lock().unwrap_or_else(PoisonError::into_inner);
            let alive = push.kind != PushKind::Disconnection;
            match &*sender {
                Some(open) if alive && open.try_send(push).is_ok() => Ok(()),
                _ => {
                    *sender = None;
                    Err(SendError)
                }
            }
        };
        let mut connection = self.server.connect_with_pushes(push).await?;
        let channels = [&self.keys.updates, &self.keys.alerts, &self.keys.gaps];
        connection.subscribe(&channels[..]).await.map_err(self.server.error("subscribe to updates at"))?;
        self.remember(number, &mut connection).await;
        let fields: Vec<String> = newest::series(&self.keys)
            .query_async(&mut connection)
            .await
            .map_err(self.server.error("read symbols from"))?;
        let series = newest::read_series(&fields);
        let newest = self.stored(&mut connection, &series).await?;
        let newest = newest.into_iter().map(|it| ((it.candle.symbol, it.candle.interval), it)).collect();
        Ok(Link { connection, number, messages, newest })
    }

    /// Has Redis track what is read over this connection. If it can't, or its rules forbid it,
    /// nothing is kept.
    async fn remember(&self, number: u64, connection: &mut MultiplexedConnection) {
        match redis::cmd("CLIENT").arg("TRACKING").arg("ON").exec_async(connection).await {
            Ok(()) => self.tracked.remember(number, connection.clone()),
            Err(error) => {
                let server = self.server.name();
                tracing::info!(server, %error, "each candle that is asked for is read from Redis anew");
            }
        }
    }

    /// Forwards updates until the connection is lost; returns why.
    async fn follow(&mut self, link: &mut Link) -> Error {
        if std::mem::take(&mut self.missed) {
            self.send(Update::Gap);
        }
        // Messages that arrived while the newest candles were read come first: they are no older.
        while let Ok(message) = link.messages.try_recv() {
            if let Err(error) = self.take(link, message).await {
                return error;
            }
        }
        for (_, stored) in std::mem::take(&mut link.newest) {
            self.forward_news(stored);
        }
        loop {
            let taken = match tokio::time::timeout(PING_INTERVAL, link.messages.recv()).await {
                Ok(Some(message)) => self.take(link, message).await,
                Ok(None) => Err(self.server.error("follow updates from")(closed())),
                Err(_) => {
                    let answer = redis::cmd("PING").exec_async(&mut link.connection).await;
                    answer.map_err(self.server.error("ping"))
                }
            };
            if let Err(error) = taken {
                return error;
            }
        }
    }

    async fn take(&mut self, link: &mut Link, push: PushInfo) -> Result<(), Error> {
        if push.kind != PushKind::Message {
            return Ok(());
        }
        let [Value::BulkString(channel), Value::BulkString(json)] = &push.data[..] else {
            self.malformed.complain("a message that is no text");
            return Ok(());
        };
        if *channel == self.keys.gaps.as_bytes() {
            tracing::warn!("updates were given up before they came to Redis");
            self.send(Update::Gap);
            return Ok(());
        }
        if *channel == self.keys.alerts.as_bytes() {
            self.take_alert(json);
            return Ok(());
        }
        match newest::read_candle(json) {
            Ok((candle, json)) => self.take_candle(link, Stored::new(candle, json)).await,
            Err(detail) => {
                self.malformed.complain(&detail);
                Ok(())
            }
        }
    }

    async fn take_candle(&mut self, link: &mut Link, update: Stored) -> Result<(), Error> {
        let key = (update.candle.symbol, update.candle.interval);
        match self.filter.judge(&update.candle) {
            Arrival::Duplicate => return Ok(()),
            Arrival::Next | Arrival::Restart => {}
            Arrival::Gap => {
                // Known from the start if the candle was read after subscribing; read now
                // otherwise.
                let newest = match link.newest.remove(&key) {
                    Some(stored) => vec![stored],
                    None => self.stored(&mut link.connection, &[key]).await?,
                };
                for stored in newest {
                    // A candle that is not older than the update comes as a message too, in its
                    // turn.
                    if stored.candle.seq < update.candle.seq {
                        self.forward_news(stored);
                    }
                }
            }
        }
        self.forward(update);
        Ok(())
    }

    fn take_alert(&mut self, json: &[u8]) {
        let parsed = str::from_utf8(json).map_err(|error| error.to_string()).and_then(|text| {
            let alert = serde_json::from_str::<AlertMessage>(text).map_err(|error| error.to_string())?;
            Ok(Update::Alert { alert: Arc::new(alert), json: text.into() })
        });
        match parsed {
            Ok(update) => self.send(update),
            Err(detail) => self.malformed.complain(&detail),
        }
    }

    fn forward_news(&mut self, stored: Stored) {
        if self.filter.is_news(&stored.candle) {
            self.forward(stored);
        }
    }

    fn forward(&mut self, update: Stored) {
        self.filter.forward(&update.candle);
        self.send(Update::Candle { candle: update.candle, json: update.json });
    }

    fn send(&self, update: Update) {
        // An error means that nobody subscribes at the moment.
        drop(self.updates.send(update));
    }

    /// Reads the newest candles of these series, as far as Redis has them.
    async fn stored(
        &mut self,
        connection: &mut MultiplexedConnection,
        series: &[(Symbol, Interval)],
    ) -> Result<Vec<Stored>, Error> {
        if series.is_empty() {
            return Ok(Vec::new());
        }
        let read: Vec<Option<Vec<u8>>> = newest::candles(&self.keys, series)
            .query_async(connection)
            .await
            .map_err(self.server.error("read newest candles from"))?;
        let mut newest = Vec::with_capacity(read.len());
        for json in read.iter().flatten() {
            match newest::read_candle(json) {
                Ok((candle, json)) => newest.push(Stored::new(candle, json)),
                Err(detail) => self.malformed.complain(&detail),
            }
        }
        Ok(newest)
    }
}

impl Stored {
    fn new(candle: LatestCandle, json: &str) -> Stored {
        Stored { candle: Arc::new(candle), json: json.into() }
    }
}

impl Malformed {
    fn complain(&mut self, detail: &str) {
        self.since_complaint += 1;
        if self.complained.is_none_or(|complained| complained.elapsed() >= COMPLAINT_INTERVAL) {
            let count = std::mem::take(&mut self.since_complaint);
            tracing::warn!(count, detail, "malformed messages from Redis, left out");
            self.complained = Some(Instant::now());
        }
    }
}

/// Returns the error of a connection that has ended.
fn closed() -> redis::RedisError {
    let kind = std::io::ErrorKind::ConnectionAborted;
    redis::RedisError::from(std::io::Error::new(
        kind,
        "the connection has ended, or more came than could be taken",
    ))
}
