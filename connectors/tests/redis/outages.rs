//! Redis that dies, comes back empty, or hangs.

use super::held::until_number;
use super::{Collected, closed, live, queue_is_empty};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tallow_connectors::caches::redis::{RedisCache, RedisPublisher};
use tallow_model::error::{Action, chain};
use tallow_model::store::{Cache, Publish};
use tallow_testing::redis_server::RedisServer;
use tallow_testing::wait::{LIMIT, until};

/// Stops a thread, also when the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_comes_back_empty_is_told_everything_again_and_no_number_goes_down() {
    let Some(mut server) = RedisServer::start() else { return };
    let publisher = RedisPublisher::start(&server.config()).unwrap();
    let cache = RedisCache::start(&server.config(), 1 << 16).unwrap();
    server.until_subscribed(1);
    let collected = Collected::of(&cache);
    publisher.publish_settled(&closed("ETH", 0, 3));
    let (stopped, window) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        // A tick every other millisecond, ten to a window.
        scope.spawn(|| {
            while !stopped.load(Ordering::Relaxed) {
                let number = window.fetch_add(1, Ordering::Relaxed);
                for count in 1..=10 {
                    publisher.publish_live(&[live("BTC", number, count)]);
                    std::thread::park_timeout(Duration::from_millis(2));
                }
                publisher.publish_settled(&closed("BTC", number, 10));
            }
        });
        let _stop = Stop(&stopped);
        for _ in 0..3 {
            let before = collected.seq("BTC");
            until("updates flow", || (collected.seq("BTC") > before + 20).then_some(()));
            server.kill();
            let lost_at = window.load(Ordering::Relaxed);
            until("the publisher notices", || publisher.status().problem.map(drop));
            server.start_again();
            // Also what has not been published to since.
            let mut redis = server.connect();
            for symbol in ["BTC", "ETH"] {
                let key = format!("crypto:{symbol}:latest");
                let ttl = until("the key is back", || {
                    Some(redis::cmd("TTL").arg(&key).query::<i64>(&mut redis).unwrap()).filter(|ttl| *ttl > 0)
                });
                assert!((200..=300).contains(&ttl), "{ttl} seconds");
            }
            until("the newest comes", || (collected.window("BTC") > lost_at).then_some(()));
            until("the publisher recovers", || publisher.status().problem.is_none().then_some(()));
        }
    });
    let last = window.load(Ordering::Relaxed) - 1;
    until("the last candle comes", || (collected.newest_closed("BTC") == Some(last)).then_some(()));
    publisher.close(LIMIT).unwrap();
    // Each number once, and in order, as long as the publisher lives.
    assert_eq!(collected.regressions(), 0);
    let latest = cache.latest("BTC".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(latest.seq, collected.seq("BTC"));
    assert!(publisher.status().retries > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_back_after_a_restart_in_a_market_that_stands_still() {
    let Some(mut server) = RedisServer::start() else { return };
    let publisher = RedisPublisher::start(&server.config()).unwrap();
    publisher.publish_settled(&closed("BTC", 7, 3));
    queue_is_empty(&publisher);
    let read = |server: &RedisServer| {
        let pipeline = &mut redis::pipe();
        pipeline.get("crypto:BTC:latest").cmd("HGET").arg("crypto:seq").arg("BTC:1m");
        pipeline.query::<(Option<String>, Option<u64>)>(&mut server.connect()).unwrap()
    };
    let before = read(&server);
    assert!(before.0.is_some() && before.1 == Some(1), "{before:?}");
    server.kill();
    server.start_again();
    until("the key is back", || (read(&server) == before).then_some(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_waits_for_a_redis_that_hangs_and_what_waits_is_bounded() {
    let Some(server) = RedisServer::start() else { return };
    let publisher = RedisPublisher::start(&server.config()).unwrap();
    let cache = RedisCache::start(&server.config(), 1 << 16).unwrap();
    server.until_subscribed(1);
    let collected = Collected::of(&cache);
    publisher.publish_live(&[live("BTC", 0, 1)]);
    until("it works", || (collected.seq("BTC") == 1).then_some(()));

    let (sender, given_up) = std::sync::mpsc::channel();
    let mut listener = server.connect();
    listener.set_push_sender(sender);
    listener.subscribe_resp3(&["crypto:gaps"]).unwrap();
    server.pause();
    // Some of it is on its way when the connection is given up, and is sent again.
    const WINDOWS: u64 = 60_000;
    for number in 0..WINDOWS {
        // Publishing never waits for Redis, which answers nothing before all of this is published.
        publisher.publish_live(&[live("BTC", number, 1), live("ETH", number, 1)]);
        publisher.publish_settled(&closed("BTC", number, 2));
    }
    assert!(publisher.status().queue < WINDOWS * 2 / 3, "{:?}", publisher.status());
    until("the publisher notices", || publisher.status().problem.map(drop));
    // The error comes while Redis still hangs.
    let refused = cache.latest("BTC".parse().unwrap()).await.unwrap_err();
    assert_eq!(refused.action(), Action::Retry, "{}", chain(&refused));

    server.resume();
    until("the last comes", || (collected.newest_closed("BTC") == Some(WINDOWS - 1)).then_some(()));
    until("the open one too", || (collected.window("ETH") == WINDOWS - 1).then_some(()));
    queue_is_empty(&publisher);
    assert_eq!(collected.regressions(), 0);
    // Numbers do not show what never had one.
    let dropped = until("what was dropped is told", || {
        redis::cmd("PING").exec(&mut listener).unwrap();
        let message = given_up.try_iter().find(|push| push.kind == redis::PushKind::Message)?;
        let json: String = redis::from_redis_value(message.data.into_iter().nth(1)?).unwrap();
        let gap: serde_json::Value = serde_json::from_str(&json).unwrap();
        gap["dropped"].as_u64()
    });
    assert!((WINDOWS / 3..WINDOWS).contains(&dropped), "{dropped}");
    assert!(publisher.status().problem.is_none());
    let latest = cache.latest("BTC".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(latest.seq, collected.seq("BTC"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_start_without_redis_and_work_once_it_is_there() {
    let Some(mut server) = RedisServer::start() else { return };
    server.kill();
    let publisher = RedisPublisher::start(&server.config()).unwrap();
    let cache = RedisCache::start(&server.config(), 1 << 10).unwrap();
    let collected = Collected::of(&cache);
    for count in 1..=50 {
        publisher.publish_live(&[live("BTC", 0, count)]);
    }
    publisher.publish_settled(&closed("ETH", 0, 2));
    let problem = until("the publisher says so", || publisher.status().problem);
    assert!(problem.contains(&server.address()), "{problem}");
    let error = cache.ping().await.unwrap_err();
    assert_eq!(error.action(), Action::Retry);
    assert!(chain(&error).contains(&server.address()), "{}", chain(&error));
    assert_eq!(publisher.status().queue, 2);
    let refused = publisher.close(Duration::from_millis(10)).unwrap_err();
    assert!(refused.to_string().starts_with("sink redis: 2 updates not published"), "{refused}");

    let publisher = RedisPublisher::start(&server.config()).unwrap();
    publisher.publish_live(&[live("BTC", 0, 50)]);
    publisher.publish_settled(&closed("ETH", 0, 2));
    server.start_again();
    until("both come", || (collected.seq("BTC") == 1 && collected.seq("ETH") == 1).then_some(()));
    cache.ping().await.unwrap();
    publisher.close(LIMIT).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_whose_connection_was_cut_gets_the_newest_state() {
    let Some(server) = RedisServer::start() else { return };
    let publisher = RedisPublisher::start(&server.config()).unwrap();
    let cache = RedisCache::start(&server.config(), 1 << 10).unwrap();
    server.until_subscribed(1);
    let collected = Collected::of(&cache);
    publisher.publish_live(&[live("BTC", 0, 1)]);
    until("it works", || (collected.seq("BTC") == 1).then_some(()));
    assert_eq!(collected.gaps(), 0);
    // Published while nobody subscribes: the cut and what is published come in one go.
    let json = until("the key", || {
        redis::cmd("GET").arg("crypto:BTC:latest").query::<Option<String>>(&mut server.connect()).unwrap()
    });
    let newer = json.replace("\"seq\":1", "\"seq\":9").replace("\"eventCount\":1,", "\"eventCount\":9,");
    let mut cut = redis::pipe();
    cut.atomic().cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub");
    cut.cmd("SET").arg("crypto:BTC:latest").arg(&newer);
    cut.exec(&mut server.connect()).unwrap();
    until("the newest comes", || (collected.seq("BTC") == 9).then_some(()));
    // An alert would have left no number behind.
    assert_eq!(collected.gaps(), 1);
    // And updates go on.
    publisher.publish_live(&[live("BTC", 1, 1)]);
    until("the next comes", || (collected.window("BTC") == 1).then_some(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_full_still_carries_updates_and_is_reported() {
    let Some(server) = RedisServer::start() else { return };
    let publisher = RedisPublisher::start(&server.config()).unwrap();
    let cache = RedisCache::start(&server.config(), 1 << 10).unwrap();
    server.until_subscribed(1);
    let collected = Collected::of(&cache);
    let limit_bytes = |bytes: u64| {
        let mut setting = redis::cmd("CONFIG");
        setting.arg("SET").arg("maxmemory").arg(bytes).exec(&mut server.connect()).unwrap();
    };
    publisher.publish_live(&[live("BTC", 0, 1)]);
    queue_is_empty(&publisher);
    limit_bytes(1);
    for count in 2..=20 {
        publisher.publish_live(&[live("BTC", 0, count)]);
        until("the update comes", || (collected.seq("BTC") == u64::from(count)).then_some(()));
    }
    let problem = until("the publisher says so", || publisher.status().problem);
    assert!(problem.contains("maxmemory"), "{problem}");
    let symbol = "BTC".parse().unwrap();
    assert_eq!(cache.latest(symbol).await.unwrap().unwrap().seq, 1);
    limit_bytes(0);
    publisher.publish_live(&[live("BTC", 0, 21)]);
    until("the publisher recovers", || publisher.status().problem.is_none().then_some(()));
    // Redis says so to the cache a moment after it has said so to the publisher.
    until_number(&cache, Some(21)).await;
    assert_eq!(publisher.status().retries, 0);
}
