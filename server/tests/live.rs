//! `/ws/prices/{symbol}`: frames, slow clients, gaps, and the end of connections.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use hyper::StatusCode;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tallow_model::Interval;
use tallow_model::rows::LatestCandle;
use tallow_server::ServerSettings;
use tallow_testing::server::history::row;
use tallow_testing::server::market::{alert, candle};
use tallow_testing::server::socket::Socket;
use tallow_testing::server::{Server, within};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

#[tokio::test]
async fn a_client_is_greeted_with_the_candle_and_then_sent_updates() {
    let server = Server::start().await;
    server.cache.publish(candle("BTC", 0, 101.0, false));
    let mut socket = server.connect("/ws/prices/btc").await;
    assert_eq!(
        socket.frame().await,
        json!({"type": "connection", "message": "connected to BTC", "symbol": "BTC",
            "timestamp": "2025-11-16T05:30:00Z", "mode": "live", "source": "simulated"})
    );
    let data = json!({"symbol": "BTC", "interval": "1m", "windowStart": 1_763_271_000u64,
        "windowEnd": 1_763_271_060u64, "open": 100.0, "high": 101.0, "low": 100.0, "close": 101.0, "volumeSum": 2.5, "quoteVolume": 250.0,
        "eventCount": 3, "isClosed": false, "revision": 0, "seq": 1, "eventTime": 1_763_271_030_250u64});
    assert_eq!(
        socket.frame().await,
        json!({"type": "initial_data", "symbol": "BTC", "data": data, "timestamp": "2025-11-16T05:30:00Z",
            "source": "simulated"})
    );
    server.cache.publish(candle("ETH", 0, 5.0, false));
    server.cache.publish(candle("BTC", 0, 102.0, true));
    let update = socket.frame().await;
    assert_eq!((&update["type"], &update["symbol"]), (&json!("price_update"), &json!("BTC")));
    assert_eq!((&update["data"]["seq"], &update["data"]["isClosed"]), (&json!(2), &json!(true)));
    assert_eq!(
        (&update["timestamp"], &update["source"]),
        (&json!("2025-11-16T05:30:00Z"), &json!("simulated"))
    );
    server.cache.publish_alert(alert("ETH", 0));
    server.cache.publish_alert(alert("BTC", 0));
    let frame = socket.frame().await;
    assert_eq!((&frame["type"], &frame["symbol"]), (&json!("alert"), &json!("BTC")));
    assert_eq!(frame["data"], serde_json::to_value(alert("BTC", 0)).unwrap());
}

#[tokio::test]
async fn one_connection_has_all_symbols_and_several_intervals() {
    let server = Server::start().await;
    let five = |candle: LatestCandle| LatestCandle { interval: Interval::FiveMinutes, ..candle };
    server.cache.put(candle("BTC", 0, 1.0, false));
    server.cache.publish(candle("ETH", 0, 2.0, false));
    server.cache.put(five(candle("ETH", 0, 2.0, false)));
    let mut socket = server.connect("/ws/prices/all?interval=5m,1m").await;
    assert_eq!(socket.frame().await["symbol"], "ALL");
    let mut initial = Vec::new();
    for _ in 0..3 {
        let frame = socket.frame().await;
        assert_eq!(frame["type"], "initial_data");
        initial.push((frame["symbol"].clone(), frame["data"]["interval"].clone()));
    }
    assert_eq!(json!(initial), json!([["BTC", "1m"], ["ETH", "1m"], ["ETH", "5m"]]));
    server.cache.publish(LatestCandle { interval: Interval::FifteenMinutes, ..candle("BTC", 0, 1.0, false) });
    server.cache.publish(five(candle("BTC", 0, 1.0, true)));
    let frame = socket.frame().await;
    assert_eq!((&frame["symbol"], &frame["data"]["interval"]), (&json!("BTC"), &json!("5m")));
}

