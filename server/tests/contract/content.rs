//! The contents of responses that the contract names: prices, alerts, statistics, and the APIs of
//! two other programs.

use crate::market::{DAY, MINUTES, NOW, QUIET, all_open};
use crate::sides::Both;
use serde_json::{Value, json};
use tallow_model::rows::LatestCandle;
use tallow_testing::samples::{MIDNIGHT, MINUTE};

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(|key| &**key).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_price_comes_from_the_cache_or_the_history() {
    let both = Both::start().await;
    let reply = both.get("/api/v1/latest/BTC").await;
    assert_eq!((reply.header("x-cache-hit"), reply.header("x-data-age-seconds")), ("true", "0.500"));
    assert_eq!(
        reply.json(),
        json!({"symbol": "BTC", "window_start": "2025-11-17T02:07:00Z", "window_end": "2025-11-17T02:08:00Z",
            "open": 95_804.75, "high": 95_806.75, "low": 95_803.75, "close": 95_805.75, "volume_sum": 4.0,
            "event_count": 4, "is_closed": false, "revision": 0, "event_time": "2025-11-17T02:07:29.750Z",
            "stale": false, "source": "simulated"})
    );
    let reply = both.get("/api/v1/latest/OLD").await;
    let latest = reply.json();
    assert_eq!(
        (reply.header("x-cache-hit"), &latest["is_closed"], &latest["stale"]),
        ("false", &json!(true), &json!(true))
    );
    assert_eq!(latest["low"], json!(0.000_000_12 - 1.0), "digit for digit");
    let quote = both.json("/api/v1/latest/ETH").await;
    assert_eq!(quote["volume_sum"], 9.4e9);

    let all = both.json("/api/v1/latest/all").await;
    assert_eq!(keys(&all["prices"]), ["BTC", "ETH", "NEW.X", "OLD"]);
    assert_eq!(
        (&all["timestamp"], &all["cache_hit_rate"]),
        (&json!("2025-11-17T02:07:30.250Z"), &json!("75.0%"))
    );
    let symbols = both.json("/api/v1/symbols").await;
    assert_eq!(symbols["count"], 4);
    assert_eq!(symbols["symbols"][0], json!({"symbol": "BTC", "name": "Bitcoin", "slug": "bitcoin"}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_of_the_last_hours_are_newest_first() {
    let both = Both::start().await;
    let minutes = async |query: &str| -> Vec<u64> {
        let response = both.json(&format!("/api/v1/alerts{query}")).await;
        let alerts = response["alerts"].as_array().unwrap().clone();
        assert_eq!(response["alert_count"], alerts.len());
        let minute = |alert: &Value| {
            let time: jiff::Timestamp = alert["window_start"].as_str().unwrap().parse().unwrap();
            (time.as_millisecond() as u64).saturating_sub(DAY) / MINUTE
        };
        alerts.iter().map(minute).collect()
    };
    assert_eq!(minutes("").await, [110, 60, 10]);
    assert_eq!(minutes("?include_retracted=true").await, [110, 61, 60, 10]);
    assert_eq!(minutes("?hours=168").await, [110, 60, 10, 0], "the last is of the previous day");
    assert_eq!(minutes("?hours=1").await, [110]);
    assert_eq!(minutes("?severity=medium").await, [60]);
    assert_eq!(minutes("?limit=2").await, [110, 60]);
    assert_eq!(minutes("/BTC").await, [60, 10]);
    assert_eq!(minutes("/OLD").await, [0; 0]);
    let response = both.json("/api/v1/alerts/btc?hours=48&limit=1").await;
    assert_eq!((&response["symbol"], &response["lookback_hours"]), (&json!("BTC"), &json!(48)));
    assert_eq!(
        response["alerts"][0],
        json!({"alert_id": format!("BTC:1m:{}:zscore", DAY + 60 * MINUTE), "symbol": "BTC",
            "alert_type": "PRICE_DROP", "severity": "MEDIUM", "price_change_pct": (97.25 / 100.5 - 1.0) * 100.0,
            "old_price": 100.5, "new_price": 97.25, "z_score": -6.5, "mean": 0.00001, "stddev": 0.002, "samples": 60,
            "threshold": 4.0, "window_start": "2025-11-17T01:00:00Z", "window_end": "2025-11-17T01:01:00Z",
            "revision": 0, "status": "raised", "created_at": "2025-11-17T01:01:00Z"})
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statistics_fit_the_candles_of_their_range() {
    let both = Both::start().await;
    let range = format!("start_time={DAY}&end_time={}", DAY + 120 * MINUTE);
    let figures = both.json(&format!("/api/v1/historical/BTC/stats?{range}")).await;
    let rows = both.json(&format!("/api/v1/historical/BTC?order_by=asc&limit=1000&{range}")).await;
    let rows = rows.as_array().unwrap();
    let of = |field: &'static str| rows.iter().map(move |row| row[field].as_f64().unwrap());
    assert_eq!(figures["candle_count"], rows.len());
    assert_eq!(figures["lowest_price"], of("low_price").fold(f64::MAX, f64::min));
    assert_eq!(figures["highest_price"], of("high_price").fold(f64::MIN, f64::max));
    let close = |field: &str, expected: f64| {
        let found = figures[field].as_f64().unwrap();
        assert!((found - expected).abs() <= 1e-9 * expected.abs(), "{field}: {found} is not {expected}");
    };
    close("total_volume", of("volume_sum").sum());
    let ticks: f64 = of("trade_count").sum();
    close(
        "average_price",
        of("avg_price").zip(of("trade_count")).map(|(price, count)| price * count).sum::<f64>() / ticks,
    );
    let (open, last) = (of("open_price").next().unwrap(), of("close_price").next_back().unwrap());
    close("price_change_pct", (last / open - 1.0) * 100.0);
    for field in ["volatility", "volume_price_correlation", "price_range"] {
        assert!(figures[field].as_f64().is_some_and(f64::is_finite), "{field}");
    }
    assert_eq!(
        json!([figures["start_time"], figures["end_time"]]),
        json!(["2025-11-17T00:00:00Z", "2025-11-17T02:00:00Z"])
    );
    // Rolling volumes are not summed, and statistics without a value are null.
    assert_eq!(both.json("/api/v1/historical/ETH/stats").await["total_volume"], 0.0);
    assert_eq!(both.json("/api/v1/historical/OLD/stats").await["volatility"], json!(null));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_process_reports_the_progress_of_the_pipeline() {
    let both = Both::start().await;
    let health = both.json("/health").await;
    assert_eq!((&health["status"], &health["source"]), (&json!("healthy"), &json!("simulated")));
    let stats = both.json("/api/v1/stats").await;
    assert_eq!(
        json!([
            stats["records_in"],
            stats["symbols"],
            stats["watermark"],
            stats["lag_seconds"],
            stats["ready"]
        ]),
        json!([10, 4, "2025-11-17T02:07:20.250Z", 0.5, true])
    );
    assert_eq!(
        stats["alerts"],
        json!({"raised": 4, "by_severity": {"LOW": 2, "MEDIUM": 1, "HIGH": 1}, "retracted": 1})
    );
    let metrics = both.get("/metrics").await;
    let text = std::str::from_utf8(&metrics.body).unwrap();
    for line in
        [r#"tallow_records_total{bucket="late"} 2"#, r#"tallow_candles_settled_total{interval="5m"} 2"#]
    {
        assert!(text.lines().any(|it| it == line), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_open_kline_has_its_quote_volume() {
    let both = Both::start().await;
    for open in all_open() {
        let LatestCandle { symbol, interval, window_start, quote_volume, .. } = LatestCandle::from(&open);
        for path in ["klines", "uiKlines"] {
            let klines =
                both.json(&format!("/api/v3/{path}?symbol={symbol}USD&interval={interval}&limit=1")).await;
            let (volume, quote) =
                quote_volume.map_or((0.0, 0.0), |quote| (open.candle.volume().value(), quote));
            let candle = &open.candle;
            let prices =
                [candle.open, candle.high, candle.low, candle.close].map(|price| price.0.to_string());
            let end = window_start * 1000 + interval.millis() - 1;
            assert_eq!(
                klines[0],
                json!([
                    window_start * 1000,
                    prices[0],
                    prices[1],
                    prices[2],
                    prices[3],
                    volume.to_string(),
                    end,
                    quote.to_string(),
                    candle.count,
                    "0",
                    "0",
                    "0"
                ])
            );
        }
        assert_eq!(quote_volume.is_some(), &*symbol.text() != "ETH", "a quote has no size");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn klines_are_selected_by_start_and_end_time() {
    let both = Both::start().await;
    let minutes = async |query: String| -> Vec<u64> {
        let klines = both.json(&format!("/api/v3/klines?symbol=BTCUSD&interval=1m{query}")).await;
        let times = klines.as_array().unwrap().iter().map(|kline| kline[0].as_u64().unwrap());
        times.map(|time| (time - DAY) / MINUTE).collect()
    };
    let at = |minute: u64| DAY + minute * MINUTE;
    assert_eq!(minutes("&limit=3".to_owned()).await, [125, 126, 127], "the last is open");
    assert_eq!(minutes(format!("&startTime={}&limit=3", at(28))).await, [28, 29, 33]);
    assert_eq!(minutes(format!("&endTime={}&limit=3", at(33))).await, [28, 29, 33]);
    assert_eq!(minutes(format!("&startTime={}&endTime={}&limit=2", at(5), at(9))).await, [5, 6]);
    assert_eq!(minutes(format!("&startTime={}&endTime={}", at(QUIET[0]), at(QUIET[2]))).await, [0; 0]);
    assert_eq!(minutes(String::new()).await.len() as u64, MINUTES - 4 + 1);
    for (interval, millis) in
        [("1m", MINUTE), ("30m", 30 * MINUTE), ("12h", 720 * MINUTE), ("1d", 1440 * MINUTE)]
    {
        for kline in
            both.json(&format!("/api/v3/klines?symbol=BTCUSD&interval={interval}")).await.as_array().unwrap()
        {
            assert_eq!(kline[6].as_u64().unwrap(), kline[0].as_u64().unwrap() + millis - 1, "{interval}");
        }
    }
    let info = both.json("/api/v3/exchangeInfo?symbol=BTCUSD").await;
    let listed = &info["symbols"][0];
    assert_eq!(
        json!([listed["symbol"], listed["baseAsset"], listed["quoteAsset"]]),
        json!(["BTCUSD", "BTC", "USD"])
    );
    assert_eq!(both.json("/api/v3/time").await, json!({"serverTime": NOW}));
    let price = json!({"symbol": "BTCUSD", "price": "95805.75"});
    assert_eq!(both.json("/api/v3/ticker/price?symbol=BTCUSD").await, price);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chart_gets_all_its_bars_and_marks() {
    let both = Both::start().await;
    let bars = async |query: String| both.json(&format!("/udf/history?symbol=BTC&{query}")).await;
    // Charts read backwards from now, an hour at a time.
    let (mut seen, mut to) = (Vec::new(), NOW / 1000 + 60);
    loop {
        let from = to - 3_600;
        let page = bars(format!("resolution=1&from={from}&to={to}")).await;
        if page["s"] == "no_data" {
            assert!(page.get("nextTime").is_none(), "{page}");
            break;
        }
        let times: Vec<u64> =
            page["t"].as_array().unwrap().iter().map(|time| time.as_u64().unwrap()).collect();
        for column in ["o", "h", "l", "c", "v"] {
            assert_eq!(page[column].as_array().unwrap().len(), times.len(), "{column}");
        }
        assert!(times.is_sorted() && times.iter().all(|time| (from..to).contains(time)), "{times:?}");
        seen.splice(0..0, times);
        to = from;
    }
    let minutes = (0..=MINUTES).filter(|minute| !QUIET.contains(minute));
    let expected: Vec<u64> = minutes.map(|minute| (DAY + minute * MINUTE) / 1000).collect();
    assert_eq!(seen, expected);
    // A gap names the bar before it.
    let (from, to) = (DAY / 1000 + QUIET[0] * 60, DAY / 1000 + (QUIET[2] + 1) * 60);
    let gap = bars(format!("resolution=1&from={from}&to={to}")).await;
    assert_eq!(gap, json!({"s": "no_data", "nextTime": DAY / 1000 + 29 * 60}));
    let day = bars(format!("resolution=1D&from=0&to={}", NOW / 1000)).await;
    assert_eq!(day["t"], json!([MIDNIGHT / 1000]));

    let marks = both.json(&format!("/udf/marks?symbol=BTC&resolution=5&from=0&to={}", NOW / 1000)).await;
    let times: Vec<&Value> = marks.as_array().unwrap().iter().map(|mark| &mark["time"]).collect();
    assert_eq!(json!(times), json!([MIDNIGHT / 1000 + 3_600, DAY / 1000 + 600, DAY / 1000 + 3_600]));
    assert_eq!(both.get("/udf/time").await.body, (NOW / 1000).to_string());
}
