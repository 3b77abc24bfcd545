//! The embedded store on a full disk or a locked file waits and loses nothing.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use super::{SqliteHistory, SqliteSink};
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tallow_model::error::{Action, Error, chain};
use tallow_model::retry::BackoffSettings;
use tallow_model::store::{CandleQuery, History, Sink};
use tallow_model::{Candle, EventTime, Interval, MINUTE_MS, Price, Reject, SettledCandle, Step, Symbol};
use tallow_runtime::sinks::{SinkQueue, SinkRunner, SinkSettings};

const PATIENCE: Duration = Duration::from_secs(60);
const SYMBOLS: u64 = 40;
const MINUTES: u64 = 50;

/// A sink whose disk has a limited number of pages.
struct OnDisk {
    sink: SqliteSink,
    pages: Arc<AtomicU32>,
}

impl Sink for OnDisk {
    fn name(&self) -> &'static str {
        self.sink.name()
    }

    fn write(&mut self, steps: &[Step]) -> Result<(), Error> {
        let pages = self.pages.load(Ordering::SeqCst);
        let connection = self.sink.connection();
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
        self.sink.write(steps)
    }

    fn write_rejects(&mut self, rejects: &[Reject]) -> Result<(), Error> {
        self.sink.write_rejects(rejects)
    }

    fn stored_through(&self) -> Option<EventTime> {
        self.sink.stored_through()
    }
}

fn name(number: u64) -> Symbol {
    format!("COIN{number:02}").parse().unwrap()
}

/// Returns a candle of each symbol, one minute after those of the step before.
fn step(minute: u64) -> Step {
    let window_start = EventTime(minute * MINUTE_MS);
    let price = Price(minute as f64 + 1.0);
    let candle = Candle {
        window_start,
        open: price,
        high: price,
        low: price,
        close: price,
        count: 1,
        sized: 0,
        price_sum: 0,
        size_sum: 0,
        notional_sum: 0,
        day_volume: None,
    };
    let settled_at = EventTime(window_start.millis() + MINUTE_MS);
    let interval = Interval::OneMinute;
    let candles = (0..SYMBOLS).map(|number| SettledCandle {
        symbol: name(number),
        interval,
        candle,
        revision: 0,
        settled_at,
    });
    let frontier = Some(EventTime(settled_at.millis() + 1_000));
    Step { worker: 0, frontier, candles: candles.collect(), alerts: Vec::new() }
}

/// One step a write, so that some are stored before the trouble.
fn settings() -> SinkSettings {
    let backoff = BackoffSettings { first: Duration::from_millis(1), longest: Duration::from_millis(5) };
    SinkSettings { batch_changes: 1, backoff, ..SinkSettings::default() }
}

/// Waits until the sink reports this problem.
fn await_problem(queue: &SinkQueue, words: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !queue.status().problem.is_some_and(|problem| problem.contains(words)) {
        assert!(Instant::now() < deadline, "no {words:?} in {:?}", queue.status());
        std::thread::yield_now();
    }
}

async fn assert_everything_is_stored(path: &PathBuf) {
    let history = SqliteHistory::open(path).unwrap();
    assert_eq!(history.symbols().await.unwrap(), (0..SYMBOLS).map(name).collect::<Vec<_>>());
    for number in 0..SYMBOLS {
        let query = CandleQuery::all(name(number), Interval::OneMinute);
        let page = history.candles(&query).await.unwrap();
        let closes: Vec<f64> = page.rows.iter().map(|row| row.close_price).collect();
        assert_eq!(closes, (1..=MINUTES).map(|close| close as f64).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_full_disk_is_waited_for_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tallow.db");
    let sink = SqliteSink::open(&path, 1).unwrap();
    let made: u32 =
        Connection::open(&path).unwrap().query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    let pages = Arc::new(AtomicU32::new(made + 10));
    let sink = OnDisk { sink, pages: Arc::clone(&pages) };
    let runner = SinkRunner::start(Box::new(sink), settings()).unwrap();
    let queue = runner.queue();
    for minute in 0..MINUTES {
        queue.try_send(step(minute)).unwrap();
    }
    let problem = format!("store settled changes in {}: database or disk is full", path.display());
    await_problem(&queue, &problem);
    let stored = queue.status();
    assert!(stored.queue > 0 && stored.queue < MINUTES, "{stored:?}");
    assert!(queue.wait_stored(Duration::ZERO).unwrap_err().to_string().contains("disk is full"));

    pages.store(u32::MAX - 1, Ordering::SeqCst);
    queue.wait_stored(PATIENCE).unwrap();
    assert_eq!(queue.status().problem, None);
    assert!(queue.status().retries > 0);
    runner.close(PATIENCE).unwrap();
    assert_everything_is_stored(&path).await;
}

#[tokio::test]
async fn a_lock_of_another_program_is_waited_for_while_readers_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tallow.db");
    let runner = SinkRunner::start(Box::new(SqliteSink::open(&path, 1).unwrap()), settings()).unwrap();
    let queue = runner.queue();
    queue.try_send(step(0)).unwrap();
    queue.wait_stored(PATIENCE).unwrap();

    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for minute in 1..MINUTES {
        queue.try_send(step(minute)).unwrap();
    }
    await_problem(&queue, "database is locked");
    let history = SqliteHistory::open(&path).unwrap();
    assert_eq!(history.symbols().await.unwrap().len() as u64, SYMBOLS);

    other.execute_batch("ROLLBACK").unwrap();
    queue.wait_stored(PATIENCE).unwrap();
    assert_eq!(queue.status().stored_through, step(MINUTES - 1).frontier);
    runner.close(PATIENCE).unwrap();
    assert_everything_is_stored(&path).await;
}

#[test]
fn a_database_that_became_read_only_stops_the_sink_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tallow.db");
    let sink = SqliteSink::open(&path, 1).unwrap();
    sink.connection().pragma_update(None, "query_only", true).unwrap();
    let runner = SinkRunner::start(Box::new(sink), settings()).unwrap();
    let queue = runner.queue();
    queue.try_send(step(0)).unwrap();
    let error = queue.wait_stored(PATIENCE).unwrap_err();
    assert_eq!(error.action(), Action::Stop);
    let why = format!("store settled changes in {}: attempt to write a readonly database", path.display());
    assert_eq!(chain(&error), format!("sink sqlite: {why}"));
    assert_eq!(queue.failure(), Some(why));
}