#[tokio::test]
async fn closed_only_leaves_out_open_candles() {
    let server = Server::start().await;
    server.history.put(Interval::OneMinute, row("BTC", 0, 99.0));
    server.cache.publish(candle("BTC", 1, 101.0, false));
    let mut socket = server.connect("/ws/prices/BTC?closed_only=true").await;
    assert_eq!(socket.frame().await["type"], "connection");
    let initial = socket.frame().await;
    assert_eq!((&initial["data"]["close"], &initial["data"]["isClosed"]), (&json!(99.0), &json!(true)));
    server.cache.publish(candle("BTC", 1, 102.0, false));
    server.cache.publish(candle("BTC", 1, 103.0, true));
    assert_eq!(socket.frame().await["data"]["close"], 103.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_update_is_lost_or_repeated_after_the_greeting() {
    let server = Server::start().await;
    server.cache.publish(candle("BTC", 0, 1.0, true));
    for round in 0..50 {
        let publish = async {
            for minute in 1..=40 {
                server.cache.publish(candle("BTC", round * 40 + minute, 1.0, true));
                tokio::task::yield_now().await;
            }
        };
        let (mut socket, ()) = tokio::join!(server.greeted("/ws/prices/BTC", 0), publish);
        let initial = socket.frame().await;
        assert_eq!(initial["type"], "initial_data");
        let mut seq = initial["data"]["seq"].as_u64().unwrap();
        let last = (round + 1) * 40 + 1;
        while seq < last {
            let frame = socket.frame().await;
            assert_eq!(frame["data"]["seq"].as_u64().unwrap(), seq + 1, "{frame}");
            seq += 1;
        }
    }
}

#[tokio::test]
async fn an_unknown_symbol_is_closed_with_1008_after_the_handshake() {
    let server = Server::start().await;
    let mut socket = server.connect("/ws/prices/XYZ").await;
    assert_eq!(socket.close_code().await, CloseCode::Policy);
}

#[tokio::test]
async fn a_symbol_is_not_unknown_while_the_stores_are_down() {
    let server = Server::start().await;
    server.cache.is_down.store(true, Ordering::SeqCst);
    server.history.is_down.store(true, Ordering::SeqCst);
    let mut socket = server.connect("/ws/prices/BTC").await;
    assert_eq!(socket.close_code().await, CloseCode::Again);
}

#[tokio::test]
async fn a_plain_request_gets_426() {
    let server = Server::start().await;
    let reply = server.get("/ws/prices/BTC").await;
    assert_eq!((reply.status, &*reply.problem()), (StatusCode::UPGRADE_REQUIRED, "upgrade_required"));
    assert_eq!(reply.header("upgrade"), "websocket");
}

#[tokio::test]
async fn pings_are_answered() {
    let server = Server::start().await;
    let mut socket = server.greeted("/ws/prices/ALL", 0).await;
    socket.say(r#"{"type":"ping"}"#).await;
    assert_eq!(socket.frame().await, json!({"type": "pong", "timestamp": "2025-11-16T05:30:00Z"}));
    socket.send(Message::Ping("abc".into())).await;
    assert_eq!(socket.message().await, Message::Pong("abc".into()));
}

#[tokio::test]
async fn an_invalid_message_gets_an_error() {
    let server = Server::start().await;
    for texts in [["", "ping", "{"], ["[]", r#"{"type":7}"#, r#"{"type":"subscribe"}"#]] {
        let mut socket = server.greeted("/ws/prices/ALL", 0).await;
        for text in texts {
            socket.say(text).await;
            assert_eq!(socket.frame().await["type"], "error", "{text}");
        }
    }
}

#[tokio::test]
async fn too_many_messages_close_the_connection_with_1008() {
    let server = Server::start().await;
    for message in [Message::text(r#"{"type":"ping"}"#), Message::Ping("abc".into())] {
        let mut socket = server.greeted("/ws/prices/ALL", 0).await;
        // Enough for more than five a second on a slow machine.
        for _ in 0..200 {
            socket.send(message.clone()).await;
        }
        assert_eq!(socket.close_code().await, CloseCode::Policy);
    }
}

#[tokio::test]
async fn invalid_frames_close_the_connection_with_their_code() {
    let server = Server::start().await;
    let cases = [
        (Message::Binary(vec![1, 2, 3].into()), CloseCode::Unsupported),
        (Message::text("x".repeat(5000)), CloseCode::Size),
    ];
    for (message, code) in cases {
        let mut socket = server.greeted("/ws/prices/ALL", 0).await;
        socket.send(message).await;
        assert_eq!(socket.close_code().await, code);
    }
}

#[tokio::test]
async fn a_quiet_connection_gets_keepalives() {
    let settings = ServerSettings { keepalive: Duration::from_millis(20), ..Default::default() };
    let server = Server::start_with(settings, 64).await;
    let mut socket = server.greeted("/ws/prices/ALL", 0).await;
    assert_eq!(
        socket.frame().await,
        json!({"type": "keepalive", "timestamp": "2025-11-16T05:30:00Z", "connections": 1})
    );
}

/// Reads frames up to the candle with this close.
async fn read_until(socket: &mut Socket, close: f64) -> Vec<Value> {
    let mut frames = Vec::new();
    loop {
        let frame = socket.frame().await;
        let last = frame["data"]["close"] == close;
        frames.push(frame);
        if last {
            return frames;
        }
    }
}

#[tokio::test]
async fn a_slow_client_misses_open_candles_only() {
    let server = Server::start_with(ServerSettings::default(), 64).await;
    let mut socket = server.greeted("/ws/prices/ALL", 0).await;
    let mut published = 0;
    for minute in 0..200 {
        for step in 0..50 {
            server.cache.publish(candle("BTC", minute, f64::from(step), false));
            published += 1;
            tokio::task::yield_now().await;
        }
        server.cache.publish(candle("BTC", minute, 7.0, true));
        server.cache.publish_alert(alert("BTC", minute));
        tokio::task::yield_now().await;
    }
    server.cache.publish(candle("BTC", 200, 9.5, false));
    let frames = read_until(&mut socket, 9.5).await;
    let closed: Vec<u64> = frames
        .iter()
        .filter(|frame| frame["data"]["isClosed"] == true)
        .map(|frame| frame["data"]["windowStart"].as_u64().unwrap())
        .collect();
    let expected: Vec<u64> = (0..200).map(|minute| candle("BTC", minute, 1.0, true).window_start).collect();
    assert_eq!(closed, expected);
    assert_eq!(frames.iter().filter(|frame| frame["type"] == "alert").count(), 200);
    let open = frames.iter().filter(|frame| frame["data"]["isClosed"] == false).count();
    assert!(open < published / 2, "{open} of {published} open candles");
    let seqs: Vec<u64> = frames.iter().filter_map(|frame| frame["data"]["seq"].as_u64()).collect();
    assert!(seqs.is_sorted(), "in order");
    assert!(frames.iter().all(|frame| frame["type"] != "resync_required"));
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_closed_with_1013() {
    let settings = ServerSettings { client_queue: 64, ..Default::default() };
    let server = Server::start_with(settings, 64).await;
    server.cache.put(candle("BTC", 0, 1.0, true));
    let mut slow = server.greeted("/ws/prices/ALL", 1).await;
    let mut quick = server.greeted("/ws/prices/BTC", 1).await;
    // More candles than the queue, the current batch and the buffers of the system hold.
    for minute in 1..600 {
        let seq = server.cache.publish(candle("BTC", minute, 1.0, true));
        assert_eq!(quick.frame().await["data"]["seq"], seq);
    }
    assert_eq!(slow.close_code().await, CloseCode::Again);
}

#[tokio::test]
async fn a_client_over_the_send_timeout_is_closed() {
    let (send_timeout, keepalive) = (Duration::from_millis(100), Duration::from_millis(20));
    let server =
        Server::start_with(ServerSettings { send_timeout, keepalive, ..Default::default() }, 64).await;
    server.cache.publish(candle("ETH", 0, 1.0, true));
    let mut slow = server.greeted("/ws/prices/ALL", 1).await;
    let mut watcher = server.greeted("/ws/prices/ETH", 1).await;
    for minute in 0..2000 {
        server.cache.publish(candle("BTC", minute, 1.0, true));
        tokio::task::yield_now().await;
    }
    while watcher.frame().await["connections"] != 1 {}
    assert_eq!(slow.close_code().await, CloseCode::Again);
}

#[tokio::test]
async fn after_a_lag_clients_resync_and_get_the_newest_candles() {
    let server = Server::start_with(ServerSettings::default(), 8).await;
    server.cache.publish(candle("BTC", 0, 1.0, true));
    server.cache.publish(candle("ETH", 0, 1.0, true));
    let mut socket = server.greeted("/ws/prices/BTC?interval=1m,5m", 1).await;
    let mut all = server.greeted("/ws/prices/ALL", 2).await;
    // No task runs between these updates, so that the hub lags behind the stream.
    server.cache.publish(candle("ETH", 1, 2.0, true));
    for minute in 1..=20 {
        server.cache.publish(candle("BTC", minute, 1.0, true));
    }
    let frame = socket.frame().await;
    assert_eq!(
        frame,
        json!({"type": "resync_required", "symbol": "BTC", "from_seq": 0, "timestamp": "2025-11-16T05:30:00Z"}),
        "of the whole subscription, alerts too"
    );
    for seq in 14..=21 {
        assert_eq!(socket.frame().await["data"]["seq"], seq);
    }
    let frame = all.frame().await;
    assert_eq!(
        (&frame["type"], &frame["symbol"], &frame["from_seq"]),
        (&json!("resync_required"), &json!("ALL"), &json!(0))
    );
    for seq in 14..=21 {
        assert_eq!(all.frame().await["data"]["seq"], seq);
    }
    // The newest candle of ETH was missed, and no update has followed it.
    let frame = all.frame().await;
    assert_eq!(
        (&frame["type"], &frame["symbol"], &frame["data"]["seq"]),
        (&json!("initial_data"), &json!("ETH"), &json!(2))
    );
    server.cache.publish(candle("ETH", 2, 2.0, true));
    assert_eq!(all.frame().await["data"]["seq"], 3);
}

#[tokio::test]
async fn a_skipped_number_causes_a_resync() {
    let server = Server::start().await;
    server.cache.publish(candle("BTC", 0, 1.0, true));
    let mut socket = server.greeted("/ws/prices/BTC", 1).await;
    server.cache.put(LatestCandle { seq: 5, ..candle("BTC", 1, 1.0, true) });
    server.cache.publish(candle("BTC", 2, 1.0, true));
    let frame = socket.frame().await;
    assert_eq!((&frame["type"], &frame["from_seq"]), (&json!("resync_required"), &json!(2)));
    assert_eq!(socket.frame().await["data"]["seq"], 6);
}

#[tokio::test]
async fn restarted_numbers_count_from_the_first_newer_candle() {
    let server = Server::start().await;
    // The server reads this candle when it starts; the cache loses it before the next update.
    server.cache.put(LatestCandle { seq: 4_711, ..candle("BTC", 5, 1.0, true) });
    let mut socket = server.greeted("/ws/prices/BTC", 0).await;
    assert_eq!(socket.frame().await["data"]["seq"], 4_711);
    server.cache.flush();
    // The publisher repeats candles that the client has, then sends a newer one and a correction.
    for (minute, close) in [(3, 1.0), (4, 1.0), (5, 1.0), (6, 2.0), (4, 3.0)] {
        server.cache.publish(candle("BTC", minute, close, true));
    }
    assert_eq!(
        socket.frame().await,
        json!({"type": "resync_required", "symbol": "BTC", "interval": "1m", "from_seq": 4,
            "timestamp": "2025-11-16T05:30:00Z"})
    );
    for (seq, close) in [(4, 2.0), (5, 3.0)] {
        let frame = socket.frame().await;
        assert_eq!((&frame["data"]["seq"], &frame["data"]["close"]), (&json!(seq), &json!(close)));
    }
    // A client that connects now gets the newest candle.
    let mut late = server.greeted("/ws/prices/BTC", 0).await;
    assert_eq!(late.frame().await["data"]["seq"], 4);
}

#[tokio::test]
async fn newest_candles_are_restored_after_restarted_numbers() {
    let server = Server::start_with(ServerSettings::default(), 8).await;
    for minute in 0..5 {
        server.cache.publish(candle("BTC", minute, 1.0, true));
    }
    let mut socket = server.greeted("/ws/prices/BTC", 1).await;
    server.cache.flush();
    // No task runs between these updates: the hub lags behind, and the stream drops the BTC candle.
    server.cache.publish(candle("BTC", 5, 2.0, true));
    for minute in 0..20 {
        server.cache.publish(candle("ETH", minute, 1.0, true));
    }
    let frame = socket.frame().await;
    assert_eq!((&frame["type"], &frame["from_seq"]), (&json!("resync_required"), &json!(6)));
    let frame = socket.frame().await;
    assert_eq!((&frame["type"], &frame["data"]["seq"]), (&json!("initial_data"), &json!(1)));
    server.cache.publish(candle("BTC", 6, 3.0, true));
    assert_eq!(socket.frame().await["data"]["seq"], 2);
}

#[tokio::test]
async fn a_gap_of_the_stream_makes_all_clients_resync() {
    let server = Server::start().await;
    server.cache.publish(candle("BTC", 0, 1.0, true));
    let mut one = server.greeted("/ws/prices/BTC", 1).await;
    let mut several = server.greeted("/ws/prices/BTC?interval=1m,5m", 1).await;
    let mut all = server.greeted("/ws/prices/ALL", 1).await;
    server.cache.publish_gap();
    // The numbers have no gap.
    server.cache.publish(candle("BTC", 1, 1.0, true));
    server.cache.publish_alert(alert("BTC", 1));
    for (socket, name, from_seq) in [(&mut one, "BTC", 2), (&mut several, "BTC", 0), (&mut all, "ALL", 0)] {
        let frame = socket.frame().await;
        let notice = (&frame["type"], &frame["symbol"], &frame["from_seq"], frame.get("interval"));
        assert_eq!(notice, (&json!("resync_required"), &json!(name), &json!(from_seq), None));
        assert_eq!(socket.frame().await["data"]["seq"], 2);
        assert_eq!(socket.frame().await["type"], "alert");
    }
    // Updates before the gap may be incomplete.
    let mut late = server.greeted("/ws/prices/BTC?resume_from=0", 0).await;
    assert_eq!(late.frame().await["type"], "resync_required");
}

#[tokio::test]
async fn a_stop_closes_clients_with_1001() {
    let mut server = Server::start().await;
    let mut socket = server.greeted("/ws/prices/ALL", 0).await;
    server.tell_to_stop();
    assert_eq!(socket.close_code().await, CloseCode::Away);
    server.stopped().await;
}

#[tokio::test]
async fn clients_over_the_limit_are_refused_until_one_leaves() {
    let settings =
        ServerSettings { max_websockets: 1, keepalive: Duration::from_millis(20), ..Default::default() };
    let server = Server::start_with(settings, 64).await;
    let first = server.greeted("/ws/prices/ALL", 0).await;
    let handshake = [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let reply = server.send("GET", "/ws/prices/ALL", &handshake).await;
    assert_eq!((reply.status, &*reply.problem()), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"));
    drop(first);
    within(async {
        while server.send("GET", "/ws/prices/ALL", &handshake).await.status != StatusCode::SWITCHING_PROTOCOLS
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
