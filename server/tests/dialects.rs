//! The APIs of other programs over a real socket: Binance's, TradingView's UDF, and the movers.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use hyper::StatusCode;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use tallow_model::rows::{AlertRow, CandleRow, LatestCandle};
use tallow_model::{AlertStatus, AlertType, EventTime, Interval, Severity};
use tallow_testing::server::history::{alert_row, row};
use tallow_testing::server::market::candle;
use tallow_testing::server::{START_MS, Server};

const MINUTE_MS: u64 = 60_000;
const QUARTER_MS: u64 = 15 * MINUTE_MS;
const START: u64 = START_MS / 1000;

/// A server with BTC: minutes 0, 1, 2 and 4 are closed, minute 5 is open since 20 s.
async fn with_minutes() -> Server {
    let server = Server::start().await;
    for (minute, close) in [(0, 101.0), (1, 102.5), (2, 0.00000012), (4, 99.0)] {
        server.history.put(Interval::OneMinute, row("BTC", minute, close));
    }
    server.cache.publish(candle("BTC", 5, 101.25, false));
    server.clock.advance(5 * MINUTE_MS + 20_000);
    server
}

/// The closed quarter with this number after the start; a negative number is before it.
fn quarter(name: &str, number: i64, open: f64, close: f64) -> CandleRow {
    let start_ms = START_MS.checked_add_signed(number * QUARTER_MS as i64).unwrap();
    CandleRow {
        window_start: EventTime(start_ms),
        window_end: EventTime(start_ms + QUARTER_MS),
        open_price: open,
        high_price: open.max(close) + 1.0,
        low_price: open.min(close) - 1.0,
        ..row(name, 0, close)
    }
}

/// The minutes after the start at which klines open.
fn minutes(klines: &Value) -> Vec<u64> {
    let opened = klines.as_array().unwrap().iter().map(|kline| kline[0].as_u64().unwrap());
    opened.map(|opened| (opened - START_MS) / MINUTE_MS).collect()
}

async fn klines(server: &Server, query: &str) -> Vec<u64> {
    minutes(&server.json(&format!("/api/v3/klines?symbol=BTCUSD&interval=1m{query}")).await)
}

