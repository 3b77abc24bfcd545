//! WebSocket clients that connect and reconnect: missed candles, slow clients, and queries to the
//! stores.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use serde_json::json;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tallow_model::Interval;
use tallow_model::rows::LatestCandle;
use tallow_server::ServerSettings;
use tallow_testing::server::history::row;
use tallow_testing::server::market::candle;
use tallow_testing::server::{Server, within};

#[tokio::test]
async fn a_reconnecting_client_gets_the_closed_candles_it_missed() {
    let server = Server::start().await;
    server.cache.put(candle("BTC", 0, 1.0, false));
    let mut witness = server.greeted("/ws/prices/BTC?closed_only=true", 0).await;
    for minute in 0..4 {
        server.cache.publish(candle("BTC", minute, 1.0, true));
    }
    server.cache.publish(candle("BTC", 4, 1.0, false));
    server.cache.publish(candle("BTC", 2, 3.0, true));
    // The hub has delivered these updates.
    for seq in [1, 2, 3, 4, 6] {
        assert_eq!(witness.frame().await["data"]["seq"], seq);
    }
    for (resume_from, missed) in [(6, vec![]), (5, vec![6]), (2, vec![3, 4, 6]), (0, vec![1, 2, 3, 4, 6])] {
        let mut socket = server.greeted(&format!("/ws/prices/BTC?resume_from={resume_from}"), 0).await;
        for seq in missed {
            let frame = socket.frame().await;
            assert_eq!((&frame["type"], &frame["data"]["seq"]), (&json!("price_update"), &json!(seq)));
            assert_eq!(frame["data"]["isClosed"], true);
        }
        let frame = socket.frame().await;
        assert_eq!((&frame["type"], &frame["data"]["seq"]), (&json!("initial_data"), &json!(5)));
    }
}

#[tokio::test]
async fn a_client_resyncs_if_its_missed_candles_are_unknown() {
    let server = Server::start().await;
    server.greeted("/ws/prices/ALL", 0).await;
    // The hub gets no update of this candle.
    server.cache.put(LatestCandle { seq: 7, ..candle("BTC", 0, 1.0, true) });
    for (resume_from, gap) in [(7, false), (6, false), (5, true), (9, true)] {
        let mut socket = server.greeted(&format!("/ws/prices/BTC?resume_from={resume_from}"), 0).await;
        if gap {
            let frame = socket.frame().await;
            assert_eq!((&frame["type"], &frame["interval"]), (&json!("resync_required"), &json!("1m")));
            assert_eq!(frame["from_seq"], resume_from + 1);
        }
        let frame = socket.frame().await;
        assert_eq!((&frame["type"], &frame["data"]["seq"]), (&json!("initial_data"), &json!(7)));
    }
    // The hub gets the following updates.
    let mut witness = server.greeted("/ws/prices/BTC", 1).await;
    for seq in [8, 9] {
        server.cache.publish(candle("BTC", seq, 1.0, true));
        assert_eq!(witness.frame().await["data"]["seq"], seq);
    }
    let mut socket = server.greeted("/ws/prices/BTC?resume_from=7", 0).await;
    for seq in [8, 9] {
        assert_eq!(socket.frame().await["data"]["seq"], seq);
    }
    let mut socket = server.greeted("/ws/prices/BTC?resume_from=6", 0).await;
    assert_eq!(socket.frame().await["type"], "resync_required");
}

#[tokio::test]
async fn more_missed_candles_than_the_queue_holds_cause_a_resync() {
    let server = Server::start_with(ServerSettings { client_queue: 4, ..Default::default() }, 64).await;
    server.cache.put(candle("BTC", 0, 1.0, true));
    let mut witness = server.greeted("/ws/prices/BTC", 1).await;
    for minute in 1..=9 {
        server.cache.publish(candle("BTC", minute, 1.0, true));
        assert_eq!(witness.frame().await["data"]["seq"], minute);
    }
    let mut socket = server.greeted("/ws/prices/BTC?resume_from=5", 0).await;
    for seq in 6..=9 {
        assert_eq!(socket.frame().await["data"]["seq"], seq);
    }
    let mut socket = server.greeted("/ws/prices/BTC?resume_from=4", 0).await;
    let frame = socket.frame().await;
    assert_eq!(
        (&frame["type"], &frame["interval"], &frame["from_seq"]),
        (&json!("resync_required"), &json!("1m"), &json!(5))
    );
    assert_eq!(socket.frame().await["type"], "initial_data");
}

