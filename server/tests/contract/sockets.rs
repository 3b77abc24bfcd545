//! Both WebSocket protocols over both caches: greetings, updates, closed candles, resuming, gaps,
//! and close codes.

use crate::market::{self, DAY, MINUTES, NOW, minute, open};
use crate::sides::{Both, Sockets};
use serde_json::{Value, json};
use tallow_model::{AlertStatus, Interval, SettledCandle};
use tallow_server::ServerSettings;
use tallow_testing::samples::{MINUTE, alert, candle, corrected, settled_alert, step};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// The time on the clock, in the format of the API.
const TIMESTAMP: &str = "2025-11-17T02:07:30.250Z";

/// The candle of the open minute, closed.
fn closed() -> SettledCandle {
    candle("BTC", Interval::OneMinute, DAY + MINUTES * MINUTE, 9, 95_801.5)
}

/// Clients that have been greeted with this number of candles.
async fn greeted(both: &Both, path: &str, initial: usize) -> (Sockets, Vec<Value>) {
    let mut sockets = both.connect(path).await;
    assert_eq!(sockets.frame().await["type"], "connection");
    let mut data = Vec::new();
    for _ in 0..initial {
        let mut frame = sockets.frame().await;
        assert_eq!(frame["type"], "initial_data", "{frame}");
        data.push(frame["data"].take());
    }
    (sockets, data)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_is_greeted_and_gets_every_change() {
    let both = Both::start().await;
    let mut sockets = both.connect("/ws/prices/btc").await;
    let greeting = sockets.frame().await;
    let fields = ["type", "symbol", "timestamp", "mode"].map(|field| greeting[field].clone());
    assert_eq!(json!(fields), json!(["connection", "BTC", TIMESTAMP, "live"]));
    let initial = sockets.frame().await;
    assert_eq!((&initial["type"], &initial["timestamp"]), (&json!("initial_data"), &json!(TIMESTAMP)));
    let start = (DAY + MINUTES * MINUTE) / 1000;
    // Two settled candles were published before.
    let data = json!({"symbol": "BTC", "interval": "1m", "windowStart": start, "windowEnd": start + 60,
        "open": 95_804.75, "high": 95_806.75, "low": 95_803.75, "close": 95_805.75, "volumeSum": 4.0,
        "quoteVolume": 383_219.0, "eventCount": 4, "isClosed": false, "revision": 0, "seq": 3, "eventTime": NOW - 500});
    assert_eq!(initial["data"], data);

    both.publish_live(&[open("BTC", Interval::OneMinute, 6)]);
    let update = sockets.frame().await;
    assert_eq!(
        (&update["type"], &update["symbol"], &update["timestamp"]),
        (&json!("price_update"), &json!("BTC"), &json!(TIMESTAMP))
    );
    assert_eq!((&update["data"]["seq"], &update["data"]["eventCount"]), (&json!(4), &json!(6)));
    // Updates of other symbols and intervals are not sent.
    both.publish_live(&[open("ETH", Interval::OneMinute, 3), open("BTC", Interval::FiveMinutes, 7)]);
    both.publish(&step(vec![closed()], vec![]));
    let update = sockets.frame().await;
    assert_eq!((&update["data"]["seq"], &update["data"]["isClosed"]), (&json!(5), &json!(true)));
    both.publish(&step(vec![corrected(&closed(), 95_000.25)], vec![]));
    let update = sockets.frame().await;
    let data = &update["data"];
    assert_eq!((&data["seq"], &data["revision"], &data["close"]), (&json!(6), &json!(1), &json!(95_000.25)));

    let raised = settled_alert(alert("BTC", DAY + 126 * MINUTE, 6.4), AlertStatus::Raised, 5_000);
    both.publish(&step(vec![], vec![raised]));
    let frame = sockets.frame().await;
    assert_eq!((&frame["type"], &frame["symbol"]), (&json!("alert"), &json!("BTC")));
    let data = &frame["data"];
    assert_eq!(
        json!([data["alert_type"], data["severity"], data["status"], data["revision"]]),
        json!(["PRICE_SPIKE", "MEDIUM", "raised", 0])
    );
    sockets.say(r#"{"type":"ping"}"#).await;
    assert_eq!(sockets.frame().await, json!({"type": "pong", "timestamp": TIMESTAMP}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_series_is_greeted_with_its_newest_candle() {
    let both = Both::start().await;
    let (mut sockets, initial) = greeted(&both, "/ws/prices/ALL?interval=5m,1m", 5).await;
    let names: Vec<[&Value; 3]> =
        initial.iter().map(|data| [&data["symbol"], &data["interval"], &data["isClosed"]]).collect();
    // Only the history has OLD.
    let expected = json!([
        ["BTC", "1m", false],
        ["BTC", "5m", false],
        ["ETH", "1m", false],
        ["NEW.X", "1m", false],
        ["OLD", "1m", true]
    ]);
    assert_eq!(json!(names), expected);
    both.publish_live(&[open("ETH", Interval::OneMinute, 5)]);
    assert_eq!(sockets.frame().await["symbol"], "ETH");
    let (mut sockets, initial) = greeted(&both, "/ws/prices/BTC?closed_only=true", 1).await;
    assert_eq!(
        (&initial[0]["isClosed"], &initial[0]["windowStart"]),
        (&json!(true), &json!((DAY + 126 * MINUTE) / 1000))
    );
    both.publish_live(&[open("BTC", Interval::OneMinute, 7)]);
    both.publish(&step(vec![closed()], vec![]));
    assert_eq!(sockets.frame().await["data"]["isClosed"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reconnecting_client_gets_missed_candles_or_a_resync() {
    let mut both = Both::start().await;
    both.publish(&step(vec![closed()], vec![]));
    let mut sockets = both.connect("/ws/prices/BTC?resume_from=1").await;
    assert_eq!(sockets.frame().await["type"], "connection");
    let mut missed = Vec::new();
    for _ in 0..3 {
        let frame = sockets.frame().await;
        missed.push((frame["type"].clone(), frame["data"]["seq"].clone()));
    }
    // Number 3 was an open candle.
    let expected = [("price_update", 2), ("price_update", 4), ("initial_data", 4)];
    assert_eq!(missed, expected.map(|(kind, seq)| (json!(kind), json!(seq))));

    for from in ["99", "18446744073709551615"] {
        let mut sockets = both.connect(&format!("/ws/prices/BTC?resume_from={from}")).await;
        assert_eq!(sockets.frame().await["type"], "connection");
        let frame = sockets.frame().await;
        assert_eq!((&frame["type"], &frame["symbol"]), (&json!("resync_required"), &json!("BTC")));
        let from: u64 = from.parse().unwrap();
        assert_eq!(frame["from_seq"], json!(from.saturating_add(1)));
        assert_eq!(sockets.frame().await["type"], "initial_data");
    }

    // A new server has not delivered the earlier updates; the numbers continue.
    both.restart();
    let mut sockets = both.connect("/ws/prices/BTC?resume_from=1").await;
    assert_eq!(sockets.frame().await["type"], "connection");
    assert_eq!(sockets.frame().await["type"], "resync_required");
    assert_eq!(sockets.frame().await["data"]["seq"], 4);
    both.publish(&step(vec![corrected(&closed(), 95_000.25)], vec![]));
    assert_eq!(sockets.frame().await["data"]["seq"], 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_end_with_the_codes_of_the_contract() {
    let mut both = Both::empty(ServerSettings { client_queue: 64, ..ServerSettings::default() }).await;
    both.write(&market::settled());
    for path in
        ["/ws/prices/NONE", "/ws/noneusd@kline_1m", "/stream?streams=btcusd@kline_1m/noneusd@kline_1m"]
    {
        assert_eq!(both.connect(path).await.close_code().await, CloseCode::Policy, "{path}");
    }
    both.publish(&market::newest_settled());
    let (mut slow, _) = greeted(&both, "/ws/prices/BTC", 1).await;
    let mut slow_klines = listening(&both, "/ws/btcusd@kline_1m").await;
    // More candles than the queue and the buffers hold.
    let newer = (0..400).map(|window| DAY + (MINUTES + window) * MINUTE);
    let candles = newer.map(|start| candle("BTC", Interval::OneMinute, start, 1, 100.0));
    both.publish(&step(candles.collect(), vec![]));
    assert_eq!(slow.close_code().await, CloseCode::Again);
    assert_eq!(slow_klines.close_code().await, CloseCode::Again);

    let (mut native, _) = greeted(&both, "/ws/prices/ETH", 1).await;
    let mut klines = listening(&both, "/ws").await;
    both.stop();
    assert_eq!(native.close_code().await, CloseCode::Away);
    assert_eq!(klines.close_code().await, CloseCode::Away);
}

/// Returns the response to a request; no event may come before it.
async fn request(sockets: &mut Sockets, call: Value) -> Value {
    sockets.say(&call.to_string()).await;
    sockets.frame().await
}

/// Clients whose streams are subscribed.
async fn listening(both: &Both, path: &str) -> Sockets {
    let mut sockets = both.connect(path).await;
    let response = request(&mut sockets, json!({"method": "LIST_SUBSCRIPTIONS", "id": 1})).await;
    assert!(response["result"].is_array(), "{response}");
    sockets
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kline_events_follow_each_change_of_the_candle() {
    let both = Both::start().await;
    let mut raw = listening(&both, "/ws/btcusd@kline_1m").await;
    let mut combined = listening(&both, "/stream?streams=btcusd@kline_1m/ethusd@kline_1m").await;
    let start = DAY + MINUTES * MINUTE;
    both.publish_live(&[open("BTC", Interval::OneMinute, 6)]);
    let event = raw.frame().await;
    assert_eq!(
        event,
        json!({"e": "kline", "E": NOW, "s": "BTCUSD", "k": {"t": start, "T": start + 59_999, "s": "BTCUSD", "i": "1m",
            "f": -1, "L": -1, "o": "95806.75", "c": "95807.75", "h": "95808.75", "l": "95805.75", "v": "6", "n": 6,
            "x": false, "q": "574840.5", "V": "0", "Q": "0", "B": "0"}})
    );
    assert_eq!(combined.frame().await, json!({"stream": "btcusd@kline_1m", "data": event}));
    for (settled, close) in [(closed(), "95802.5"), (corrected(&closed(), 95_000.25), "95000.25")] {
        both.publish(&step(vec![settled], vec![]));
        let event = raw.frame().await;
        assert_eq!((&event["k"]["x"], &event["k"]["c"]), (&json!(true), &json!(close)));
        assert_eq!(combined.frame().await["data"], event);
    }
    // A quote has a rolling volume, not the volume of its minute.
    both.publish_live(&[market::all_open()[3]]);
    both.publish_live(&[{
        let mut quote = market::all_open()[3];
        quote.candle.count = 5;
        quote
    }]);
    let event = combined.frame().await;
    assert_eq!((&event["stream"], &event["data"]["k"]["v"]), (&json!("ethusd@kline_1m"), &json!("0")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_are_subscribed_listed_and_unsubscribed() {
    let both = Both::start().await;
    let mut sockets = both.connect("/ws").await;
    let names = ["btcusd@kline_1m", "newer"];
    let response = request(&mut sockets, json!({"method": "SUBSCRIBE", "params": names, "id": 1})).await;
    assert_eq!((&response["error"]["code"], &response["id"]), (&json!(2), &json!(1)));
    let names = ["BTCUSD@kline_1m", "oldusd@kline_15m"];
    let response = request(&mut sockets, json!({"method": "SUBSCRIBE", "params": names, "id": "a"})).await;
    assert_eq!(response, json!({"result": null, "id": "a"}));
    let response = request(&mut sockets, json!({"method": "LIST_SUBSCRIPTIONS", "id": 2})).await;
    assert_eq!(response, json!({"result": ["btcusd@kline_1m", "oldusd@kline_15m"], "id": 2}));
    both.publish(&step(vec![corrected(&minute(MINUTES - 1), 7.5)], vec![]));
    assert_eq!(sockets.frame().await["k"]["c"], "7.5");
    let response =
        request(&mut sockets, json!({"method": "UNSUBSCRIBE", "params": ["btcusd@kline_1m"], "id": 3})).await;
    assert_eq!(response, json!({"result": null, "id": 3}));
    both.publish(&step(vec![closed()], vec![]));
    let response = request(&mut sockets, json!({"method": "LIST_SUBSCRIPTIONS", "id": 4})).await;
    assert_eq!(response, json!({"result": ["oldusd@kline_15m"], "id": 4}));
}
