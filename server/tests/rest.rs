//! The successful response of every route, over a real socket.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use hyper::StatusCode;
use serde_json::json;
use std::sync::atomic::Ordering;
use tallow_model::distribution::{CLOSE_SECONDS, Distribution, WRITE_SECONDS};
use tallow_model::store::{PartitionStatus, SinkStatus};
use tallow_model::{AlertStatus, Counts, EventTime, Interval, PartitionProgress, Severity};
use tallow_server::ServerSettings;
use tallow_testing::server::history::{alert_row, row};
use tallow_testing::server::http::Reply;
use tallow_testing::server::market::candle;
use tallow_testing::server::{START_MS, Server};

/// A server with minutes 0, 1 and 4 of BTC; minutes 2 and 3 are missing.
async fn with_history() -> Server {
    let server = Server::start().await;
    for (minute, close) in [(0, 101.0), (1, 102.5), (4, 99.0)] {
        server.history.put(Interval::OneMinute, row("BTC", minute, close));
    }
    server
}

#[tokio::test]
async fn latest_returns_the_open_candle_of_the_cache() {
    let server = Server::start().await;
    server.cache.publish(candle("BTC", 2, 101.25, false));
    server.clock.advance(2 * 60_000 + 31_000);
    let reply = server.get("/api/v1/latest/btc").await;
    assert_eq!(
        reply.json(),
        json!({"symbol": "BTC", "window_start": "2025-11-16T05:32:00Z", "window_end": "2025-11-16T05:33:00Z",
            "open": 100.0, "high": 101.25, "low": 100.0, "close": 101.25, "volume_sum": 2.5, "event_count": 3,
            "is_closed": false, "revision": 0, "event_time": "2025-11-16T05:32:30.250Z", "stale": false,
            "source": "simulated"})
    );
    assert_eq!(reply.header("x-data-source"), "quick");
    assert_eq!(reply.header("x-cache-hit"), "true");
    assert_eq!(reply.header("x-data-age-seconds"), "0.750");
    assert_eq!(reply.header("content-type"), "application/json");
}

#[tokio::test]
async fn a_price_without_ticks_for_two_minutes_is_stale() {
    let server = Server::start().await;
    server.cache.publish(candle("BTC", 2, 101.25, false));
    server.cache.publish(candle("ETH", 3, 101.25, false));
    server.clock.advance(2 * 60_000 + 30_250 + 120_000);
    assert_eq!(server.json("/api/v1/latest/BTC").await["stale"], false);
    server.clock.advance(1);
    assert_eq!(server.json("/api/v1/latest/BTC").await["stale"], true);
    let all = server.json("/api/v1/latest/all").await;
    assert_eq!(
        (&all["prices"]["BTC"]["stale"], &all["prices"]["ETH"]["stale"]),
        (&json!(true), &json!(false))
    );
}