/// The code and text of an error in Binance's format.
async fn error_of(server: &Server, path: &str) -> (i64, String) {
    let reply = server.get(path).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{path}: {reply:?}");
    assert_eq!(reply.header("content-type"), "application/json");
    let document = reply.json();
    assert_eq!(document.as_object().unwrap().len(), 2, "{document}");
    (document["code"].as_i64().unwrap(), document["msg"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn binance_answers_ping_and_time() {
    let server = with_minutes().await;
    assert_eq!(server.json("/api/v3/ping").await, json!({}));
    let now = START_MS + 5 * MINUTE_MS + 20_000;
    assert_eq!(server.json("/api/v3/time").await, json!({ "serverTime": now }));
}

#[tokio::test]
async fn binance_lists_the_symbols() {
    let server = with_minutes().await;
    server.cache.publish(candle("NEW.X", 0, 1.0, false));
    let info = server.json("/api/v3/exchangeInfo").await;
    assert_eq!((&info["timezone"], &info["rateLimits"]), (&json!("UTC"), &json!([])));
    assert_eq!(info["serverTime"], START_MS + 5 * MINUTE_MS + 20_000);
    let names: Vec<&str> =
        info["symbols"].as_array().unwrap().iter().map(|it| it["symbol"].as_str().unwrap()).collect();
    assert_eq!(names, ["BTCUSD", "NEW.XUSD"]);
    let btc = &info["symbols"][0];
    let expected = json!({"status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USD", "baseAssetPrecision": 8,
        "quotePrecision": 8, "quoteAssetPrecision": 8, "isSpotTradingAllowed": true, "isMarginTradingAllowed": false,
        "orderTypes": ["LIMIT", "MARKET"], "permissions": ["SPOT"], "permissionSets": [["SPOT"]]});
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&btc[field], value, "{field}");
    }
    let filters: Vec<&str> =
        btc["filters"].as_array().unwrap().iter().map(|it| it["filterType"].as_str().unwrap()).collect();
    assert_eq!(filters, ["PRICE_FILTER", "LOT_SIZE", "MIN_NOTIONAL", "NOTIONAL"]);

    let count = async |query: &str| {
        let info = server.json(&format!("/api/v3/exchangeInfo?{query}")).await;
        info["symbols"].as_array().unwrap().len()
    };
    assert_eq!(count("symbol=new.xusd").await, 1);
    assert_eq!(count("symbols=%5B%22BTCUSD%22,%22NEW.XUSD%22%5D").await, 2);
}

#[tokio::test]
async fn a_kline_is_a_list_of_twelve_fields() {
    let server = with_minutes().await;
    for path in ["klines", "uiKlines"] {
        let path = format!("/api/v3/{path}?symbol=btcusd&interval=1m&timeZone=0");
        let klines = server.json(&path).await;
        let opened = START_MS + 2 * MINUTE_MS;
        assert_eq!(
            klines[2],
            json!([
                opened,
                "100",
                "100",
                "0.00000012",
                "0.00000012",
                "2.5",
                opened + 59_999,
                "250",
                3,
                "0",
                "0",
                "0"
            ])
        );
        // The open kline is the last.
        let opened = START_MS + 5 * MINUTE_MS;
        assert_eq!(
            klines[4],
            json!([
                opened,
                "100",
                "101.25",
                "100",
                "101.25",
                "2.5",
                opened + 59_999,
                "250",
                3,
                "0",
                "0",
                "0"
            ])
        );
        assert_eq!(klines.as_array().unwrap().len(), 5);
    }
}

#[tokio::test]
async fn klines_without_bounds_are_the_newest() {
    let server = with_minutes().await;
    assert_eq!(klines(&server, "").await, [0, 1, 2, 4, 5]);
    assert_eq!(klines(&server, "&limit=3").await, [2, 4, 5]);
    assert_eq!(klines(&server, "&limit=1").await, [5]);
    assert_eq!(klines(&server, "&limit=5000").await, [0, 1, 2, 4, 5]);
}

#[tokio::test]
async fn klines_with_a_start_are_the_oldest_from_it() {
    let server = with_minutes().await;
    let start = START_MS + MINUTE_MS;
    assert_eq!(klines(&server, &format!("&startTime={start}")).await, [1, 2, 4, 5]);
    assert_eq!(klines(&server, &format!("&startTime={}", start + 1)).await, [2, 4, 5]);
    assert_eq!(klines(&server, &format!("&startTime={start}&limit=2")).await, [1, 2]);
    assert_eq!(klines(&server, &format!("&startTime={start}&limit=3")).await, [1, 2, 4]);
    assert_eq!(klines(&server, "&startTime=0&limit=1").await, [0]);
    assert_eq!(klines(&server, &format!("&startTime={}", START_MS + 6 * MINUTE_MS)).await, [0u64; 0]);
}

#[tokio::test]
async fn klines_with_an_end_are_the_newest_up_to_it() {
    let server = with_minutes().await;
    let end = START_MS + 4 * MINUTE_MS;
    assert_eq!(klines(&server, &format!("&endTime={end}")).await, [0, 1, 2, 4]);
    assert_eq!(klines(&server, &format!("&endTime={}", end - 1)).await, [0, 1, 2]);
    assert_eq!(klines(&server, &format!("&endTime={end}&limit=2")).await, [2, 4]);
    assert_eq!(klines(&server, &format!("&endTime={}&limit=2", end + MINUTE_MS)).await, [4, 5]);
    assert_eq!(klines(&server, &format!("&endTime={}", START_MS - 1)).await, [0u64; 0]);
}

#[tokio::test]
async fn klines_between_bounds_are_the_oldest() {
    let server = with_minutes().await;
    let at = |minute: u64| START_MS + minute * MINUTE_MS;
    assert_eq!(klines(&server, &format!("&startTime={}&endTime={}", at(1), at(4))).await, [1, 2, 4]);
    assert_eq!(klines(&server, &format!("&startTime={}&endTime={}&limit=2", at(1), at(4))).await, [1, 2]);
    assert_eq!(klines(&server, &format!("&startTime={}&endTime={}", at(4), at(4))).await, [4]);
    assert_eq!(klines(&server, &format!("&startTime={}&endTime={}", at(4), at(1))).await, [0u64; 0]);
    let end_of_time = u64::MAX;
    assert_eq!(klines(&server, &format!("&startTime={}&endTime={end_of_time}", at(5))).await, [5]);
}

#[tokio::test]
async fn an_open_kline_is_shown_while_it_is_the_newest() {
    let server = with_minutes().await;
    server.history.put(Interval::OneMinute, row("BTC", 5, 90.0));
    assert_eq!(klines(&server, "").await, [0, 1, 2, 4, 5]);
    let newest = server.json("/api/v3/klines?symbol=BTCUSD&interval=1m&limit=1").await;
    assert_eq!(newest[0][4], "90", "the closed one counts");
    server.cache.publish(candle("BTC", 6, 1.0, true));
    assert_eq!(klines(&server, "").await, [0, 1, 2, 4, 5], "closed and not yet in the history");
    server.cache.publish(candle("BTC", 6, 1.0, false));
    assert_eq!(klines(&server, "&limit=2").await, [5, 6]);
    server.cache.is_down.store(true, Ordering::SeqCst);
    assert_eq!(klines(&server, "&limit=2").await, [4, 5], "without the open one while the cache is down");
}

#[tokio::test]
async fn an_open_kline_waits_for_the_window_before_it_to_settle() {
    let server = with_minutes().await;
    server.cache.publish(candle("BTC", 6, 1.0, false));
    // A frontier at the exact end of a window does not close the window.
    let frontier = START_MS + 6 * MINUTE_MS;
    server.pipeline.change(|status| status.watermark = Some(EventTime(frontier)));
    assert_eq!(klines(&server, "&limit=2").await, [2, 4]);
    server.pipeline.change(|status| status.watermark = Some(EventTime(frontier + 1)));
    assert_eq!(klines(&server, "&limit=2").await, [4, 6], "nothing happened in minute 5");
    server.pipeline.change(|status| status.watermark = Some(EventTime(frontier)));
    server.history.put(Interval::OneMinute, row("BTC", 5, 90.0));
    assert_eq!(klines(&server, "&limit=2").await, [5, 6], "nothing lies between");
}

#[tokio::test]
async fn a_rolling_volume_is_not_the_volume_of_a_kline() {
    let server = Server::start().await;
    let rolling = CandleRow { vwap: None, volume_sum: 7.8e10, quote_volume: 0.0, ..row("BTC", 0, 101.0) };
    server.history.put(Interval::OneMinute, rolling);
    let open = LatestCandle { volume_sum: 7.8e10, quote_volume: None, ..candle("BTC", 1, 101.0, false) };
    server.cache.publish(open);
    let klines = server.json("/api/v3/klines?symbol=BTCUSD&interval=1m").await;
    for kline in [&klines[0], &klines[1]] {
        assert_eq!((&kline[5], &kline[7]), (&json!("0"), &json!("0")));
    }
}

#[tokio::test]
async fn long_klines_are_rolled_up_once_they_are_settled() {
    let server = Server::start().await;
    for number in -2..4 {
        server.history.put(Interval::FifteenMinutes, quarter("BTC", number, 100.0, 101.0));
    }
    // The stored quarters are 05:00 to 06:30. At 06:30 the frontier has not passed the last half
    // hour.
    server.pipeline.change(|status| status.watermark = Some(EventTime(START_MS + 60 * MINUTE_MS)));
    let hour = START_MS - 30 * MINUTE_MS;
    for (interval, expected) in [("30m", 2), ("1h", 1), ("2h", 1), ("4h", 0), ("1d", 0)] {
        let klines = server.json(&format!("/api/v3/klines?symbol=BTCUSD&interval={interval}")).await;
        assert_eq!(klines.as_array().unwrap().len(), expected, "{interval}: {klines}");
        if interval == "1h" {
            assert_eq!((&klines[0][0], &klines[0][6]), (&json!(hour), &json!(hour + 3_599_999)));
            assert_eq!((&klines[0][5], &klines[0][8]), (&json!("10"), &json!(12)));
        }
    }
}

#[tokio::test]
async fn errors_have_the_codes_of_binance() {
    let server = with_minutes().await;
    let cases = [
        (
            "klines?interval=1m",
            -1102,
            "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.",
        ),
        (
            "klines?symbol=BTCUSD",
            -1102,
            "Mandatory parameter 'interval' was not sent, was empty/null, or malformed.",
        ),
        ("klines?symbol=&interval=1m", -1105, "Parameter 'symbol' was empty."),
        ("klines?symbol=DOGEUSD&interval=1m", -1121, "Invalid symbol."),
        ("klines?symbol=BTC&interval=1m", -1121, "Invalid symbol."),
        ("klines?symbol=BTCUSD&interval=1M", -1120, "Invalid interval."),
        ("klines?symbol=BTCUSD&interval=7m", -1120, "Invalid interval."),
        (
            "klines?symbol=BTC%2FUSD&interval=1m",
            -1100,
            "Illegal characters found in parameter 'symbol'; legal range is '^[A-Z0-9-_.]{1,23}$'.",
        ),
        (
            "klines?symbol=BTCUSD&interval=1m&limit=x",
            -1100,
            "Illegal characters found in parameter 'limit'; legal range is '^[0-9]{1,20}$'.",
        ),
        ("klines?symbol=BTCUSD&interval=1m&limit=0", -1130, "Data sent for parameter 'limit' is not valid."),
        (
            "klines?symbol=BTCUSD&interval=1m&timeZone=8",
            -1130,
            "Data sent for parameter 'timeZone' is not valid.",
        ),
        (
            "klines?symbol=BTCUSD&interval=1m&a=1",
            -1101,
            "Too many parameters; expected '6' and received '3'.",
        ),
        ("klines?symbol=BTCUSD&symbol=BTCUSD", -1101, "Duplicate values for a parameter detected."),
        ("ping?a=1", -1101, "Too many parameters; expected '0' and received '1'."),
        ("exchangeInfo?symbol=DOGEUSD", -1121, "Invalid symbol."),
        ("ticker/price?symbols=%5B%22BTCUSD%22,%22DOGEUSD%22%5D", -1121, "Invalid symbol."),
        (
            "ticker/price?symbol=BTCUSD&symbols=%5B%22BTCUSD%22%5D",
            -1128,
            "Combination of optional parameters invalid.",
        ),
        (
            "ticker/24hr?symbols=BTCUSD",
            -1100,
            "Illegal characters found in parameter 'symbols'; legal range is \
             '^\\[\"[A-Z0-9-_.]{1,23}\"(,\"[A-Z0-9-_.]{1,23}\")*\\]$'.",
        ),
        ("ticker/24hr?symbol=BTCUSD&type=SHORT", -1130, "Data sent for parameter 'type' is not valid."),
    ];
    for (path, code, message) in cases {
        assert_eq!(error_of(&server, &format!("/api/v3/{path}")).await, (code, message.to_owned()), "{path}");
    }
}

/// A server with BTC at 100 a day ago and 110 now, ETH at 50 and 40, and QUIET without a candle for
/// two days.
async fn with_a_day() -> Server {
    let server = Server::start().await;
    for (number, open, close) in [(-97, 7.0, 98.0), (-96, 100.0, 105.0), (-2, 105.0, 104.0)] {
        server.history.put(Interval::FifteenMinutes, quarter("BTC", number, open, close));
    }
    // The minutes of the last settled quarter are not counted twice.
    server.history.put(Interval::OneMinute, CandleRow { quote_volume: 1e9, ..minute("BTC", -16, 104.0) });
    server.history.put(Interval::OneMinute, minute("BTC", -1, 108.0));
    server.cache.publish(LatestCandle { high: 111.0, ..candle("BTC", 0, 110.3, false) });
    server.history.put(Interval::FifteenMinutes, quarter("ETH", -4, 50.0, 40.0));
    server.history.put(Interval::OneMinute, minute("ETH", -46, 40.0));
    server.history.put(Interval::OneMinute, minute("QUIET", -2 * 24 * 60, 3.5));
    server
}

/// The closed minute with this number, which is negative, relative to the start.
fn minute(name: &str, number: i64, close: f64) -> CandleRow {
    let start_ms = START_MS.checked_add_signed(number * MINUTE_MS as i64).unwrap();
    CandleRow {
        window_start: EventTime(start_ms),
        window_end: EventTime(start_ms + MINUTE_MS),
        ..row(name, 0, close)
    }
}

#[tokio::test]
async fn the_price_comes_from_the_cache_or_the_history() {
    let server = with_a_day().await;
    let btc = json!({"symbol": "BTCUSD", "price": "110.3"});
    assert_eq!(server.json("/api/v3/ticker/price?symbol=BTCUSD").await, btc);
    let eth = json!({"symbol": "ETHUSD", "price": "40"});
    assert_eq!(server.json("/api/v3/ticker/price?symbols=%5B%22ETHUSD%22%5D").await, json!([eth]));
    let quiet = json!({"symbol": "QUIETUSD", "price": "3.5"});
    assert_eq!(server.json("/api/v3/ticker/price").await, json!([btc, eth, quiet]));
    server.cache.is_down.store(true, Ordering::SeqCst);
    let closed = json!({"symbol": "BTCUSD", "price": "108"});
    assert_eq!(server.json("/api/v3/ticker/price").await, json!([closed, eth, quiet]));
}

#[tokio::test]
async fn a_ticker_compares_the_newest_price_with_24_hours_ago() {
    let server = with_a_day().await;
    let day_ms = 24 * 60 * MINUTE_MS;
    let mini = json!({"symbol": "BTCUSD", "openPrice": "100", "highPrice": "111", "lowPrice": "99", "lastPrice": "110.3",
        "volume": "7.50000000", "quoteVolume": "750.00000000", "openTime": START_MS - day_ms,
        "closeTime": START_MS + 30_250, "firstId": -1, "lastId": -1, "count": 9});
    assert_eq!(server.json("/api/v3/ticker/24hr?symbol=btcusd&type=MINI").await, mini);
    let mut full = mini;
    let more = json!({"priceChange": "10.3", "priceChangePercent": "10.300", "weightedAvgPrice": "100.00000000",
        "prevClosePrice": "98", "lastQty": "0", "bidPrice": "0", "bidQty": "0", "askPrice": "0", "askQty": "0"});
    full.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    assert_eq!(server.json("/api/v3/ticker/24hr?symbol=BTCUSD").await, full);

    let all = server.json("/api/v3/ticker/24hr").await;
    assert_eq!(all.as_array().unwrap().len(), 3);
    assert_eq!(all[0], full);
    let changes: Vec<&Value> = all.as_array().unwrap().iter().map(|it| &it["priceChange"]).collect();
    assert_eq!(changes, ["10.3", "-10", "0"]);
    assert_eq!((&all[2]["lastPrice"], &all[2]["count"]), (&json!("3.5"), &json!(0)));
}

#[tokio::test]
async fn the_largest_movers_are_trending() {
    let server = with_a_day().await;
    let trending = server.json("/api/v1/trending").await;
    assert_eq!((&trending["direction"], &trending["count"]), (&json!("abs"), &json!(2)));
    assert_eq!(
        trending["trending"][0],
        json!({"symbol": "ETH", "name": "Ethereum", "price": 40.0, "volume_24h": 2.5, "market_cap": null,
            "price_change_24h": -19.999999999999996, "timestamp": "2025-11-16T04:45:00Z"})
    );
    assert_eq!(trending["trending"][1]["symbol"], "BTC");
    assert_eq!(trending["trending"][1]["timestamp"], "2025-11-16T05:30:30.250Z");
    let symbols = async |query: &str| -> Vec<String> {
        let trending = server.json(&format!("/api/v1/trending?{query}")).await;
        let movers = trending["trending"].as_array().unwrap().clone();
        assert_eq!(trending["count"], movers.len());
        movers.iter().map(|mover| mover["symbol"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(symbols("limit=1").await, ["ETH"]);
    assert_eq!(symbols("direction=gainers").await, ["BTC"]);
    assert_eq!(symbols("direction=losers&limit=50").await, ["ETH"]);
    for query in ["direction=up", "limit=0", "limit=51", "hours=1"] {
        let reply = server.get(&format!("/api/v1/trending?{query}")).await;
        assert_eq!((reply.status, &*reply.problem()), (StatusCode::BAD_REQUEST, "invalid_parameter"));
    }
}

#[tokio::test]
async fn the_udf_configuration_lists_the_capabilities() {
    let server = with_minutes().await;
    assert_eq!(
        server.json("/udf/config").await,
        json!({"supported_resolutions": ["1", "5", "15", "60", "240", "1D"], "supports_search": true,
            "supports_group_request": false, "supports_marks": true, "supports_timescale_marks": false,
            "supports_time": true,
            "exchanges": [{"value": "", "name": "All exchanges", "desc": ""},
                {"value": "TALLOW", "name": "Tallow", "desc": "Tallow"}],
            "symbols_types": [{"name": "All types", "value": ""}, {"name": "Crypto", "value": "crypto"}]})
    );
    let time = server.get("/udf/time").await;
    assert!(time.header("content-type").starts_with("text/plain"));
    assert_eq!(time.body, (START + 320).to_string());
    let btc = json!({"name": "BTC", "ticker": "BTC", "description": "Bitcoin / US dollar", "type": "crypto",
        "session": "24x7", "exchange": "TALLOW", "listed_exchange": "TALLOW", "timezone": "Etc/UTC", "format": "price",
        "minmov": 1, "pricescale": 100, "has_intraday": true, "intraday_multipliers": ["1", "5", "15", "60", "240"],
        "has_daily": true, "has_weekly_and_monthly": false, "supported_resolutions": ["1", "5", "15", "60", "240", "1D"],
        "volume_precision": 8, "currency_code": "USD", "data_status": "streaming"});
    for name in ["BTC", "tallow:btc", "BTCUSD"] {
        assert_eq!(server.json(&format!("/udf/symbols?symbol={name}")).await, btc);
    }
}

#[tokio::test]
async fn a_symbol_is_found_by_a_part_of_its_name() {
    let server = with_minutes().await;
    for name in ["ETH", "ETC", "BTCB"] {
        server.cache.publish(candle(name, 0, 1.0, false));
    }
    assert_eq!(
        server.json("/udf/search?query=bitco&type=&exchange=&limit=10").await,
        json!([{"symbol": "BTC", "full_name": "TALLOW:BTC", "description": "Bitcoin / US dollar",
            "exchange": "TALLOW", "ticker": "BTC", "type": "crypto"}])
    );
    let found = async |query: &str| -> Vec<String> {
        let found = server.json(&format!("/udf/search?{query}")).await;
        found.as_array().unwrap().iter().map(|it| it["symbol"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(found("query=ETH").await, ["ETH", "ETC"], "ETC is Ethereum Classic");
    assert_eq!(found("query=t&exchange=TALLOW&type=crypto").await, ["BTC", "BTCB", "ETC", "ETH"]);
    assert_eq!(found("limit=2").await, ["BTC", "BTCB"]);
    assert_eq!(found("query=BTC&type=stock").await, [""; 0]);
    assert_eq!(found("query=BTC&exchange=OTHER").await, [""; 0]);
}

#[tokio::test]
async fn the_bars_of_a_chart_are_columns() {
    let server = with_minutes().await;
    let path = format!("/udf/history?symbol=BTC&resolution=1&from={START}&to={}", START + 360);
    let bars = server.json(&path).await;
    let times: Vec<u64> = [0, 1, 2, 4, 5].iter().map(|minute| START + minute * 60).collect();
    assert_eq!(
        bars,
        json!({"s": "ok", "t": times, "o": [100.0, 100.0, 100.0, 100.0, 100.0],
            "h": [101.0, 102.5, 100.0, 100.0, 101.25], "l": [100.0, 100.0, 0.00000012, 99.0, 100.0],
            "c": [101.0, 102.5, 0.00000012, 99.0, 101.25], "v": [2.5, 2.5, 2.5, 2.5, 2.5]})
    );
}

#[tokio::test]
async fn a_chart_gets_a_range_or_a_number_of_bars() {
    let server = with_minutes().await;
    let times = async |query: String| -> Vec<u64> {
        let bars = server.json(&format!("/udf/history?symbol=BTC&resolution=1&{query}")).await;
        let times = bars["t"].as_array().unwrap_or_else(|| panic!("{bars}")).clone();
        times.iter().map(|time| (time.as_u64().unwrap() - START) / 60).collect()
    };
    let at = |minute: u64| START + minute * 60;
    assert_eq!(times(format!("from={}&to={}", at(1), at(4))).await, [1, 2], "from is included, to is not");
    assert_eq!(times(format!("from=-1000&to={}", at(1))).await, [0]);
    assert_eq!(times(format!("from={}&to={}&countback=3", at(2), at(5))).await, [1, 2, 4]);
    assert_eq!(times(format!("from={}&to={}&countback=2", at(0), at(60))).await, [4, 5]);
    assert_eq!(times(format!("to={}&countback=99", at(2))).await, [0, 1]);
}

#[tokio::test]
async fn an_empty_range_names_the_next_older_bar() {
    let server = with_minutes().await;
    let path = |from: u64, to: u64| format!("/udf/history?symbol=BTC&resolution=1&from={from}&to={to}");
    let gap = server.json(&path(START + 180, START + 240)).await;
    assert_eq!(gap, json!({"s": "no_data", "nextTime": START + 120}));
    let left = server.json(&path(START - 600, START)).await;
    assert_eq!(left, json!({"s": "no_data"}));
    let counted = server.json(&format!("{}&countback=5", path(START - 600, START))).await;
    assert_eq!(counted, json!({"s": "no_data"}));
    let later = server.json(&path(START + 6000, START + 6060)).await;
    assert_eq!(later, json!({"s": "no_data", "nextTime": START + 300}), "the open bar");
}

#[tokio::test]
async fn raised_alerts_are_marks() {
    let server = with_minutes().await;
    let spike = AlertRow {
        alert_type: AlertType::PriceSpike,
        z_score: 4.25,
        price_change_pct: 1.5,
        ..alert_row("BTC", 7, Severity::Low, AlertStatus::Raised)
    };
    server.history.put_alert(spike);
    server.history.put_alert(alert_row("BTC", 1, Severity::High, AlertStatus::Raised));
    server.history.put_alert(alert_row("BTC", 2, Severity::High, AlertStatus::Retracted));
    server.history.put_alert(alert_row("ETH", 3, Severity::High, AlertStatus::Raised));
    let marks = async |resolution: &str, from: u64, to: u64| {
        let query = format!("symbol=BTC&from={}&to={}", START + from * 60, START + to * 60);
        server.json(&format!("/udf/marks?{query}&resolution={resolution}")).await
    };
    let all = marks("1", 1, 7).await;
    assert_eq!(
        all,
        json!([
            {"id": "BTC:1m:1763271060000:zscore", "time": START + 60, "color": "red", "label": "▼",
                "text": "PRICE_DROP HIGH: 100 to 98.5 (-1.50 %). z -6.50 is beyond ±4: the 60 returns before it have \
                    mean 0.000000 and standard deviation 0.002000.",
                "labelFontColor": "white", "minSize": 28},
            {"id": "BTC:1m:1763271420000:zscore", "time": START + 420, "color": "green", "label": "▲",
                "text": "PRICE_SPIKE LOW: 100 to 98.5 (+1.50 %). z 4.25 is beyond ±4: the 60 returns before it have \
                    mean 0.000000 and standard deviation 0.002000.",
                "labelFontColor": "white", "minSize": 14},
        ])
    );
    assert_eq!(marks("1", 2, 6).await, json!([]), "outside on either side");
    let fives = marks("5", 0, 60).await;
    assert_eq!((&fives[0]["time"], &fives[1]["time"]), (&json!(START), &json!(START + 300)));
}

#[tokio::test]
async fn udf_errors_have_a_message() {
    let server = with_minutes().await;
    let range = format!("from={START}&to={}", START + 60);
    let cases = [
        ("symbols?symbol=DOGE".to_owned(), 404, "unknown_symbol"),
        ("symbols?symbol=OTHER:BTC".to_owned(), 404, "unknown_symbol"),
        ("symbols".to_owned(), 400, "symbol is missing"),
        (format!("history?symbol=DOGE&resolution=1&{range}"), 404, "unknown_symbol"),
        (format!("marks?symbol=DOGE&resolution=1&{range}"), 404, "unknown_symbol"),
        (
            format!("history?symbol=BTC&resolution=7&{range}"),
            400,
            "resolution is \"7\" and has to be one of 1, 5, 15, 60, 240, 1D",
        ),
        ("history?symbol=BTC&resolution=1&to=5".to_owned(), 400, "from is missing"),
        ("history?symbol=BTC&resolution=1&from=5".to_owned(), 400, "to is missing"),
        ("history?symbol=BTC&resolution=1&from=5&to=5".to_owned(), 400, "from has to be before to"),
        (
            "history?symbol=BTC&resolution=1&from=x&to=5".to_owned(),
            400,
            "from is \"x\" and has to be epoch seconds",
        ),
        ("search?limit=-1".to_owned(), 400, "limit is \"-1\" and has to be a whole number"),
    ];
    for (path, status, text) in cases {
        let reply = server.get(&format!("/udf/{path}")).await;
        assert_eq!(reply.status.as_u16(), status, "{path}: {reply:?}");
        assert_eq!(reply.json(), json!({"s": "error", "errmsg": text}), "{path}");
    }
}

#[tokio::test]
async fn dialects_are_read_only_and_report_a_failed_store() {
    let server = with_minutes().await;
    let paths = [
        "/api/v3/klines?symbol=BTCUSD&interval=1m",
        "/api/v3/ticker/24hr",
        "/api/v1/trending",
        "/udf/config",
    ];
    for path in paths {
        assert_eq!(server.send("HEAD", path, &[]).await.status, StatusCode::OK);
        assert_eq!(server.send("OPTIONS", path, &[]).await.status, StatusCode::NO_CONTENT);
        let reply = server.send("POST", path, &[]).await;
        assert_eq!((reply.status, &*reply.problem()), (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"));
    }
    for path in ["/api/v3/depth", "/api/v3/ticker", "/api/v3", "/udf/quotes", "/udf"] {
        let reply = server.get(path).await;
        assert_eq!((reply.status, &*reply.problem()), (StatusCode::NOT_FOUND, "unknown_route"), "{path}");
    }
    server.history.is_down.store(true, Ordering::SeqCst);
    let history = format!("/udf/history?symbol=BTC&resolution=1&from={START}&to={}", START + 60);
    for path in [paths[0], paths[1], paths[2], &history] {
        let reply = server.get(path).await;
        assert_eq!(
            (reply.status, &*reply.problem()),
            (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            "{path}"
        );
    }
}
