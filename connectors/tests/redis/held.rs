//! The tracked cache: a candle is read once, and is never older than an update that a subscriber
//! has.

use super::live;
use std::time::Instant;
use tallow_connectors::caches::redis::{RedisCache, RedisConfig, RedisPublisher};
use tallow_model::rows::LatestCandle;
use tallow_model::store::{Cache, Publish, Update};
use tallow_testing::redis_server::RedisServer;
use tallow_testing::wait::{LIMIT, until};
use tokio::runtime::Handle;

/// The number of reads of candles since the counters were reset.
fn reads(connection: &mut redis::Connection) -> u64 {
    let text: String = redis::cmd("INFO").arg("commandstats").query(connection).unwrap();
    let calls = text.lines().find_map(|line| line.strip_prefix("cmdstat_mget:calls=")?.split(',').next());
    calls.map_or(0, |calls| calls.parse().unwrap())
}

/// The stored JSON of a candle with this sequence number.
fn json(seq: u64) -> String {
    serde_json::to_string(&LatestCandle { seq, ..LatestCandle::from(&live("BTC", 0, 1)) }).unwrap()
}

fn set(connection: &mut redis::Connection, seq: u64) {
    redis::cmd("SET").arg("crypto:BTC:latest").arg(json(seq)).exec(connection).unwrap();
}

async fn number(cache: &RedisCache) -> Option<u64> {
    cache.latest("BTC".parse().unwrap()).await.unwrap().map(|candle| candle.seq)
}

/// Reads until the sequence number is `wanted`; `None` stands for no candle.
pub(crate) async fn until_number(cache: &RedisCache, wanted: Option<u64>) {
    let deadline = Instant::now() + LIMIT;
    loop {
        let found = number(cache).await;
        if found == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{found:?}, and not {wanted:?}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_candle_is_read_once_while_it_is_the_newest() {
    let Some(server) = RedisServer::start() else { return };
    let mut connection = server.connect();
    set(&mut connection, 1);
    let cache = RedisCache::start(&server.config(), 16).unwrap();
    server.until_subscribed(1);
    until_number(&cache, Some(1)).await;
    redis::cmd("CONFIG").arg("RESETSTAT").exec(&mut connection).unwrap();
    let start = Instant::now();
    for _ in 0..1_000 {
        assert_eq!(number(&cache).await, Some(1));
    }
    // Once more for each second, and for what was read before Redis was asked to remember it.
    let most = 2 + start.elapsed().as_secs();
    assert!(reads(&mut connection) <= most, "{} reads", reads(&mut connection));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_an_update_reads_that_candle_or_a_newer_one() {
    let Some(server) = RedisServer::start() else { return };
    let publisher = RedisPublisher::start(&server.config()).unwrap();
    let cache = RedisCache::start(&server.config(), 1 << 12).unwrap();
    server.until_subscribed(1);
    let mut updates = cache.subscribe();
    for count in 1..=2_000 {
        // The one before it, which is held from now on.
        number(&cache).await;
        publisher.publish_live(&[live("BTC", 0, count)]);
        let update = tokio::time::timeout(LIMIT, updates.recv()).await.unwrap().unwrap();
        let Update::Candle { candle, .. } = update else { panic!("{update:?}") };
        assert_eq!(candle.seq, u64::from(count));
        assert_eq!(number(&cache).await, Some(candle.seq));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_anybody_writes_or_removes_is_seen() {
    let Some(server) = RedisServer::start() else { return };
    let mut connection = server.connect();
    let cache = RedisCache::start(&server.config(), 16).unwrap();
    server.until_subscribed(1);
    assert_eq!(number(&cache).await, None);
    set(&mut connection, 1);
    until_number(&cache, Some(1)).await;
    set(&mut connection, 2);
    until_number(&cache, Some(2)).await;
    redis::cmd("DEL").arg("crypto:BTC:latest").exec(&mut connection).unwrap();
    until_number(&cache, None).await;
    set(&mut connection, 3);
    until_number(&cache, Some(3)).await;
    redis::cmd("FLUSHALL").exec(&mut connection).unwrap();
    until_number(&cache, None).await;
    set(&mut connection, 4);
    until_number(&cache, Some(4)).await;
    // Written in the moment in which the connection is cut that would have told.
    let mut cut = redis::pipe();
    cut.atomic().cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub");
    cut.cmd("SET").arg("crypto:BTC:latest").arg(json(5));
    cut.exec(&mut connection).unwrap();
    until_number(&cache, Some(5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_right_to_be_told_each_candle_is_read_anew() {
    let Some(server) = RedisServer::start() else { return };
    let mut connection = server.connect();
    let mut user = redis::cmd("ACL");
    user.arg("SETUSER").arg("reader").arg("on").arg(">word").arg("~*").arg("&*").arg("+@all");
    user.arg("-client|tracking").exec(&mut connection).unwrap();
    let url = format!("redis://reader:word@{}/", server.address()).into();
    let cache = RedisCache::start(&RedisConfig { url, ..server.config() }, 16).unwrap();
    server.until_subscribed(1);
    redis::cmd("CONFIG").arg("RESETSTAT").exec(&mut connection).unwrap();
    for seq in 1..=100 {
        set(&mut connection, seq);
        assert_eq!(number(&cache).await, Some(seq));
    }
    assert_eq!(reads(&mut connection), 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_candle_expires_when_redis_hangs() {
    let Some(server) = RedisServer::start() else { return };
    set(&mut server.connect(), 1);
    let cache = RedisCache::start(&server.config(), 16).unwrap();
    server.until_subscribed(1);
    until_number(&cache, Some(1)).await;
    server.pause();
    let start = Instant::now();
    let symbol = "BTC".parse().unwrap();
    while cache.latest(symbol).await.is_ok() {
        assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
        tokio::task::yield_now().await;
    }
    server.resume();
    until("it answers", || {
        tokio::task::block_in_place(|| Handle::current().block_on(cache.latest(symbol))).ok()
    });
}