#[tokio::test]
async fn a_subscription_of_several_series_cannot_resume() {
    let server = Server::start().await;
    server.cache.publish(candle("BTC", 0, 1.0, true));
    let mut witness = server.greeted("/ws/prices/BTC", 1).await;
    server.cache.publish(candle("BTC", 1, 1.0, true));
    witness.frame().await;
    for (path, name) in [("ALL?resume_from=1", "ALL"), ("BTC?interval=5m,1m&resume_from=1", "BTC")] {
        let mut socket = server.greeted(&format!("/ws/prices/{path}"), 0).await;
        assert_eq!(
            socket.frame().await,
            json!({"type": "resync_required", "symbol": name, "from_seq": 0, "timestamp": "2025-11-16T05:30:00Z"})
        );
        let frame = socket.frame().await;
        assert_eq!((&frame["type"], &frame["data"]["seq"]), (&json!("initial_data"), &json!(2)));
    }
}

#[tokio::test]
async fn the_send_timeout_applies_to_each_batch_of_missed_candles() {
    const MISSED: u64 = 1000;
    let send_timeout = Duration::from_secs(1);
    let server = Server::start_with(ServerSettings { send_timeout, ..Default::default() }, 64).await;
    server.cache.put(candle("BTC", 0, 1.0, true));
    let mut witness = server.greeted("/ws/prices/BTC", 1).await;
    for minute in 1..=MISSED {
        server.cache.publish(candle("BTC", minute, 1.0, true));
        assert_eq!(witness.frame().await["data"]["seq"], minute);
    }
    let mut slow = server.greeted("/ws/prices/BTC?resume_from=0", 0).await;
    let start = tokio::time::Instant::now();
    for seq in 1..=MISSED {
        // All candles take longer than the timeout, one batch takes a fraction of it.
        tokio::time::sleep_until(start + (3 * send_timeout / MISSED as u32) * seq as u32).await;
        assert_eq!(slow.frame().await["data"]["seq"], seq);
    }
    assert_eq!(slow.frame().await["type"], "initial_data");
}

#[tokio::test]
async fn a_storm_of_clients_shares_its_queries() {
    const CLIENTS: usize = 40;
    let server = Server::start().await;
    for name in ["BTC", "ETH", "SOL"] {
        for interval in Interval::ALL {
            server.history.put(interval, row(name, 0, 99.0));
        }
    }
    let queries = || server.history.queries.load(Ordering::SeqCst);
    let path = "/ws/prices/ALL?interval=1m,5m,15m";
    let storm = (0..CLIENTS).map(|_| server.greeted(path, 9));
    let sockets = within(futures_util::future::join_all(storm)).await;
    let count = queries();
    // One query for the symbols and one for each series; symbols are read again after a second.
    assert!((10..CLIENTS).contains(&count), "{count} queries");
    // The hub keeps the candles until newer ones arrive.
    let socket = server.greeted("/ws/prices/BTC?interval=1m,5m,15m", 3).await;
    assert_eq!(queries(), count);
    drop((sockets, socket));
}

#[tokio::test]
async fn a_stored_candle_is_not_repeated_by_its_update() {
    let server = Server::start().await;
    // The hub has no update of this candle when the clients connect.
    server.cache.put(LatestCandle { seq: 7, ..candle("BTC", 0, 1.0, true) });
    let mut first = server.greeted("/ws/prices/BTC", 1).await;
    let mut second = server.greeted("/ws/prices/BTC", 1).await;
    server.cache.put(LatestCandle { seq: 6, ..candle("BTC", 0, 1.0, true) });
    assert_eq!(server.cache.publish(candle("BTC", 0, 1.0, true)), 7);
    assert_eq!(server.cache.publish(candle("BTC", 1, 1.0, true)), 8);
    for socket in [&mut first, &mut second] {
        assert_eq!(socket.frame().await["data"]["seq"], 8);
    }
}
