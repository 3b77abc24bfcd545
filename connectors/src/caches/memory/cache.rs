//! The embedded cache: published series in memory, and a broadcast channel.

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

/// Upper bound for the capacity of the channel.
const MAX_CAPACITY: usize = 1 << 22;

/// The newest candle of each symbol and interval, open or closed, and the stream of updates, in
/// memory.
///
/// Publishing never waits for a subscriber; a subscriber that falls behind the channel's capacity
/// is notified. JSON is made only while somebody subscribes.
#[derive(Debug)]
pub struct MemoryCache {
    series: RwLock<HashMap<(Symbol, Interval), PublishedSeries>>,
    updates: broadcast::Sender<Update>,
}

impl MemoryCache {
    /// Creates an empty cache. Its channel keeps the newest `capacity` updates for subscribers that
    /// are behind; each costs a hundred bytes and, while anyone subscribes, its JSON.
    pub fn new(capacity: usize) -> MemoryCache {
        let (updates, _) = broadcast::channel(capacity.clamp(1, MAX_CAPACITY));
        MemoryCache { series: RwLock::default(), updates }
    }

    fn publish_candle(&self, candle: LatestCandle) {
        // Sent under the lock, so that the numbers on the channel are in order whoever publishes.
        // Stored before the subscribers are counted, so that one who subscribes and then reads the
        // newest candle misses nothing.
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
            // An error means that the last subscriber has just left.
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
