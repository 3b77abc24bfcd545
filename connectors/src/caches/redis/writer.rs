//! The publisher's thread: numbers candles and sends them, many commands at a time, until each has
//! been answered.

use super::errors::action;
use super::keys::{Keys, NUMBERS_TTL_SECONDS};
use super::message::{Gap, Kind, PublisherMessage};
use super::queue::{PublishBatch, PublishQueue, SettledUpdate, Work};
use super::server::{BACKOFF, PING_INTERVAL, Server};
use hashbrown::HashMap;
use redis::{Connection, Pipeline, RedisError};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tallow_model::error::{Action, Error, chain};
use tallow_model::published::PublishedSeries;
use tallow_model::retry::Backoff;
use tallow_model::rows::{AlertMessage, LatestCandle};
use tallow_model::{Interval, Symbol};

type Key = (Symbol, Interval);

/// Shortest interval between notices of dropped updates: a reader of the notice reads again what
/// may be missing. While a log is caught up with, updates may be dropped all the time.
const GAP_INTERVAL: Duration = Duration::from_secs(5);

pub(super) struct Writer {
    server: Server,
    keys: Keys,
    queue: Arc<PublishQueue>,
    connection: Option<Connection>,
    /// Published series: by this publisher and, as far as Redis has kept them, by earlier ones.
    series: HashMap<Key, WriterSeries>,
    /// Taken from the queue and not yet numbered.
    batch: Option<PublishBatch>,
    /// Numbered, and not known to have been published.
    unsent: Vec<PublisherMessage>,
    outage: Option<Outage>,
    /// Whether the server has refused the last commands.
    refused: bool,
    /// Number of updates that were dropped without a notice so far.
    dropped: u64,
    /// Time of the last notice.
    notified: Option<Instant>,
}

/// The state of one symbol and interval.
struct WriterSeries {
    published: PublishedSeries,
    /// Time at which its newest candle was published: its lifetime counts from then.
    renewed: Instant,
}

/// A period without the server.
struct Outage {
    since: Instant,
    backoff: Backoff,
}

