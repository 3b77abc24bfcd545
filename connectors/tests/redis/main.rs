//! The publisher and the cache over a Redis server of the test's own.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![allow(clippy::print_stderr, reason = "what is skipped is said")]

mod held;
mod order;
mod outages;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tallow_connectors::caches::redis::{RedisCache, RedisConfig, RedisPublisher};
use tallow_model::error::{Action, chain};
use tallow_model::rows::{AlertMessage, LatestCandle};
use tallow_model::store::{Cache, Publish, Update};
use tallow_model::{AlertStatus, EventTime, Interval, LiveCandle, Step};
use tallow_testing::redis_server::RedisServer;
use tallow_testing::samples::{MIDNIGHT, MINUTE, alert, candle, settled_alert, step};
use tallow_testing::wait::{LIMIT, until};

/// The open candle of the window of this number.
fn live(name: &str, window: u64, count: u32) -> LiveCandle {
    let settled = candle(name, Interval::OneMinute, MIDNIGHT + window * MINUTE, count, 100.0);
    let event_time = EventTime(settled.candle.window_start.millis() + 1_500);
    LiveCandle { symbol: settled.symbol, interval: settled.interval, candle: settled.candle, event_time }
}

/// A step with the closed candle of the window of this number.
fn closed(name: &str, window: u64, count: u32) -> Step {
    step(vec![candle(name, Interval::OneMinute, MIDNIGHT + window * MINUTE, count, 100.0)], vec![])
}

fn queue_is_empty(publisher: &RedisPublisher) {
    until("everything is published", || (publisher.status().queue == 0).then_some(()));
}

/// The one-minute candles that a subscriber of the cache has got, and of how many gaps it was told.
#[derive(Clone, Default)]
struct Collected(Arc<Mutex<Vec<LatestCandle>>>, Arc<AtomicUsize>);

impl Collected {
    fn of(cache: &RedisCache) -> Collected {
        let collected = Collected::default();
        let mut updates = cache.subscribe();
        tokio::spawn({
            let collected = collected.clone();
            async move {
                while let Ok(update) = updates.recv().await {
                    match update {
                        Update::Candle { candle, json } => {
                            assert_eq!(serde_json::from_str::<LatestCandle>(&json).unwrap(), *candle);
                            collected.0.lock().unwrap().push((*candle).clone());
                        }
                        Update::Alert { .. } => {}
                        Update::Gap => drop(collected.1.fetch_add(1, Ordering::SeqCst)),
                    }
                }
            }
        });
        collected
    }

    fn gaps(&self) -> usize {
        self.1.load(Ordering::SeqCst)
    }

    fn last(&self, name: &str, wanted: impl Fn(&LatestCandle) -> bool) -> Option<LatestCandle> {
        let candles = self.0.lock().unwrap();
        candles.iter().rev().find(|it| &*it.symbol.text() == name && wanted(it)).cloned()
    }

    /// The last number; 0 where there is none.
    fn seq(&self, name: &str) -> u64 {
        self.last(name, |_| true).map_or(0, |candle| candle.seq)
    }

    /// The number of the last candle's window; 0 where there is none.
    fn window(&self, name: &str) -> u64 {
        self.last(name, |_| true).map_or(0, |candle| window(&candle))
    }

    fn newest_closed(&self, name: &str) -> Option<u64> {
        self.last(name, |candle| candle.is_closed).map(|candle| window(&candle))
    }

    /// The number of updates whose sequence number did not grow.
    fn regressions(&self) -> usize {
        let mut last = HashMap::new();
        let candles = self.0.lock().unwrap();
        candles.iter().filter(|it| last.insert(it.symbol, it.seq).is_some_and(|seq| seq >= it.seq)).count()
    }
}

fn window(candle: &LatestCandle) -> u64 {
    (candle.window_start * 1_000 - MIDNIGHT) / MINUTE
}