#[tokio::test]
async fn latest_falls_back_to_the_history() {
    let server = with_history().await;
    for is_down in [false, true] {
        server.cache.is_down.store(is_down, Ordering::SeqCst);
        let reply = server.get("/api/v1/latest/BTC").await;
        assert_eq!(reply.header("x-data-source"), "books");
        assert_eq!(reply.header("x-cache-hit"), "false");
        let latest = reply.json();
        assert_eq!(latest["close"], 99.0);
        assert_eq!(latest["is_closed"], true);
        assert_eq!(latest["event_time"], "2025-11-16T05:35:00Z");
    }
    server.history.is_down.store(true, Ordering::SeqCst);
    let reply = server.get("/api/v1/latest/BTC").await;
    assert_eq!((reply.status, &*reply.problem()), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"));
    assert_eq!(reply.header("retry-after"), "1");
    assert!(!reply.body.windows(8).any(|text| text == b"by the t"), "the cause is not shown");
}

#[tokio::test]
async fn all_latest_joins_the_cache_and_the_history() {
    let server = with_history().await;
    server.cache.publish(candle("ETH", 4, 101.0, false));
    let all = server.json("/api/v1/latest/all").await;
    assert_eq!(all["timestamp"], "2025-11-16T05:30:00Z");
    assert_eq!(all["cache_hit_rate"], "50.0%");
    assert_eq!(all["source"], "simulated");
    assert_eq!(all["prices"]["BTC"]["is_closed"], true);
    assert_eq!(all["prices"]["ETH"]["is_closed"], false);
    server.history.is_down.store(true, Ordering::SeqCst);
    let reply = server.get("/api/v1/latest/ALL").await;
    assert_eq!(reply.json()["prices"].as_object().unwrap().len(), 1);
    assert_eq!((reply.header("x-cache-hit"), reply.header("x-data-source")), ("true", "quick"));
}

#[tokio::test]
async fn historical_is_newest_first_and_pages_by_link() {
    let server = with_history().await;
    let reply = server.get("/api/v1/historical/BTC?limit=2&interval=1m").await;
    let rows = reply.json();
    assert_eq!(rows[0]["window_start"], "2025-11-16T05:34:00Z");
    assert_eq!(
        rows[1],
        json!({"symbol": "BTC", "window_start": "2025-11-16T05:31:00Z", "window_end": "2025-11-16T05:32:00Z",
            "open_price": 100.0, "high_price": 102.5, "low_price": 100.0, "close_price": 102.5, "avg_price": 100.0,
            "vwap": 100.0, "volume_sum": 2.5, "quote_volume": 250.0, "trade_count": 3, "revision": 0})
    );
    assert_eq!(reply.header("x-total-count"), "3");
    assert_eq!(reply.header("x-returned-count"), "2");
    assert_eq!(reply.header("x-has-more"), "true");
    let link = reply.header("link").to_owned();
    assert_eq!(link, r#"</api/v1/historical/BTC?limit=2&interval=1m&cursor=1763271060000>; rel="next""#);
    assert_eq!(reply.header("x-next-cursor"), "1763271060000");
    let next = server.get(&link[1..link.find('>').unwrap()]).await;
    assert_eq!(next.json().as_array().unwrap().len(), 1);
    assert_eq!(next.header("x-has-more"), "false");
    assert!(next.headers.get("link").is_none());
    let past = server.get("/api/v1/historical/BTC?offset=3").await;
    assert_eq!((past.json(), past.header("x-has-more")), (json!([]), "false"));
    let counted = server.get("/api/v1/historical/BTC?limit=1&offset=1").await;
    let link = r#"</api/v1/historical/BTC?limit=1&offset=2>; rel="next""#;
    assert_eq!(counted.header("link"), link);
}

#[tokio::test]
async fn pages_by_cursor_show_each_window_once_while_candles_settle() {
    let server = Server::start().await;
    for minute in [2, 4, 5, 8] {
        server.history.put(Interval::OneMinute, row("BTC", minute, 100.0));
    }
    let starts = |reply: &Reply| -> Vec<u64> {
        let minute = |row: &serde_json::Value| {
            let text = row["window_start"].as_str().unwrap();
            let time: jiff::Timestamp = text.parse().unwrap();
            (time.as_millisecond() as u64 - START_MS) / 60_000
        };
        reply.json().as_array().unwrap().iter().map(minute).collect()
    };
    let next = |reply: &Reply| {
        let link = reply.header("link");
        link[1..link.find('>').unwrap()].to_owned()
    };
    let first = server.get("/api/v1/historical/BTC?limit=2").await;
    assert_eq!(starts(&first), [8, 5]);
    // A newer candle, two missing candles, and a correction of the last window of the page.
    for minute in [9, 6, 5, 3] {
        server.history.put(Interval::OneMinute, row("BTC", minute, 101.0));
    }
    let second = server.get(&next(&first)).await;
    assert_eq!(starts(&second), [4, 3]);
    assert_eq!(second.header("x-total-count"), "7");
    let third = server.get(&next(&second)).await;
    assert_eq!((starts(&third), third.header("x-has-more")), (vec![2], "false"));

    let oldest = server.get("/api/v1/historical/BTC?limit=3&order_by=asc").await;
    assert_eq!(starts(&oldest), [2, 3, 4]);
    server.history.put(Interval::OneMinute, row("BTC", 1, 101.0));
    let rest = server.get(&next(&oldest).replace("limit=3", "limit=10")).await;
    assert_eq!(starts(&rest), [5, 6, 8, 9]);
    // Filled pages also have the windows without a candle.
    let filled = server.get("/api/v1/historical/BTC?limit=3&fill=previous").await;
    assert_eq!(starts(&filled), [9, 8, 7]);
    server.history.put(Interval::OneMinute, row("BTC", 11, 101.0));
    let filled = server.get(&next(&filled)).await;
    assert_eq!((starts(&filled), filled.header("x-total-count")), (vec![6, 5, 4], "11"));
}

#[tokio::test]
async fn a_range_is_given_in_milliseconds_or_rfc_3339() {
    let server = with_history().await;
    let end = START_MS + 4 * 60_000;
    let path = format!("/api/v1/historical/BTC?order_by=ASC&start_time=2025-11-16T05:30:30Z&end_time={end}");
    let rows = server.json(&path).await;
    assert_eq!(rows.as_array().unwrap().len(), 1);
    assert_eq!(rows[0]["window_start"], "2025-11-16T05:31:00Z");
}

#[tokio::test]
async fn a_rolled_up_window_is_shown_once_it_is_settled() {
    let server = Server::start().await;
    for quarter in 0..6 {
        let quarter_ms = Interval::FifteenMinutes.millis();
        let window_start = EventTime(START_MS - 2 * quarter_ms + quarter * quarter_ms);
        let window_end = EventTime(window_start.millis() + quarter_ms);
        let candle = tallow_model::rows::CandleRow { window_start, window_end, ..row("BTC", 0, 100.0) };
        server.history.put(Interval::FifteenMinutes, candle);
    }
    // The stored quarters are 05:00 to 06:30. At 06:30 the frontier has passed the first hour only.
    server.pipeline.change(|status| status.watermark = Some(EventTime(START_MS + 3_600_000)));
    let rows = server.json("/api/v1/historical/BTC?interval=1h").await;
    assert_eq!(rows.as_array().unwrap().len(), 1);
    assert_eq!(
        (&rows[0]["window_start"], &rows[0]["trade_count"]),
        (&json!("2025-11-16T05:00:00Z"), &json!(12))
    );
    // A frontier at the exact end of a window does not close the window.
    server.pipeline.change(|status| status.watermark = Some(EventTime(START_MS + 1_800_000)));
    let reply = server.get("/api/v1/historical/BTC?interval=1h").await;
    assert_eq!((reply.status, &*reply.problem()), (StatusCode::NOT_FOUND, "no_data"));
}

#[tokio::test]
async fn filled_gaps_are_flat_candles_at_the_previous_close() {
    let server = with_history().await;
    let reply = server.get("/api/v1/historical/BTC?fill=previous&order_by=asc").await;
    let rows = reply.json();
    assert_eq!(reply.header("x-total-count"), "5");
    assert_eq!(
        rows[2],
        json!({"symbol": "BTC", "window_start": "2025-11-16T05:32:00Z", "window_end": "2025-11-16T05:33:00Z",
            "open_price": 102.5, "high_price": 102.5, "low_price": 102.5, "close_price": 102.5, "avg_price": 102.5,
            "vwap": null, "volume_sum": 0.0, "quote_volume": 0.0, "trade_count": 0, "revision": 0})
    );
    let counts: Vec<u64> =
        rows.as_array().unwrap().iter().map(|row| row["trade_count"].as_u64().unwrap()).collect();
    assert_eq!(counts, [3, 3, 0, 0, 3]);
}

#[tokio::test]
async fn filled_pages_together_are_the_whole_range() {
    let server = with_history().await;
    for order in ["asc", "desc"] {
        let whole = server.json(&format!("/api/v1/historical/BTC?fill=previous&order_by={order}")).await;
        for limit in 1..=5 {
            let mut pages = Vec::new();
            let mut path =
                Some(format!("/api/v1/historical/BTC?fill=previous&order_by={order}&limit={limit}"));
            while let Some(page) = path {
                let reply = server.get(&page).await;
                assert_eq!(reply.header("x-total-count"), "5");
                pages.extend(reply.json().as_array().unwrap().clone());
                let link = reply.headers.get("link").map(|link| link.to_str().unwrap());
                path = link.map(|link| link[1..link.find('>').unwrap()].to_owned());
            }
            assert_eq!(json!(pages), whole, "{order} {limit}");
        }
    }
}

#[tokio::test]
async fn csv_has_the_field_names_as_its_header() {
    let server = with_history().await;
    let reply =
        server.get("/api/v1/historical/BTC?format=csv&fill=previous&order_by=asc&limit=2&offset=1").await;
    assert_eq!(reply.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(
        std::str::from_utf8(&reply.body).unwrap(),
        "symbol,window_start,window_end,open_price,high_price,low_price,close_price,avg_price,vwap,volume_sum,\
         quote_volume,trade_count,revision\n\
         BTC,2025-11-16T05:31:00Z,2025-11-16T05:32:00Z,100.0,102.5,100.0,102.5,100.0,100.0,2.5,250.0,3,0\n\
         BTC,2025-11-16T05:32:00Z,2025-11-16T05:33:00Z,102.5,102.5,102.5,102.5,102.5,,0.0,0.0,0,0\n"
    );
}

#[tokio::test]
async fn statistics_without_a_value_are_null() {
    let server = with_history().await;
    let stats = server.json("/api/v1/historical/BTC/stats").await;
    assert_eq!(
        stats,
        json!({"symbol": "BTC", "start_time": "2025-11-16T05:30:00Z", "end_time": "2025-11-16T05:35:00Z",
            "lowest_price": 99.0, "highest_price": 102.5, "average_price": 100.0, "total_volume": 7.5,
            "candle_count": 3, "price_range": 3.5, "price_change_pct": -1.0000000000000009,
            "volatility": null, "volume_price_correlation": null})
    );
    let later = server.get(&format!("/api/v1/historical/BTC/stats?start_time={}", START_MS + 600_000)).await;
    assert_eq!((later.status, &*later.problem()), (StatusCode::NOT_FOUND, "no_data"));
}

#[tokio::test]
async fn the_newest_closed_candle_is_one_object() {
    let server = with_history().await;
    let newest = server.json("/api/v1/historical/btc/latest").await;
    assert_eq!(newest["window_start"], "2025-11-16T05:34:00Z");
    let reply = server.get("/api/v1/historical/BTC/latest?interval=5m").await;
    assert_eq!((reply.status, &*reply.problem()), (StatusCode::NOT_FOUND, "no_data"));
}

#[tokio::test]
async fn alerts_are_filtered_and_newest_first() {
    let server = with_history().await;
    server.history.put_alert(alert_row("BTC", 0, Severity::Low, AlertStatus::Raised));
    server.history.put_alert(alert_row("BTC", 1, Severity::High, AlertStatus::Raised));
    server.history.put_alert(alert_row("BTC", 2, Severity::High, AlertStatus::Retracted));
    server.history.put_alert(alert_row("ETH", 3, Severity::Low, AlertStatus::Raised));
    server.clock.advance(23 * 3_600_000);
    let count = async |path: &str| server.json(path).await["alert_count"].as_u64().unwrap();
    assert_eq!(count("/api/v1/alerts").await, 3);
    assert_eq!(count("/api/v1/alerts?include_retracted=true").await, 4);
    assert_eq!(count("/api/v1/alerts?severity=high").await, 1);
    assert_eq!(count("/api/v1/alerts?limit=1").await, 1);
    assert_eq!(count("/api/v1/alerts?hours=1").await, 0);
    let of_btc = server.json("/api/v1/alerts/btc?hours=48").await;
    assert_eq!((&of_btc["symbol"], &of_btc["lookback_hours"]), (&json!("BTC"), &json!(48)));
    assert_eq!(
        of_btc["alerts"][0],
        json!({"alert_id": "BTC:1m:1763271060000:zscore", "symbol": "BTC", "alert_type": "PRICE_DROP",
            "severity": "HIGH", "price_change_pct": -1.5, "old_price": 100.0, "new_price": 98.5, "z_score": -6.5,
            "mean": 0.0, "stddev": 0.002, "samples": 60, "threshold": 4.0,
            "window_start": "2025-11-16T05:31:00Z", "window_end": "2025-11-16T05:32:00Z", "revision": 0,
            "status": "raised", "created_at": "2025-11-16T05:32:00Z"})
    );
}

#[tokio::test]
async fn symbols_are_listed_with_their_names() {
    let server = with_history().await;
    server.cache.publish(candle("NEW.X", 0, 1.0, false));
    assert_eq!(
        server.json("/api/v1/symbols").await,
        json!({"symbols": [{"symbol": "BTC", "name": "Bitcoin", "slug": "bitcoin"},
            {"symbol": "NEW.X", "name": "NEW.X", "slug": "new.x"}], "count": 2})
    );
}

fn distribution(bounds: &'static [f64], values: &[f64]) -> Distribution {
    let mut distribution = Distribution::new(bounds);
    values.iter().for_each(|value| distribution.observe(*value));
    distribution
}

#[tokio::test]
async fn stats_and_metrics_show_the_progress_of_the_pipeline() {
    let server = with_history().await;
    server.clock.advance(61_500);
    server.pipeline.change(|status| {
        status.counts = Counts { records_in: 10, on_time: 7, late: 2, malformed: 1, ..Counts::default() };
        status.watermark = Some(EventTime(START_MS));
        status.max_event_time = Some(EventTime(START_MS + 60_000));
        status.candles_settled = [5, 2, 1];
        status.corrections = [2, 1, 0];
        (status.alerts_raised, status.alerts_retracted) = ([2, 1, 1], 1);
        status.partitions = vec![PartitionStatus {
            progress: PartitionProgress {
                partition: 2,
                counts: status.counts,
                offset: Some(9),
                max_event_time: Some(EventTime(START_MS + 60_000)),
                idle: false,
            },
            pending: Some(4),
            silent_seconds: Some(3.5),
        }];
        status.close_seconds = Some(distribution(CLOSE_SECONDS, &[10.5, 7_200.0]));
        status.sinks = vec![SinkStatus {
            name: "books".to_owned(),
            stored_through: Some(EventTime(START_MS)),
            write_seconds: Some(distribution(WRITE_SECONDS, &[0.004, 0.3])),
            ..Default::default()
        }];
    });
    let mut stats = server.json("/api/v1/stats").await;
    assert!(stats["uptime_seconds"].as_f64().unwrap() >= 0.0);
    stats["uptime_seconds"] = json!(0);
    assert_eq!(
        stats,
        json!({"source": "simulated", "ready": true, "uptime_seconds": 0, "records_in": 10,
            "records": {"on_time": 7, "late": 2, "malformed": 1, "invalid": 0, "future": 0, "too_late": 0, "tombstones": 0},
            "symbols": 1, "watermark": "2025-11-16T05:30:00Z", "max_event_time": "2025-11-16T05:31:00Z",
            "lag_seconds": 1.5, "candles_settled": {"1m": 5, "5m": 2, "15m": 1},
            "corrections": {"1m": 2, "5m": 1, "15m": 0},
            "alerts": {"raised": 4, "by_severity": {"LOW": 2, "MEDIUM": 1, "HIGH": 1}, "retracted": 1},
            "partitions": [{"partition": 2, "records_in": 10, "offset": 9, "max_event_time": "2025-11-16T05:31:00Z",
                "idle": false, "pending": 4}],
            "sinks": [{"name": "books", "queue": 0, "retries": 0, "stored_through": "2025-11-16T05:30:00Z", "problem": null}],
            "checkpoint": null, "failure": null,
            "settings": {"keepalive_ms": 30_000, "stale_after_ms": 120_000, "allowed_lateness_ms": null}})
    );

    for path in ["/api/v1/latest/NONE", "/nowhere", "/nowhere/else"] {
        assert_eq!(server.get(path).await.status, StatusCode::NOT_FOUND);
    }
    let reply = server.get("/metrics").await;
    assert!(reply.header("content-type").starts_with("application/openmetrics-text"));
    let text = String::from_utf8(reply.body.to_vec()).unwrap();
    for line in [
        r#"tallow_records_in_total{partition="2"} 10"#,
        r#"tallow_records_total{bucket="on_time"} 7"#,
        r#"tallow_watermark_lag_seconds{partition="2"} 1.5"#,
        r#"tallow_pending_records{partition="2"} 4.0"#,
        r#"tallow_candles_settled_total{interval="5m"} 2"#,
        r#"tallow_corrections_total{interval="1m"} 2"#,
        r#"tallow_alerts_total{severity="LOW"} 2"#,
        r#"tallow_sink_up{sink="books"} 1.0"#,
        r#"tallow_sink_queue{sink="books"} 0.0"#,
        r#"tallow_sink_retries_total{sink="books"} 0"#,
        r#"tallow_sink_write_seconds_sum{sink="books"} 0.304"#,
        r#"tallow_sink_write_seconds_count{sink="books"} 2"#,
        r#"tallow_sink_write_seconds_bucket{le="0.005",sink="books"} 1"#,
        r#"tallow_sink_write_seconds_bucket{le="+Inf",sink="books"} 2"#,
        r#"tallow_window_close_delay_seconds_bucket{le="10.0"} 0"#,
        r#"tallow_window_close_delay_seconds_bucket{le="11.0"} 1"#,
        r#"tallow_window_close_delay_seconds_bucket{le="3600.0"} 1"#,
        r#"tallow_window_close_delay_seconds_bucket{le="+Inf"} 2"#,
        r#"tallow_source_idle_seconds{partition="2"} 3.5"#,
        r#"tallow_http_request_duration_seconds_count{route="/api/v1/stats",code="200"} 1"#,
        r#"tallow_http_request_duration_seconds_count{route="/api/v1/latest/{symbol}",code="404"} 1"#,
        r#"tallow_http_request_duration_seconds_bucket{le="+Inf",route="none",code="404"} 2"#,
        "tallow_ws_clients 0.0",
        "tallow_ws_conflated_total 0",
        "tallow_ws_evicted_total 0",
        "# EOF",
    ] {
        assert!(text.lines().any(|it| it == line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn a_process_without_stores_serves_its_pipeline_alone() {
    let server = Server::of_pipeline().await;
    let health = server.json("/health").await;
    assert_eq!(health["services"], json!({"pipeline": "healthy"}));
    assert_eq!(server.json("/ready").await["status"], "ready");
    assert_eq!(server.json("/api/v1/stats").await["symbols"], json!(null));
    assert_eq!(server.get("/metrics").await.status, StatusCode::OK);
    for path in ["/", "/api/v1/latest/BTC", "/api/v1/historical/BTC", "/ws/prices/BTC"] {
        let reply = server.get(path).await;
        assert_eq!((reply.status, &*reply.problem()), (StatusCode::NOT_FOUND, "no_stores"), "{path}");
    }
    assert_eq!(server.get("/nowhere").await.problem(), "unknown_route");
}

#[tokio::test]
async fn health_names_the_unhealthy_services() {
    let server = Server::start().await;
    let health = server.json("/health").await;
    assert_eq!(
        health,
        json!({"status": "healthy", "timestamp": "2025-11-16T05:30:00Z", "source": "simulated",
            "services": {"quick": "healthy", "books": "healthy", "pipeline": "healthy"}})
    );
    server.cache.is_down.store(true, Ordering::SeqCst);
    server.pipeline.change(|status| {
        let problem = Some("disk is full".to_owned());
        status.sinks = vec![SinkStatus { name: "books".to_owned(), problem, ..Default::default() }];
    });
    let health = server.json("/health").await;
    assert_eq!(health["status"], "degraded");
    assert_eq!(health["services"]["quick"], "unhealthy: cache is damaged: taken down by the test");
    assert_eq!(health["services"]["books"], "unhealthy: disk is full");
    assert_eq!(health["services"]["pipeline"], "healthy");
}

#[tokio::test]
async fn ready_is_503_while_catching_up_and_after_a_failure() {
    let server = Server::start().await;
    assert_eq!(server.json("/ready").await, json!({"status": "ready"}));
    server.pipeline.change(|status| status.ready = false);
    let reply = server.get("/ready").await;
    assert_eq!((reply.status, &*reply.problem()), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"));
    assert_eq!(reply.header("retry-after"), "1");
    server.pipeline.change(|status| {
        status.ready = true;
        status.failure = Some("partition 0 is damaged".to_owned());
    });
    let reply = server.get("/ready").await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(reply.json()["detail"], "the pipeline has failed: partition 0 is damaged");
}

#[tokio::test]
async fn the_page_loads_its_own_files_only() {
    let server = Server::start().await;
    let page = server.get("/").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.header("content-security-policy").starts_with("default-src 'none'; script-src 'self';"));
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    let loaded = text.split(['"', ' ', '>']).filter(|word| word.starts_with("/assets/"));
    for path in loaded {
        let file = server.get(path).await;
        assert_eq!(file.status, StatusCode::OK, "{path}");
        assert_eq!(file.header("cache-control"), "public, max-age=31536000, immutable", "{path}");
        let is_script = path.ends_with(".js");
        assert!(file.header("content-type").starts_with(if is_script {
            "text/javascript"
        } else {
            "text/css"
        }));
    }
    assert!(!text.contains("src=\"http") && !text.contains("@import"), "a file of another site");
    assert_eq!(server.get("/assets/none.js").await.status, StatusCode::NOT_FOUND);
    assert_eq!(server.get("/assets/..%2findex.html").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn without_the_dashboard_only_the_data_is_served() {
    let settings = ServerSettings { dashboard: false, ..Default::default() };
    let server = Server::start_with(settings, 16).await;
    let reply = server.get("/").await;
    assert_eq!((reply.status, &*reply.problem()), (StatusCode::NOT_FOUND, "no_dashboard"));
    assert_eq!(server.get("/api/v1/symbols").await.status, StatusCode::OK);
}
