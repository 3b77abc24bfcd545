//! Numbers across restarts, gaps, and messages that nobody of ours has sent.

use super::{Collected, closed, live, queue_is_empty, window};
use futures_util::future::join_all;
use tallow_connectors::caches::redis::{RedisCache, RedisPublisher};
use tallow_model::rows::LatestCandle;
use tallow_model::store::{Cache, Publish};
use tallow_testing::redis_server::RedisServer;
use tallow_testing::wait::{LIMIT, until};

/// The value of the key.
fn latest(server: &RedisServer) -> LatestCandle {
    let json: String = redis::cmd("GET").arg("crypto:BTC:latest").query(&mut server.connect()).unwrap();
    serde_json::from_str(&json).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_publisher_replaces_nothing_newer_and_its_numbers_go_on() {
    let Some(server) = RedisServer::start() else { return };
    let cache = RedisCache::start(&server.config(), 1 << 10).unwrap();
    server.until_subscribed(1);
    let collected = Collected::of(&cache);
    let first = RedisPublisher::start(&server.config()).unwrap();
    first.publish_settled(&closed("BTC", 5, 10));
    // The last number is not that of the newest candle: this one is of an old window.
    first.publish_settled(&closed("BTC", 4, 10));
    first.close(LIMIT).unwrap();
    assert_eq!((window(&latest(&server)), latest(&server).seq), (5, 1));

    let second = RedisPublisher::start(&server.config()).unwrap();
    second.publish_live(&[live("BTC", 3, 4)]);
    queue_is_empty(&second);
    second.publish_settled(&closed("BTC", 3, 10));
    queue_is_empty(&second);
    assert_eq!((window(&latest(&server)), latest(&server).seq), (5, 1));
    second.publish_live(&[live("BTC", 6, 1)]);
    until("the newest comes", || (collected.window("BTC") == 6).then_some(()));
    assert_eq!((window(&latest(&server)), latest(&server).seq), (6, 4));
    let candles = collected.0.lock().unwrap();
    let seen: Vec<_> = candles.iter().map(|candle| (candle.seq, window(candle))).collect();
    assert_eq!(seen, [(1, 5), (2, 4), (3, 3), (4, 6)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_that_begin_anew_are_followed_from_the_first_newer_candle() {
    let Some(server) = RedisServer::start() else { return };
    let cache = RedisCache::start(&server.config(), 1 << 10).unwrap();
    server.until_subscribed(1);
    let collected = Collected::of(&cache);
    let first = RedisPublisher::start(&server.config()).unwrap();
    for number in 0..20 {
        first.publish_settled(&closed("BTC", number, 10));
    }
    first.close(LIMIT).unwrap();
    until("all come", || (collected.seq("BTC") == 20).then_some(()));
    redis::cmd("FLUSHALL").exec(&mut server.connect()).unwrap();

    let second = RedisPublisher::start(&server.config()).unwrap();
    for number in 18..22 {
        second.publish_settled(&closed("BTC", number, 10));
    }
    second.publish_settled(&closed("BTC", 17, 11));
    second.close(LIMIT).unwrap();
    until("the last comes", || (collected.seq("BTC") == 5).then_some(()));
    let candles = collected.0.lock().unwrap();
    let seen: Vec<_> = candles[19..].iter().map(|candle| (candle.seq, window(candle))).collect();
    assert_eq!(seen, [(20, 19), (3, 20), (4, 21), (5, 17)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_is_filled_from_the_key_and_malformed_messages_are_left_out() {
    let Some(server) = RedisServer::start() else { return };
    let cache = RedisCache::start(&server.config(), 1 << 10).unwrap();
    server.until_subscribed(1);
    let collected = Collected::of(&cache);
    let json = |number: u64, seq: u64| {
        let candle = LatestCandle::from(&closed("BTC", number, 10).candles[0]);
        serde_json::to_string(&LatestCandle { seq, ..candle }).unwrap()
    };
    let mut sent = redis::pipe();
    sent.publish("crypto:updates", json(1, 5));
    sent.publish("crypto:updates", "{\"symbol\":\"BTC\"}").publish("crypto:updates", &b"\xff\xfe"[..]);
    sent.publish("crypto:alerts", "nonsense");
    // Numbers 6 and 7 are missing; 7 is the newest candle.
    sent.set("crypto:BTC:latest", json(3, 7)).publish("crypto:updates", json(0, 8));
    sent.atomic().exec(&mut server.connect()).unwrap();
    until("the missing one and the next come", || (collected.seq("BTC") == 8).then_some(()));
    // 9 and 10 are missing, and a newer one than they is on its way, twice.
    let mut sent = redis::pipe();
    sent.set("crypto:BTC:latest", json(6, 12)).publish("crypto:updates", json(5, 11));
    sent.publish("crypto:updates", json(6, 12)).publish("crypto:updates", json(6, 12));
    sent.publish("crypto:updates", json(7, 13));
    sent.atomic().exec(&mut server.connect()).unwrap();
    until("the last comes", || (collected.seq("BTC") == 13).then_some(()));
    let candles = collected.0.lock().unwrap();
    let seen: Vec<_> = candles.iter().map(|candle| (candle.seq, window(candle))).collect();
    assert_eq!(seen, [(5, 1), (7, 3), (8, 0), (11, 5), (12, 6), (13, 7)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_key_is_an_error_and_is_replaced() {
    let Some(server) = RedisServer::start() else { return };
    let cache = RedisCache::start(&server.config(), 1 << 10).unwrap();
    redis::cmd("SET").arg("crypto:BTC:latest").arg("nonsense").exec(&mut server.connect()).unwrap();
    let symbol = "BTC".parse().unwrap();
    let error = cache.latest(symbol).await.unwrap_err().to_string();
    assert!(error.starts_with("crypto:BTC:latest at 127.0.0.1:"), "{error}");
    let publisher = RedisPublisher::start(&server.config()).unwrap();
    publisher.publish_live(&[live("BTC", 0, 1)]);
    publisher.close(LIMIT).unwrap();
    assert_eq!(cache.latest(symbol).await.unwrap().map(|candle| candle.seq), Some(1));
}

#[tokio::test]
async fn who_asks_at_the_same_time_shares_a_question() {
    let Some(server) = RedisServer::start() else { return };
    let publisher = RedisPublisher::start(&server.config()).unwrap();
    publisher.publish_live(&[live("BTC", 0, 1), live("ETH", 0, 2)]);
    publisher.close(LIMIT).unwrap();
    let mut connection = server.connect();
    redis::cmd("SET").arg("crypto:SOL:latest").arg("nonsense").exec(&mut connection).unwrap();
    redis::cmd("CONFIG").arg("RESETSTAT").exec(&mut connection).unwrap();

    let cache = RedisCache::start(&server.config(), 1 << 10).unwrap();
    const READERS: usize = 100;
    let names = ["BTC", "ETH", "SOL", "XRP"];
    let asked = names.iter().cycle().take(READERS).map(|name| cache.latest(name.parse().unwrap()));
    for (answer, name) in join_all(asked).await.into_iter().zip(names.iter().cycle()) {
        match (*name, answer) {
            ("BTC" | "ETH", Ok(Some(candle))) => assert_eq!(candle.symbol.to_string(), *name),
            ("SOL", Err(error)) => assert!(error.to_string().starts_with("crypto:SOL:latest at "), "{error}"),
            ("XRP", Ok(None)) => {}
            (_, answer) => panic!("{name}: {answer:?}"),
        }
    }
    let text: String = redis::cmd("INFO").arg("commandstats").query(&mut connection).unwrap();
    let calls = text.lines().find_map(|line| line.strip_prefix("cmdstat_mget:calls=")?.split(',').next());
    let calls: usize = calls.unwrap().parse().unwrap();
    // The first may be asked for by itself, before the others have come.
    assert!((1..=2).contains(&calls), "{calls}");
}