#[test]
fn keys_and_messages_are_the_contracts_byte_for_byte() {
    let Some(server) = RedisServer::start() else { return };
    let mut redis = server.connect();
    let (sender, messages) = std::sync::mpsc::channel();
    redis.set_push_sender(sender);
    redis.subscribe_resp3(&["crypto:updates", "crypto:alerts"]).unwrap();
    let publisher = RedisPublisher::start(&server.config()).unwrap();
    let raised = settled_alert(alert("BTC", MIDNIGHT, 6.4), AlertStatus::Raised, 0);
    let candles = Interval::ALL.map(|interval| candle("BTC", interval, MIDNIGHT, 12, 100.0));
    publisher.publish_settled(&step(candles.to_vec(), vec![raised]));
    publisher.close(LIMIT).unwrap();

    let minute =
        r#"{"symbol":"BTC","interval":"1m","windowStart":1763251200,"windowEnd":1763251260,"open":100.0,"#
            .to_owned()
            + r#""high":102.0,"low":99.0,"close":101.0,"volumeSum":12.0,"quoteVolume":1200.0,"eventCount":12,"#
            + r#""isClosed":true,"revision":0,"seq":1,"eventTime":1763251260000}"#;
    let names = ["crypto:BTC:latest", "crypto:BTC:5m:latest", "crypto:BTC:15m:latest"];
    let mut expected = Vec::new();
    for ((name, settled), ttl_seconds) in names.into_iter().zip(&candles).zip([300, 600, 1_800]) {
        let pipeline = &mut redis::pipe();
        let (json, ttl): (String, i64) = pipeline.get(name).ttl(name).query(&mut redis).unwrap();
        assert!((ttl_seconds - 5..=ttl_seconds).contains(&ttl), "{ttl} seconds of {name}");
        let candle: LatestCandle = serde_json::from_str(&json).unwrap();
        assert_eq!(candle, LatestCandle { seq: 1, ..LatestCandle::from(settled) });
        expected.push(("crypto:updates".to_owned(), json));
    }
    assert_eq!(expected[0].1, minute);
    let alert = serde_json::to_string(&AlertMessage::from(&raised)).unwrap();
    expected.push(("crypto:alerts".to_owned(), alert));
    let messages = messages.try_iter().filter(|push| push.kind == redis::PushKind::Message);
    let messages: Vec<(String, String)> =
        messages.map(|push| redis::from_redis_value(redis::Value::Array(push.data)).unwrap()).collect();
    assert_eq!(messages, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_expired_is_left_out_of_all() {
    let Some(server) = RedisServer::start() else { return };
    let config = |ttl_seconds| RedisConfig { ttl_seconds, ..server.config() };
    let [brief, long] = [1, 300].map(|ttl_seconds| RedisPublisher::start(&config(ttl_seconds)).unwrap());
    let cache = RedisCache::start(&server.config(), 16).unwrap();
    long.publish_settled(&closed("BTC", 0, 1));
    brief.publish_settled(&closed("ADA", 0, 1));
    queue_is_empty(&long);
    queue_is_empty(&brief);
    let deadline = Instant::now() + LIMIT;
    loop {
        let all = cache.latest_all().await.unwrap();
        let names: Vec<String> = all.iter().map(|candle| candle.symbol.to_string()).collect();
        if names == ["BTC"] {
            break;
        }
        assert_eq!(names, ["ADA", "BTC"]);
        assert!(Instant::now() < deadline);
    }
    assert_eq!(cache.latest("ADA".parse().unwrap()).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_in_no_text() {
    let Some(server) = RedisServer::start_with("hunter2") else { return };
    let wrong = server.config_with("hunter3");
    let publisher = RedisPublisher::start(&wrong).unwrap();
    let problem = until("the publisher is refused", || publisher.status().problem);
    let cache = RedisCache::start(&wrong, 16).unwrap();
    let error = cache.ping().await.unwrap_err();
    assert_eq!(error.action(), Action::Stop, "{}", chain(&error));
    let malformed = RedisConfig { url: "redis//:hunter2@localhost".to_owned().into(), ..wrong };
    let unusable = RedisPublisher::start(&malformed).unwrap_err();
    assert_eq!(unusable.action(), Action::Stop);
    assert!(RedisCache::start(&malformed, 16).is_err());
    let texts = [problem, chain(&error), format!("{error:?}"), chain(&unusable), format!("{unusable:?}")];
    for text in texts.into_iter().chain([format!("{cache:?} {publisher:?} {malformed:?}")]) {
        assert!(!text.contains("hunter"), "{text}");
    }

    let right = RedisCache::start(&server.config(), 16).unwrap();
    right.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_arrives_before_the_next_one_is_published() {
    let Some(server) = RedisServer::start() else { return };
    let publisher = RedisPublisher::start(&server.config()).unwrap();
    let cache = RedisCache::start(&server.config(), 16).unwrap();
    server.until_subscribed(1);
    let mut updates = cache.subscribe();
    for count in 1..=1_000 {
        publisher.publish_live(&[live("BTC", 0, count)]);
        let update = tokio::time::timeout(LIMIT, updates.recv()).await.unwrap().unwrap();
        assert!(matches!(update, Update::Candle { candle, .. } if candle.seq == u64::from(count)));
    }
}
