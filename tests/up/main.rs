//! `tallow up` as its users meet it: the real binary, its API, its data folder.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod failures;
mod files;
mod process;
mod reference;
mod refusals;
mod restarts;

use process::{ready, spawn};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::TcpStream;
use std::time::Instant;
use tallow_testing::process::Tallow;
use tallow_testing::wait::{LIMIT, until};
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

#[test]
fn a_fresh_start_serves_an_open_candle_hours_of_history_and_alerts() {
    let folder = tempfile::tempdir().unwrap();
    let tallow = ready(folder.path(), &[]);

    let latest = until("an open candle", || {
        Some(tallow.json("/api/v1/latest/BTC")).filter(|latest| latest["is_closed"] == false)
    });
    assert_eq!((&latest["symbol"], &latest["source"]), (&"BTC".into(), &"simulated".into()));
    for symbol in ["BTC", "ETH", "SOL"] {
        let minutes = tallow.json(&format!("/api/v1/historical/{symbol}?limit=1000"));
        // Two hours, less the minute that is open and one that may not have closed.
        assert!(minutes.as_array().unwrap().len() >= 118, "{symbol}: {minutes}");
        let quarters = tallow.json(&format!("/api/v1/historical/{symbol}?interval=15m"));
        assert!(quarters.as_array().unwrap().len() >= 7, "{symbol}: {quarters}");
    }
    assert!(tallow.json("/api/v1/alerts")["alert_count"].as_u64() >= Some(1));
    assert_eq!(tallow.json("/api/v1/symbols")["count"], 3);
    assert_eq!(tallow.json("/health")["status"], "healthy");

    let stats = tallow.json("/api/v1/stats");
    assert_eq!((&stats["source"], &stats["ready"]), (&"simulated".into(), &true.into()), "{stats}");
    assert_eq!(stats["records_in"], stats["records"]["on_time"], "{stats}");
    assert!(stats["candles_settled"]["1m"].as_u64() >= Some(3 * 118), "{stats}");
    assert!(stats["lag_seconds"].as_f64() < Some(10.0), "{stats}");
    let services: Vec<_> = stats["sinks"].as_array().unwrap().iter().map(|it| it["name"].clone()).collect();
    assert_eq!(services, ["log", "sqlite", "checkpoints"], "{stats}");
    assert!(stats["checkpoint"]["stored"].as_u64() >= Some(1), "{stats}");

    let said = tallow.stop();
    for line in ["SIMULATED", "seed=42", "keeping data", "listening", "ready", "stopped"] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(!said.contains("WARN") && !said.contains("ERROR"), "{said}");
}

#[test]
fn without_backfill_there_is_no_history_and_the_present_comes_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let tallow = ready(folder.path(), &[("TALLOW__UP__BACKFILL_HOURS", "0")]);
    until("an open candle", || (tallow.get("/api/v1/latest/BTC").0 == 200).then_some(()));
    assert_eq!(tallow.get("/api/v1/historical/BTC").0, 404);
    tallow.stop();
}

/// Connects to `/ws/prices/ALL`.
fn watch(tallow: &Tallow) -> WebSocket<TcpStream> {
    let address = tallow.address().unwrap();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    tungstenite::client(format!("ws://{address}/ws/prices/ALL"), stream).unwrap().0
}

#[test]
fn a_websocket_is_sent_updates_of_every_symbol_and_1001_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let tallow = ready(folder.path(), &[]);
    let mut socket = watch(&tallow);
    let mut updates: BTreeMap<String, u64> = BTreeMap::new();
    let deadline = Instant::now() + LIMIT;
    while updates.len() < 3 || updates.values().any(|count| *count < 10) {
        assert!(Instant::now() < deadline, "too few updates: {updates:?}");
        let Message::Text(text) = socket.read().unwrap() else { continue };
        let frame: Value = serde_json::from_str(&text).unwrap();
        if frame["type"] == "price_update" {
            assert_eq!(frame["source"], "simulated");
            *updates.entry(frame["symbol"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    tallow.signal("TERM");
    let farewell = until("a farewell", || match socket.read().unwrap() {
        Message::Close(farewell) => Some(farewell.unwrap()),
        _ => None,
    });
    assert_eq!(u16::from(farewell.code), 1001);
    // Answers the farewell.
    let _ = socket.flush();
    let (status, said) = tallow.ended();
    assert_eq!(status.code(), Some(0), "{said}");
}

#[test]
fn nothing_of_the_past_is_pushed_as_news_while_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let tallow = spawn(folder.path(), &[("TALLOW__UP__BACKFILL_HOURS", "24")]);
    until("an address", || tallow.address());
    assert_eq!(tallow.get("/ready").0, 503);
    let mut socket = watch(&tallow);
    let mut closed: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut open = 0;
    while open < 30 {
        let Message::Text(text) = socket.read().unwrap() else { continue };
        let frame: Value = serde_json::from_str(&text).unwrap();
        assert_ne!(frame["type"], "alert", "{frame}");
        if frame["type"] != "price_update" {
            continue;
        }
        let data = &frame["data"];
        if data["isClosed"] == true {
            let key = (data["symbol"].to_string(), data["interval"].to_string());
            *closed.entry(key).or_default() += 1;
        } else {
            open += 1;
        }
    }
    // At most the newest of each series, and one that has closed since.
    assert!(closed.values().all(|count| *count <= 2), "{closed:?}");
    tallow.stop();
}
