//! The cache itself.

use async_trait::async_trait;
use hashbrown::HashMap;
use serde::Serialize;
use std::sync::{Arc, PoisonError, RwLock};
use tallow_model::error::Error;
use tallow_model::published::PublishedSeries;
use tallow_model::rows::{AlertMessage, LatestCandle};
use tallow_model::store::{Cache, Publish, Update};
use tallow_model::{Interval, LiveCandle, Step, Symbol};
use tokio::sync::broadcast;

/// The most updates that the channel may be asked to keep.
const MAX_CAPACITY: usize = 1 << 22;

/// The newest candle of each symbol and interval, open or closed, and the stream of updates, all in memory.
///
/// Publishing never waits for a subscriber; one that falls behind by more than the channel keeps is told so. While
/// nobody subscribes no JSON is made.
#[derive(Debug)]
pub struct MemoryCache {
    series: RwLock<HashMap<(Symbol, Interval), PublishedSeries>>,
    updates: broadcast::Sender<Update>,
}

impl MemoryCache {
    /// An empty cache, whose channel keeps the newest `capacity` updates for subscribers that are behind. Each costs
    /// a hundred bytes and, while anyone subscribes, its JSON.
    pub fn new(capacity: usize) -> MemoryCache {
        let (updates, _) = broadcast::channel(capacity.clamp(1, MAX_CAPACITY));
        MemoryCache { series: RwLock::default(), updates }
    }

    fn publish_candle(&self, candle: LatestCandle) {
        // Sent under the lock, so that the numbers on the channel are in order whoever publishes. Kept before the
        // subscribers are counted, so that one who subscribes first and asks for the newest next misses nothing.
        let mut all = self.series.write().unwrap_or_else(PoisonError::into_inner);
        let series = all.entry((candle.symbol, candle.interval)).or_default();
        if let Some(candle) = series.admit(candle)
            && self.updates.receiver_count() > 0
        {
            self.send(&*candle, |json| Update::Candle { candle: Arc::clone(&candle), json });
        }
    }

    fn send<T: Serialize>(&self, value: &T, update: impl FnOnce(Arc<str>) -> Update) {
        match serde_json::to_string(value) {
            // An error says that the last subscriber has just left.
            Ok(json) => drop(self.updates.send(update(json.into()))),
            Err(error) => tracing::error!(%error, "an update can't be written as JSON and is not sent"),
        }
    }

    fn read<T>(&self, look: impl FnOnce(&HashMap<(Symbol, Interval), PublishedSeries>) -> T) -> T {
        look(&self.series.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Publish for MemoryCache {
    fn publish_live(&self, candles: &[LiveCandle]) {
        for live in candles {
            self.publish_candle(LatestCandle::from(live));
        }
    }

    fn publish_settled(&self, step: &Step) {
        for settled in &step.candles {
            self.publish_candle(LatestCandle::from(settled));
        }
        for settled in &step.alerts {
            if self.updates.receiver_count() == 0 {
                break;
            }
            let alert = AlertMessage::from(settled);
            self.send(&alert, |json| Update::Alert { alert: Arc::new(alert.clone()), json });
        }
    }
}

#[async_trait]
impl Cache for MemoryCache {
    fn name(&self) -> &'static str {
        "embedded"
    }

    async fn ping(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn latest(&self, symbol: Symbol) -> Result<Option<Arc<LatestCandle>>, Error> {
        self.newest(symbol, Interval::OneMinute).await
    }

    async fn latest_all(&self) -> Result<Vec<Arc<LatestCandle>>, Error> {
        let mut latest: Vec<Arc<LatestCandle>> = self.read(|all| {
            let minutes = all.iter().filter(|((_, interval), _)| *interval == Interval::OneMinute);
            minutes.filter_map(|(_, series)| series.newest().cloned()).collect()
        });
        latest.sort_unstable_by_key(|candle| candle.symbol);
        Ok(latest)
    }

    async fn newest(&self, symbol: Symbol, interval: Interval) -> Result<Option<Arc<LatestCandle>>, Error> {
        Ok(self.read(|all| all.get(&(symbol, interval)).and_then(|series| series.newest().cloned())))
    }

    fn subscribe(&self) -> broadcast::Receiver<Update> {
        self.updates.subscribe()
    }
}
