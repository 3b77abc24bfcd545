//! The market streams of Binance: names, requests, events, slow and dead clients, and limits.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use hyper::StatusCode;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tallow_model::Interval;
use tallow_model::rows::{CandleRow, LatestCandle};
use tallow_server::ServerSettings;
use tallow_testing::server::history::row;
use tallow_testing::server::market::{alert, candle};
use tallow_testing::server::socket::Socket;
use tallow_testing::server::{START_MS, Server, within};
use tokio::io::AsyncReadExt;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

const HANDSHAKE: [(&str, &str); 4] = [
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

/// A server with the symbols BTC and ETH.
async fn market(settings: ServerSettings) -> Server {
    let server = Server::start_with(settings, 64).await;
    for name in ["BTC", "ETH"] {
        server.history.put(Interval::OneMinute, row(name, 0, 100.0));
    }
    server
}

/// Returns the response to a request; no event may come before it.
async fn request(socket: &mut Socket, call: Value) -> Value {
    socket.say(&call.to_string()).await;
    socket.frame().await
}

/// Waits until the streams of the address are subscribed, and returns their names.
async fn subscribed(socket: &mut Socket) -> Vec<String> {
    let response = request(socket, json!({"method": "LIST_SUBSCRIPTIONS", "id": "ready"})).await;
    assert_eq!(response["id"], "ready", "{response}");
    serde_json::from_value(response["result"].clone()).unwrap()
}

async fn listener(server: &Server, path: &str) -> Socket {
    let mut socket = server.connect(path).await;
    subscribed(&mut socket).await;
    socket
}

fn open(name: &str, minute: u64, close: f64) -> LatestCandle {
    candle(name, minute, close, false)
}

fn closed(name: &str, minute: u64, close: f64) -> LatestCandle {
    candle(name, minute, close, true)
}

#[tokio::test]
async fn a_raw_stream_has_open_and_closed_klines_only() {
    let server = market(ServerSettings::default()).await;
    server.cache.put(open("BTC", 0, 99.0));
    let mut socket = listener(&server, "/ws/btcusd@kline_1m").await;
    server.cache.publish(open("ETH", 1, 5.0));
    server.cache.publish(LatestCandle { interval: Interval::FiveMinutes, ..open("BTC", 0, 5.0) });
    server.cache.publish_alert(alert("BTC", 0));
    server.cache.publish(open("BTC", 1, 101.25));
    let start = START_MS + 60_000;
    assert_eq!(
        socket.frame().await,
        json!({"e": "kline", "E": START_MS, "s": "BTCUSD", "k": {"t": start, "T": start + 59_999, "s": "BTCUSD",
            "i": "1m", "f": -1, "L": -1, "o": "100", "c": "101.25", "h": "101.25", "l": "100", "v": "2.5", "n": 3,
            "x": false, "q": "250", "V": "0", "Q": "0", "B": "0"}})
    );
    server.cache.publish(LatestCandle { quote_volume: Some(253.5), ..closed("BTC", 1, 102.0) });
    let event = socket.frame().await;
    assert_eq!(
        (&event["k"]["x"], &event["k"]["c"], &event["k"]["q"]),
        (&json!(true), &json!("102"), &json!("253.5"))
    );
    // The candle is corrected.
    server.cache.publish(LatestCandle { revision: 1, ..closed("BTC", 1, 103.0) });
    let event = socket.frame().await;
    assert_eq!(
        (&event["k"]["t"], &event["k"]["x"], &event["k"]["c"]),
        (&json!(start), &json!(true), &json!("103"))
    );
}

#[tokio::test]
async fn a_closed_kline_equals_the_kline_of_the_rest_api() {
    let server = market(ServerSettings::default()).await;
    let mut socket = listener(&server, "/ws/btcusd@kline_1m").await;
    let traded = CandleRow {
        open_price: 0.000_012_34,
        high_price: 94_997.541_234_567_8,
        volume_sum: 0.1,
        quote_volume: 1e-7,
        trade_count: 7,
        ..row("BTC", 1, 3.0)
    };
    // The second row has a rolling volume.
    let rolling = CandleRow { vwap: None, volume_sum: 7.8e10, quote_volume: 0.0, ..row("BTC", 2, 4.0) };
    for row in [traded, rolling] {
        server.history.put(Interval::OneMinute, row.clone());
        server.cache.publish(LatestCandle::unpublished(&row, Interval::OneMinute));
        let event = socket.frame().await;
        let path = format!("/api/v3/klines?symbol=BTCUSD&interval=1m&startTime={}&limit=1", event["k"]["t"]);
        let kline = &server.json(&path).await[0];
        let fields = ["t", "o", "h", "l", "c", "v", "T", "q", "n", "V", "Q", "B"];
        let shown: Vec<Value> = fields.iter().map(|field| event["k"][field].clone()).collect();
        assert_eq!(json!(shown), *kline);
    }
}

#[tokio::test]
async fn every_listed_symbol_has_a_stream() {
    let server = market(ServerSettings::default()).await;
    let listed = server.json("/api/v3/exchangeInfo").await;
    let names = listed["symbols"].as_array().unwrap().iter().map(|symbol| symbol["symbol"].as_str().unwrap());
    let names: Vec<String> = names.map(|name| format!("{name}@kline_15m")).collect();
    assert_eq!(names.len(), 2);
    let mut socket = server.connect("/ws").await;
    let response = request(&mut socket, json!({"method": "SUBSCRIBE", "params": names, "id": 1})).await;
    assert_eq!(response, json!({"result": null, "id": 1}));
    assert_eq!(subscribed(&mut socket).await, ["btcusd@kline_15m", "ethusd@kline_15m"]);
}

#[tokio::test]
async fn combined_events_name_their_stream() {
    let server = market(ServerSettings::default()).await;
    let mut combined = listener(&server, "/stream?streams=btcusd@kline_1m/ethusd@kline_5m").await;
    let mut raw = listener(&server, "/ws/btcusd@kline_1m/ethusd@kline_5m").await;
    server.cache.publish(closed("BTC", 0, 1.5));
    server.cache.publish(LatestCandle { interval: Interval::FiveMinutes, ..closed("ETH", 0, 2.5) });
    for (name, close) in [("btcusd@kline_1m", "1.5"), ("ethusd@kline_5m", "2.5")] {
        let (wrapped, event) = (combined.frame().await, raw.frame().await);
        assert_eq!(event["k"]["c"], close);
        assert_eq!(wrapped, json!({"stream": name, "data": event}));
    }
}

#[tokio::test]
async fn events_start_and_stop_with_the_response() {
    let server = market(ServerSettings::default()).await;
    // Some clients add a number to the path.
    let mut socket = server.connect("/ws/0").await;
    assert_eq!(subscribed(&mut socket).await, [""; 0]);
    let call = |method, names: &[&str], id: Value| json!({"method": method, "params": names, "id": id});
    let one = ["btcusd@kline_1m"];
    assert_eq!(
        request(&mut socket, call("SUBSCRIBE", &one, json!("a-1"))).await,
        json!({"result": null, "id": "a-1"})
    );
    server.cache.publish(closed("BTC", 0, 1.0));
    assert_eq!(socket.frame().await["k"]["c"], "1");
    // A repeated subscription changes nothing.
    let both = ["btcusd@kline_1m", "ethusd@kline_1m"];
    assert_eq!(
        request(&mut socket, call("SUBSCRIBE", &both, json!(null))).await,
        json!({"result": null, "id": null})
    );
    server.cache.publish(closed("BTC", 1, 2.0));
    server.cache.publish(closed("ETH", 1, 3.0));
    assert_eq!(socket.frame().await["k"]["c"], "2");
    assert_eq!(socket.frame().await["k"]["c"], "3");
    assert_eq!(
        request(&mut socket, call("UNSUBSCRIBE", &both[..1], json!(-3))).await,
        json!({"result": null, "id": -3})
    );
    server.cache.publish(closed("BTC", 2, 4.0));
    server.cache.publish(closed("ETH", 2, 5.0));
    assert_eq!(socket.frame().await["k"]["c"], "5");
}

#[tokio::test]
async fn the_combined_format_can_be_switched_off() {
    let server = market(ServerSettings::default()).await;
    let mut socket = listener(&server, "/stream?streams=btcusd@kline_1m").await;
    let get = json!({"method": "GET_PROPERTY", "params": ["combined"], "id": 1});
    assert_eq!(request(&mut socket, get).await, json!({"result": true, "id": 1}));
    let set = json!({"method": "SET_PROPERTY", "params": ["combined", false], "id": 2});
    assert_eq!(request(&mut socket, set).await, json!({"result": null, "id": 2}));
    server.cache.publish(closed("BTC", 0, 1.0));
    assert_eq!(socket.frame().await["e"], "kline");
}

#[tokio::test]
async fn an_unserved_stream_is_refused_and_changes_nothing() {
    let server = market(ServerSettings::default()).await;
    for (path, part) in [
        ("/ws/btcusd@kline_1h", "1h"),
        ("/ws/btcusd@aggTrade", "aggTrade"),
        ("/ws/btcusdt@kline_1m", "btcusdt"),
        ("/stream?streams=btcusd@kline_1m/btcusd@depth", "depth"),
        ("/stream?stream=btcusd@kline_1m", "stream"),
    ] {
        let reply = server.send("GET", path, &HANDSHAKE).await;
        assert_eq!(
            (reply.status, &*reply.problem()),
            (StatusCode::BAD_REQUEST, "invalid_parameter"),
            "{path}"
        );
        assert!(reply.json()["detail"].as_str().unwrap().contains(part), "{reply:?}");
    }
    let mut socket = listener(&server, "/ws/btcusd@kline_1m").await;
    for name in ["btcusd@miniTicker", "xyzusd@kline_1m"] {
        let names = ["ethusd@kline_1m", name];
        let response = request(&mut socket, json!({"method": "SUBSCRIBE", "params": names, "id": 9})).await;
        assert_eq!((&response["error"]["code"], &response["id"]), (&json!(2), &json!(9)), "{response}");
        assert!(response["error"]["msg"].as_str().unwrap().contains(name), "{response}");
    }
    assert_eq!(subscribed(&mut socket).await, ["btcusd@kline_1m"]);
    socket.say("{").await;
    let response = socket.frame().await;
    assert_eq!((&response["error"]["code"], &response["id"]), (&json!(3), &json!(null)));
}

#[tokio::test]
async fn an_unknown_symbol_in_the_address_is_closed_with_1008() {
    let server = market(ServerSettings::default()).await;
    for path in ["/ws/xyzusd@kline_1m", "/stream?streams=btcusd@kline_1m/xyzusd@kline_1m"] {
        assert_eq!(server.connect(path).await.close_code().await, CloseCode::Policy);
    }
}

#[tokio::test]
async fn a_symbol_is_not_unknown_while_the_stores_are_down() {
    let server = market(ServerSettings::default()).await;
    let mut socket = listener(&server, "/ws").await;
    server.cache.is_down.store(true, Ordering::SeqCst);
    server.history.is_down.store(true, Ordering::SeqCst);
    let response =
        request(&mut socket, json!({"method": "SUBSCRIBE", "params": ["btcusd@kline_1m"], "id": 1})).await;
    assert_eq!(response["error"]["code"], -1001);
    assert_eq!(server.connect("/ws/btcusd@kline_1m").await.close_code().await, CloseCode::Again);
}

#[tokio::test]
async fn a_slow_client_misses_open_klines_only() {
    let server = market(ServerSettings::default()).await;
    let mut socket = listener(&server, "/stream?streams=btcusd@kline_1m").await;
    for minute in 0..200 {
        for step in 0..50 {
            server.cache.publish(open("BTC", minute, f64::from(step)));
            tokio::task::yield_now().await;
        }
        server.cache.publish(closed("BTC", minute, 7.0));
        tokio::task::yield_now().await;
    }
    let (mut starts, mut opened) = (Vec::new(), 0);
    while starts.len() < 200 {
        let kline = socket.frame().await["data"]["k"].take();
        match kline["x"].as_bool().unwrap() {
            true => starts.push(kline["t"].as_u64().unwrap()),
            false => opened += 1,
        }
    }
    let expected: Vec<u64> = (0..200).map(|minute| START_MS + minute * 60_000).collect();
    assert_eq!(starts, expected);
    assert!(opened < 5000, "{opened} of 10000 open klines");
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_closed_with_1013() {
    let server = market(ServerSettings { client_queue: 64, ..Default::default() }).await;
    let mut slow = listener(&server, "/ws/btcusd@kline_1m").await;
    let mut quick = listener(&server, "/ws/btcusd@kline_1m").await;
    for minute in 0..2000 {
        server.cache.publish(closed("BTC", minute, 1.0));
        assert_eq!(quick.frame().await["k"]["t"], START_MS + minute * 60_000);
    }
    assert_eq!(slow.close_code().await, CloseCode::Again);
}

#[tokio::test]
async fn a_gap_closes_the_listeners_of_its_series_with_1013() {
    let server = market(ServerSettings::default()).await;
    server.cache.publish(closed("BTC", 0, 1.0));
    let mut socket = listener(&server, "/ws/btcusd@kline_1m").await;
    let mut other = listener(&server, "/ws/ethusd@kline_1m").await;
    // The hub gets no update with number 5.
    server.cache.put(LatestCandle { seq: 5, ..closed("BTC", 1, 1.0) });
    server.cache.publish(closed("BTC", 2, 1.0));
    assert_eq!(socket.close_code().await, CloseCode::Again);
    server.cache.publish(closed("ETH", 2, 1.0));
    assert_eq!(other.frame().await["s"], "ETHUSD");
}

#[tokio::test]
async fn a_lag_of_the_stream_closes_every_listener_with_1013() {
    let server = Server::start_with(ServerSettings::default(), 8).await;
    server.cache.publish(closed("BTC", 0, 1.0));
    let mut socket = listener(&server, "/ws/btcusd@kline_1m").await;
    let mut idle = listener(&server, "/ws").await;
    // No task runs between these updates, so that the hub lags behind the stream.
    for minute in 1..=20 {
        server.cache.publish(closed("BTC", minute, 1.0));
    }
    assert_eq!(socket.close_code().await, CloseCode::Again);
    assert_eq!(subscribed(&mut idle).await, [""; 0], "a client without streams has lost nothing");
}

#[tokio::test]
async fn more_than_five_messages_at_once_close_the_connection() {
    let server = market(ServerSettings::default()).await;
    let mut patient = server.connect("/ws").await;
    for _ in 0..5 {
        subscribed(&mut patient).await;
    }
    for message in [Message::text("{"), Message::Ping("".into()), Message::Pong("".into())] {
        let mut socket = server.connect("/ws").await;
        for _ in 0..50 {
            // The server may have closed the connection.
            if futures_util::SinkExt::send(&mut socket.0, message.clone()).await.is_err() {
                break;
            }
        }
        assert_eq!(socket.close_code().await, CloseCode::Policy);
    }
}

#[tokio::test]
async fn a_connection_has_at_most_1024_streams() {
    let server = Server::start().await;
    let name = |number: usize| format!("S{number}");
    for number in 0..=1024 {
        server.history.put(Interval::OneMinute, row(&name(number), 0, 1.0));
    }
    let stream = |number: usize| format!("{}usd@kline_1m", name(number));
    let mut socket = server.connect("/ws").await;
    let all: Vec<String> = (0..1024).map(stream).collect();
    let response = request(&mut socket, json!({"method": "SUBSCRIBE", "params": all, "id": 1})).await;
    assert_eq!(response, json!({"result": null, "id": 1}));
    let more = json!({"method": "SUBSCRIBE", "params": [stream(1024)], "id": 2});
    assert_eq!(request(&mut socket, more.clone()).await["error"]["code"], 2);
    let less = json!({"method": "UNSUBSCRIBE", "params": [stream(0)], "id": 3});
    assert_eq!(request(&mut socket, less).await["result"], json!(null));
    assert_eq!(request(&mut socket, more).await, json!({"result": null, "id": 2}));
    assert_eq!(subscribed(&mut socket).await.len(), 1024);
}

#[tokio::test]
async fn invalid_frames_close_the_connection_with_their_code() {
    let server = market(ServerSettings::default()).await;
    let cases = [
        (Message::Binary(vec![1, 2, 3].into()), CloseCode::Unsupported),
        (Message::text("x".repeat(33 * 1024)), CloseCode::Size),
    ];
    for (message, code) in cases {
        let mut socket = server.connect("/ws/btcusd@kline_1m").await;
        socket.send(message).await;
        assert_eq!(socket.close_code().await, code);
    }
}

#[tokio::test]
async fn plain_requests_and_foreign_origins_are_refused() {
    let settings =
        ServerSettings { allowed_origins: vec!["https://here.example".to_owned()], ..Default::default() };
    let server = market(settings).await;
    for path in ["/ws", "/ws/btcusd@kline_1m", "/stream?streams=btcusd@kline_1m"] {
        let reply = server.get(path).await;
        assert_eq!((reply.status, &*reply.problem()), (StatusCode::UPGRADE_REQUIRED, "upgrade_required"));
        let headers = [&HANDSHAKE[..], &[("origin", "https://there.example")]].concat();
        let reply = server.send("GET", path, &headers).await;
        assert_eq!((reply.status, &*reply.problem()), (StatusCode::FORBIDDEN, "origin_not_allowed"));
    }
}

#[tokio::test]
async fn keys_and_client_limits_apply_to_streams() {
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let settings = ServerSettings {
        api_keys: vec![format!("abc:{hash}").parse().unwrap()],
        max_websockets_per_address: 1,
        ..Default::default()
    };
    let server = market(settings).await;
    let reply = server.send("GET", "/ws/btcusd@kline_1m", &HANDSHAKE).await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    let mut first = listener(&server, "/stream?api_key=abc&streams=btcusd@kline_1m").await;
    let reply = server.send("GET", "/ws/btcusd@kline_1m?api_key=abc", &HANDSHAKE).await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    server.cache.publish(closed("BTC", 0, 1.0));
    assert_eq!(first.frame().await["stream"], "btcusd@kline_1m");
}

#[tokio::test]
async fn pings_are_sent_at_an_interval_on_a_busy_connection() {
    let settings = ServerSettings { ping_interval: Duration::from_millis(20), ..Default::default() };
    let server = market(settings).await;
    for path in ["/ws/prices/BTC", "/ws/btcusd@kline_1m"] {
        let mut socket = server.connect(path).await;
        let mut pings = 0;
        while pings < 10 {
            server.cache.publish(open("BTC", 1, 1.0));
            match socket.message().await {
                Message::Ping(_) => pings += 1,
                Message::Close(frame) => panic!("closed: {frame:?}"),
                _ => {}
            }
        }
    }
}

/// Waits until the only permit for a client is free.
async fn wait_for_permit(server: &Server, path: &str) {
    within(async {
        loop {
            let reply = server.send("GET", path, &HANDSHAKE).await;
            if reply.status == StatusCode::SWITCHING_PROTOCOLS {
                return;
            }
            assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{reply:?}");
            tokio::task::yield_now().await;
        }
    })
    .await;
}

fn strict() -> ServerSettings {
    ServerSettings {
        max_websockets: 1,
        ping_interval: Duration::from_millis(20),
        pong_timeout: Duration::from_millis(200),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_silent_client_of_a_quiet_market_is_removed() {
    for path in ["/ws/prices/BTC", "/ws"] {
        let server = market(strict()).await;
        let silent = server.connect(path).await;
        wait_for_permit(&server, path).await;
        drop(silent);
    }
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_closed_with_1013() {
    for path in ["/ws/prices/BTC", "/ws/btcusd@kline_1m"] {
        let server = market(strict()).await;
        let mut socket = server.connect(path).await;
        let mut received = Vec::new();
        // Reads from the TCP stream, because the library would answer pings.
        within(socket.0.get_mut().read_to_end(&mut received)).await.unwrap();
        let farewell = [&1013u16.to_be_bytes()[..], b"no ping was answered in time"].concat();
        assert!(received.windows(farewell.len()).any(|bytes| bytes == farewell), "{received:?}");
        wait_for_permit(&server, path).await;
    }
}

#[tokio::test]
async fn a_client_that_answers_pings_stays_connected() {
    let stays = async |path| {
        let settings = ServerSettings { pong_timeout: Duration::from_secs(1), ..strict() };
        let server = market(settings).await;
        let mut socket = server.connect(path).await;
        let mut pings = 0;
        // The pings take twice the timeout for an answer.
        while pings < 100 {
            match socket.message().await {
                Message::Ping(_) => pings += 1,
                Message::Close(frame) => panic!("closed: {frame:?}"),
                _ => {}
            }
        }
    };
    tokio::join!(stays("/ws/prices/BTC?closed_only=true"), stays("/ws/btcusd@kline_1m"));
}

#[tokio::test]
async fn stream_clients_are_counted_and_closed_on_stop() {
    let mut server = market(ServerSettings::default()).await;
    server.clock.advance(5);
    let mut socket = listener(&server, "/ws/btcusd@kline_1m").await;
    let metrics = server.get("/metrics").await;
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    assert!(text.contains("tallow_ws_clients 1"), "{text}");
    server.cache.publish(open("BTC", 1, 1.0));
    assert_eq!(socket.frame().await["E"], START_MS + 5);
    server.tell_to_stop();
    assert_eq!(socket.close_code().await, CloseCode::Away);
    server.stopped().await;
}