/// Ends the queue with the thread, whichever way the thread ends.
struct Ending(Arc<PublishQueue>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Writer {
    pub(super) fn new(server: Server, keys: Keys, queue: Arc<PublishQueue>) -> Writer {
        Writer {
            server,
            keys,
            queue,
            connection: None,
            series: HashMap::new(),
            batch: None,
            unsent: Vec::new(),
            outage: None,
            refused: false,
            dropped: 0,
            notified: None,
        }
    }

    /// Publishes until the queue ends.
    pub(super) fn run(mut self) {
        let _ending = Ending(Arc::clone(&self.queue));
        loop {
            while let Err(error) = self.publish() {
                if !self.lost(&error) {
                    return;
                }
            }
            match self.queue.next_work(PING_INTERVAL) {
                Work::Publish(batch) => self.batch = Some(batch),
                Work::Idle => {}
                Work::End => return,
            }
        }
    }

    /// Sends what there is to send; without anything to send, pings the server. The next call
    /// repeats whatever fails.
    fn publish(&mut self) -> Result<(), Error> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let mut connection = self.server.connect()?;
                self.restore(&mut connection)?;
                connection
            }
        };
        if let Some(batch) = &self.batch {
            self.continue_series(&mut connection, &new_keys(&self.series, batch))?;
        }
        let batch = self.batch.take();
        self.dropped += batch.as_ref().map_or(0, |batch| batch.dropped);
        self.tell_of_gap();
        if let Some(batch) = batch {
            self.number(batch);
        }
        let sent = match self.unsent.is_empty() {
            true => redis::cmd("PING").exec(&mut connection),
            false => self.pipeline().exec(&mut connection),
        };
        match sent {
            Ok(()) => self.refused &= self.unsent.is_empty(),
            Err(failure) => self.heed(failure)?,
        }
        if !self.refused {
            self.queue.set_problem(None);
        }
        self.unsent.clear();
        self.connection = Some(connection);
        self.found();
        self.queue.acknowledge();
        Ok(())
    }

    /// Takes over from Redis the series that this publisher has not published to: the newest
    /// candle, and the number of the last update.
    fn continue_series(&mut self, connection: &mut Connection, new: &[Key]) -> Result<(), Error> {
        if new.is_empty() {
            return Ok(());
        }
        let mut reading = redis::pipe();
        reading.cmd("MGET");
        for (symbol, interval) in new {
            reading.arg(self.keys.latest(*symbol, *interval));
        }
        reading.cmd("HMGET").arg(&self.keys.numbers);
        for (symbol, interval) in new {
            reading.arg(Keys::field(*symbol, *interval));
        }
        let (candles, numbers): (Vec<Option<Vec<u8>>>, Vec<Option<u64>>) =
            reading.query(connection).map_err(self.server.error("read newest candles from"))?;
        for ((key, candle), number) in new.iter().zip(candles).zip(numbers) {
            let newest = candle.and_then(|json| match serde_json::from_slice::<LatestCandle>(&json) {
                Ok(candle) => Some(candle),
                Err(error) => {
                    let (symbol, interval) = key;
                    tracing::warn!(%symbol, %interval, %error, "newest candle in Redis is none and is replaced");
                    None
                }
            });
            let published = PublishedSeries::resume(newest, number.unwrap_or(0));
            self.series.insert(*key, WriterSeries { published, renewed: Instant::now() });
        }
        Ok(())
    }

    /// Queues a notice of dropped updates, before the updates that came after them; unless a notice
    /// was sent just now.
    fn tell_of_gap(&mut self) {
        if self.dropped > 0 && self.notified.is_none_or(|notified| notified.elapsed() >= GAP_INTERVAL) {
            let gap = Gap { dropped: std::mem::take(&mut self.dropped) };
            tracing::warn!(
                dropped = gap.dropped,
                "updates that were too many to wait for Redis have been dropped"
            );
            self.add(Kind::Gap, &gap);
            self.notified = Some(Instant::now());
        }
    }

    /// Numbers the batch: settled changes first, so that an open candle that has closed meanwhile
    /// is left out.
    fn number(&mut self, batch: PublishBatch) {
        for change in batch.settled {
            match change {
                SettledUpdate::Candle(candle) => self.number_candle(candle),
                SettledUpdate::Alert(alert) => self.add(Kind::Alert, &AlertMessage::from(&alert)),
            }
        }
        for candle in batch.open.into_values() {
            self.number_candle(candle);
        }
    }

    fn number_candle(&mut self, candle: LatestCandle) {
        let key = (candle.symbol, candle.interval);
        let fresh = || WriterSeries { published: PublishedSeries::default(), renewed: Instant::now() };
        let series = self.series.entry(key).or_insert_with(fresh);
        let Some(candle) = series.published.admit(candle) else { return };
        let is_newest = series.published.newest().is_some_and(|newest| Arc::ptr_eq(newest, &candle));
        if is_newest {
            series.renewed = Instant::now();
        }
        self.add(Kind::Candle { series: key, is_newest }, &*candle);
    }

    fn add(&mut self, kind: Kind, message: &impl serde::Serialize) {
        match serde_json::to_string(message) {
            Ok(json) => self.unsent.push(PublisherMessage { kind, json }),
            Err(error) => tracing::error!(%error, "an update can't be written as JSON and is not sent"),
        }
    }

    /// Returns the commands that are to be sent. Numbers are stored before they are used, so that
    /// none is used twice if the connection breaks in between.
    fn pipeline(&self) -> Pipeline {
        let mut pipeline = Pipeline::with_capacity(2 * self.unsent.len() + 2);
        let mut numbered: Vec<Key> = self.unsent.iter().filter_map(PublisherMessage::series).collect();
        numbered.sort_unstable();
        numbered.dedup();
        self.keep_numbers(&mut pipeline, &numbered);
        for message in &self.unsent {
            message.send(&self.keys, &mut pipeline);
        }
        pipeline
    }

    fn keep_numbers(&self, pipeline: &mut Pipeline, numbered: &[Key]) {
        let mut fields = numbered.iter().filter_map(|key| Some((key, self.series.get(key)?))).peekable();
        if fields.peek().is_none() {
            return;
        }
        pipeline.cmd("HSET").arg(&self.keys.numbers).ignore();
        for ((symbol, interval), series) in fields {
            pipeline.arg(Keys::field(*symbol, *interval)).arg(series.published.seq());
        }
        pipeline.cmd("EXPIRE").arg(&self.keys.numbers).arg(NUMBERS_TTL_SECONDS).ignore();
    }

    /// Writes the newest candle of every series and all numbers again, for a server that has lost
    /// them. A candle lives no longer than it would have.
    fn restore(&mut self, connection: &mut Connection) -> Result<(), Error> {
        let mut pipeline = redis::pipe();
        self.keep_numbers(&mut pipeline, &self.series.keys().copied().collect::<Vec<_>>());
        for ((symbol, interval), series) in &self.series {
            let Some(newest) = series.published.newest() else { continue };
            let ttl = Duration::from_secs(self.keys.ttl_seconds(*interval));
            let left = ttl.saturating_sub(series.renewed.elapsed());
            let left_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
            match serde_json::to_string(&**newest) {
                Ok(json) if left_ms > 0 => {
                    let name = self.keys.latest(*symbol, *interval);
                    pipeline.cmd("SET").arg(name).arg(json).arg("PX").arg(left_ms).ignore();
                }
                Ok(_) => {}
                Err(error) => tracing::error!(%error, "a candle can't be written as JSON and is not kept"),
            }
        }
        if pipeline.is_empty() {
            pipeline.cmd("PING").ignore();
        }
        pipeline.exec(connection).or_else(|failure| self.heed(failure))
    }

    /// Leaves out what Redis has refused: each command was executed or refused by itself, and
    /// sending all again would publish some twice. Any other failure is returned.
    fn heed(&mut self, failure: RedisError) -> Result<(), Error> {
        let refused = action(&failure) == Action::Stop;
        let error = self.server.error("publish to")(failure);
        if !refused {
            return Err(error);
        }
        let problem = chain(&error);
        if !self.refused {
            tracing::error!(problem, "Redis refuses updates, which are left out");
        }
        self.refused = true;
        self.queue.set_problem(Some(problem));
        Ok(())
    }

    /// Waits after a failure; returns false if the thread must end instead.
    fn lost(&mut self, error: &Error) -> bool {
        let problem = chain(error);
        let (server, new) = (self.server.name(), self.outage.is_none());
        match error.action() {
            Action::Retry if new => tracing::warn!(server, problem, "Redis lost, trying again"),
            Action::Stop | Action::Skip if new => {
                tracing::error!(server, problem, "Redis refuses the connection, trying again");
            }
            _ => {}
        }
        self.queue.set_problem(Some(problem));
        let outage = self
            .outage
            .get_or_insert_with(|| Outage { since: Instant::now(), backoff: Backoff::new(BACKOFF) });
        self.queue.wait_to_retry(outage.backoff.next_wait())
    }

    /// Records that everything has been sent.
    fn found(&mut self) {
        if let Some(outage) = self.outage.take() {
            let after_seconds = outage.since.elapsed().as_secs_f64();
            tracing::info!(server = self.server.name(), after_seconds, "publishing to Redis again");
        }
    }
}

/// Returns the keys of a batch that have no series yet.
fn new_keys(series: &HashMap<Key, WriterSeries>, batch: &PublishBatch) -> Vec<Key> {
    let settled = batch.settled.iter().filter_map(|change| match change {
        SettledUpdate::Candle(candle) => Some((candle.symbol, candle.interval)),
        SettledUpdate::Alert(_) => None,
    });
    let keys = settled.chain(batch.open.keys().copied());
    let mut new: Vec<Key> = keys.filter(|key| !series.contains_key(key)).collect();
    new.sort_unstable();
    new.dedup();
    new
}
