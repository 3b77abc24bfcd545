//! A cache and a pipeline in memory, and the candles and alerts of the tests.

use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tallow_model::Error;
use tallow_model::rows::{AlertMessage, LatestCandle};
use tallow_model::store::{Cache, Pipeline, PipelineStatus, Update};
use tallow_model::{AlertStatus, AlertType, EventTime, Interval, Severity, Symbol};
use tokio::sync::broadcast;

/// The start of the samples, 2025-11-16T05:30:00Z, in milliseconds.
pub const START_MS: u64 = 1_763_271_000_000;

/// The error of a store that a test has made unavailable.
pub fn down(name: &str) -> Error {
    Error::Damaged { what: name.to_owned(), detail: "taken down by the test".to_owned() }
}

/// A cache with the candles that a test publishes.
pub struct MemoryCache {
    newest: Mutex<BTreeMap<(Symbol, Interval), Arc<LatestCandle>>>,
    updates: broadcast::Sender<Update>,
    /// Whether every query fails.
    pub is_down: AtomicBool,
}

impl MemoryCache {
    /// Makes an empty cache whose subscribers may fall `capacity` updates behind.
    pub fn new(capacity: usize) -> MemoryCache {
        let (updates, _) = broadcast::channel(capacity);
        MemoryCache { newest: Mutex::default(), updates, is_down: AtomicBool::new(false) }
    }

    /// Stores the candle under the next sequence number and publishes it.
    pub fn publish(&self, candle: LatestCandle) -> u64 {
        let mut newest = self.newest.lock().unwrap();
        let key = (candle.symbol, candle.interval);
        let seq = newest.get(&key).map_or(0, |old| old.seq) + 1;
        let candle = Arc::new(LatestCandle { seq, ..candle });
        newest.insert(key, candle.clone());
        let json = serde_json::to_string(&*candle).unwrap().into();
        let _ = self.updates.send(Update::Candle { candle, json });
        seq
    }

    /// Stores the candle without publishing it.
    pub fn put(&self, candle: LatestCandle) {
        self.newest.lock().unwrap().insert((candle.symbol, candle.interval), Arc::new(candle));
    }

    /// Loses all candles, so that sequence numbers restart at one.
    pub fn flush(&self) {
        self.newest.lock().unwrap().clear();
    }

    /// Publishes an alert without storing it.
    pub fn publish_alert(&self, alert: AlertMessage) {
        let json = serde_json::to_string(&alert).unwrap().into();
        let _ = self.updates.send(Update::Alert { alert: Arc::new(alert), json });
    }

    /// Publishes a gap: updates may be missing here.
    pub fn publish_gap(&self) {
        let _ = self.updates.send(Update::Gap);
    }

    fn check(&self) -> Result<(), Error> {
        if self.is_down.load(Ordering::SeqCst) { Err(down("cache")) } else { Ok(()) }
    }
}

#[async_trait]
impl Cache for MemoryCache {
    fn name(&self) -> &'static str {
        "quick"
    }

    async fn ping(&self) -> Result<(), Error> {
        self.check()
    }

    async fn latest(&self, symbol: Symbol) -> Result<Option<Arc<LatestCandle>>, Error> {
        self.newest(symbol, Interval::OneMinute).await
    }

    async fn latest_all(&self) -> Result<Vec<Arc<LatestCandle>>, Error> {
        self.check()?;
        let newest = self.newest.lock().unwrap();
        let minutes = newest.iter().filter(|((_, interval), _)| *interval == Interval::OneMinute);
        Ok(minutes.map(|(_, candle)| candle.clone()).collect())
    }

    async fn newest(&self, symbol: Symbol, interval: Interval) -> Result<Option<Arc<LatestCandle>>, Error> {
        self.check()?;
        Ok(self.newest.lock().unwrap().get(&(symbol, interval)).cloned())
    }

    fn subscribe(&self) -> broadcast::Receiver<Update> {
        self.updates.subscribe()
    }
}

/// A pipeline with the status that a test sets.
pub struct StillPipeline(Mutex<PipelineStatus>);

impl StillPipeline {
    /// Makes a pipeline with this status.
    pub fn new(status: PipelineStatus) -> StillPipeline {
        StillPipeline(Mutex::new(status))
    }

    /// Changes the status of the pipeline.
    pub fn change(&self, change: impl FnOnce(&mut PipelineStatus)) {
        change(&mut self.0.lock().unwrap());
    }
}

impl Pipeline for StillPipeline {
    fn status(&self) -> PipelineStatus {
        self.0.lock().unwrap().clone()
    }
}

/// Parses a symbol that must be valid.
pub fn symbol(name: &str) -> Symbol {
    name.parse().unwrap()
}

/// The one-minute candle of this minute after the start.
pub fn candle(name: &str, minute: u64, close: f64, is_closed: bool) -> LatestCandle {
    let window_start = START_MS / 1000 + minute * 60;
    LatestCandle {
        symbol: symbol(name),
        interval: Interval::OneMinute,
        window_start,
        window_end: window_start + 60,
        open: 100.0,
        high: close.max(100.0),
        low: close.min(100.0),
        close,
        volume_sum: 2.5,
        quote_volume: Some(250.0),
        event_count: 3,
        is_closed,
        revision: 0,
        seq: 0,
        event_time: EventTime(window_start * 1000 + if is_closed { 60_000 } else { 30_250 }),
    }
}

/// The alert of the given minute after the start.
pub fn alert(name: &str, minute: u64) -> AlertMessage {
    let window_start = EventTime(START_MS + minute * 60_000);
    let window_end = EventTime(window_start.millis() + 60_000);
    AlertMessage {
        alert_id: format!("{name}:1m:{}:zscore", window_start.millis()),
        symbol: symbol(name),
        alert_type: AlertType::PriceSpike,
        severity: Severity::Medium,
        price_change_percent: 1.31,
        open_price: 100.0,
        close_price: 101.3,
        z_score: 6.4,
        mean: 0.00001,
        stddev: 0.002,
        samples: 60,
        threshold: 4.0,
        window_start,
        window_end,
        timestamp: window_end,
        revision: 0,
        status: AlertStatus::Raised,
        settled_at: window_end,
    }
}
