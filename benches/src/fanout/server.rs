//! The server of `fanout-bench`: the real one, on the embedded stores, with a publisher at an even
//! pace.

use anyhow::Result;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;
use tallow_connectors::caches::memory::MemoryCache;
use tallow_connectors::stores::sqlite::{SqliteHistory, SqliteSink};
use tallow_dataflow::Bar;
use tallow_model::clock::SystemClock;
use tallow_model::store::{Pipeline, PipelineStatus, Publish};
use tallow_model::{
    Candle, Clock, EventTime, Interval, LiveCandle, MINUTE_MS, Price, SettledCandle, Step, Symbol, decode,
};
use tallow_server::{App, ServerSettings};
use tokio::net::TcpListener;

/// Time between two updates of a symbol.
const UPDATE_INTERVAL: Duration = Duration::from_millis(250);
/// Number of updates after which a candle is closed.
const UPDATES: u64 = 8;
/// Number of updates that the hub may be behind.
const CAPACITY: usize = 65_536;

/// The status of a pipeline that reports nothing.
struct Still;

impl Pipeline for Still {
    fn status(&self) -> PipelineStatus {
        PipelineStatus { source: "bench".to_owned(), ready: true, ..PipelineStatus::default() }
    }
}

/// Serves clients on a free port, whose address it prints, until standard input ends.
///
/// # Errors
/// Returns an error if the server can't start.
pub async fn serve(symbols: usize, clients: usize, burst: bool) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("store.sqlite");
    drop(SqliteSink::open(&path, 1)?);
    let cache = Arc::new(MemoryCache::new(CAPACITY));
    let settings = ServerSettings {
        max_connections: clients + 16,
        max_connections_per_address: 0,
        max_websockets: clients,
        max_websockets_per_address: 0,
        ..ServerSettings::default()
    };
    let app = App::new(cache.clone(), Arc::new(SqliteHistory::open(&path)?), Arc::new(Still), settings);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let names: Vec<Symbol> =
        (0..symbols).map(|number| Ok(super::dialect::name(number).parse()?)).collect::<Result<_>>()?;
    // A client that subscribes to a symbol without a candle is refused, so every symbol gets one
    // first.
    publish_group(&cache, &names, candle(EventTime(begins()), 0)?, false);
    let publishing = tokio::spawn(publish(cache, names, burst));
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    let input_ends = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    tallow_server::serve(listener, app, input_ends).await?;
    publishing.abort();
    Ok(())
}

/// Publishes until the task is aborted: each symbol at its pace, the symbols one after the other or
/// all at once.
async fn publish(cache: Arc<MemoryCache>, symbols: Vec<Symbol>, burst: bool) -> Result<()> {
    let at_once = if burst { symbols.len() } else { 1 };
    let groups: Vec<&[Symbol]> = symbols.chunks(at_once).collect();
    let mut turns = tokio::time::interval(UPDATE_INTERVAL / groups.len() as u32);
    let begins = begins();
    for turn in 0.. {
        let (minute, number) = (turn / UPDATES, turn % UPDATES);
        let window_start = EventTime(begins + minute * MINUTE_MS);
        let candle = candle(window_start, number)?;
        for group in &groups {
            turns.tick().await;
            publish_group(&cache, group, candle, number + 1 == UPDATES);
        }
    }
    Ok(())
}

/// Returns the start of the first candle.
fn begins() -> u64 {
    SystemClock.now_ms() / MINUTE_MS * MINUTE_MS
}

/// Publishes the open candle of these symbols, and closes it after its last update. The closing
/// price is the clock's time too, because not every dialect has a field for the time.
fn publish_group(cache: &MemoryCache, symbols: &[Symbol], mut candle: Candle, is_last: bool) {
    let interval = Interval::OneMinute;
    let event_time = EventTime(SystemClock.now_ms());
    candle.close = Price(event_time.millis() as f64);
    let live = symbols.iter().map(|&symbol| LiveCandle { symbol, interval, candle, event_time });
    cache.publish_live(&live.collect::<Vec<_>>());
    if is_last {
        let settled_at = EventTime(candle.window_start.millis() + MINUTE_MS);
        let settled =
            symbols.iter().map(|&symbol| SettledCandle { symbol, interval, candle, revision: 0, settled_at });
        cache.publish_settled(&Step { candles: settled.collect(), ..Step::default() });
    }
}

/// Returns the candle of a minute after this number of updates.
fn candle(window_start: EventTime, updates: u64) -> Result<Candle> {
    let mut whole: Option<Bar> = None;
    for number in 0..=updates {
        let time = window_start.millis() + number;
        let text =
            format!(r#"{{"symbol":"BENCH","price_usd":{},"size":0.25,"timestamp":{time}}}"#, 100 + number);
        let tick = decode(text.as_bytes()).map_err(|error| anyhow::anyhow!("a tick of ours: {error:?}"))?;
        let bar = Bar::of(&tick, window_start, 0, number);
        match &mut whole {
            Some(whole) => whole.merge(&bar),
            None => whole = Some(bar),
        }
    }
    let whole = whole.ok_or_else(|| anyhow::anyhow!("a candle has an update"))?;
    Ok(whole.candle(window_start))
}
