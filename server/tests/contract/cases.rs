//! The requests to each path with their expected responses: each parameter at its bounds and
//! beyond.

use crate::market::{DAY, NOW};
use tallow_testing::samples::MIDNIGHT;

/// The expected response.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Expected {
    /// Status 200.
    Success,
    /// Status 426: a plain request to a WebSocket.
    Socket,
    /// A problem document of this status and code.
    Problem(u16, &'static str),
    /// Status 400 in the format of Binance, with this code.
    Binance(i64),
    /// This status in the format of UDF, with a message that begins with this text.
    Udf(u16, &'static str),
}

/// A request and its expected response.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// The path in the OpenAPI document.
    pub(crate) path: &'static str,
    /// The path and query of the request.
    pub(crate) target: String,
    pub(crate) expected: Expected,
}

use Expected::{Binance, Problem, Socket, Success, Udf};

const BAD: Expected = Problem(400, "invalid_parameter");
const UNKNOWN: Expected = Problem(404, "unknown_symbol");
const NO_DATA: Expected = Problem(404, "no_data");

/// Every case of every path.
pub(crate) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for list in [&native()[..], &process(), &binance(), &udf(), &sockets(), &pages()] {
        for (path, requests) in list {
            for (target, expected) in requests {
                // A request that begins with a slash is complete; any other follows the path.
                let target = if target.starts_with('/') { target.clone() } else { format!("{path}{target}") };
                cases.push(Case { path, target, expected: *expected });
            }
        }
    }
    cases
}

type Requests = Vec<(&'static str, Vec<(String, Expected)>)>;

/// Requests with the same expected response.
fn each(expected: Expected, target: &[&str]) -> Vec<(String, Expected)> {
    target.iter().map(|target| ((*target).to_owned(), expected)).collect()
}

fn native() -> Requests {
    let of = |path: &'static str| move |rest: &'static str| format!("{path}{rest}");
    let historical = |symbol: &str, query: &str| format!("/api/v1/historical/{symbol}?{query}");
    let spans = ["1m", "5m", "15m", "1h", "4h", "1d"];

    let mut list: Vec<(String, Expected)> =
        spans.iter().map(|span| (historical("BTC", &format!("interval={span}")), Success)).collect();
    for query in [
        "",
        "limit=1",
        "limit=1000",
        "offset=0",
        "offset=7&limit=3",
        "offset=100000000",
        "order_by=asc",
        "order_by=desc",
        "order_by=ASC",
        "fill=none",
        "fill=previous",
        "format=json",
        "format=csv",
        "format=csv&fill=previous&order_by=asc&limit=40",
        "interval=15m&fill=previous&limit=1000",
        "interval=1h&fill=previous&order_by=asc",
        "interval=4h&format=csv",
        "start_time=0",
        "start_time=2025-11-17T00:30:00Z",
        "start_time=2025-11-17T01:30:00%2B01:00&order_by=asc",
        "end_time=2025-11-17T00:30:00Z",
        "end_time=253402300799999",
        "cursor=253402300799999",
    ] {
        list.push((historical("btc", query), Success));
    }
    for query in [
        format!("start_time={}&end_time={}", DAY + 1, DAY + 1_800_000),
        format!("cursor={}&limit=5", DAY + 3_600_000),
        format!("cursor={}&order_by=asc&fill=previous&limit=5", DAY + 1_740_000),
    ] {
        list.push((historical("B%54C", &query), Success));
    }
    for query in [
        "interval=2m",
        "interval=1w",
        "interval=",
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=1e2",
        "limit=x",
        "offset=-1",
        "offset=100000001",
        "cursor=x",
        "cursor=253402300800000",
        "cursor=1&offset=1",
        "order_by=up",
        "fill=zero",
        "format=xml",
        "start_time=yesterday",
        "start_time=253402300800000",
        "end_time=2025-11-17",
        "start_time=2&end_time=1",
        "start_time=1&end_time=1",
        "limit=1&limit=1",
        "unknown=1",
    ] {
        list.push((historical("BTC", query), BAD));
    }
    for (target, expected) in [
        (historical("NONE", ""), UNKNOWN),
        (historical("NEW.X", ""), NO_DATA),
        (historical("OLD", "interval=5m"), NO_DATA),
        (historical("BTC", &format!("end_time={MIDNIGHT}")), NO_DATA),
        (historical("BTC", &format!("start_time={NOW}")), NO_DATA),
        (historical("BT%2FC", ""), BAD),
        (historical("ABCDEFGHIJKLMNOPQRSTU", ""), BAD),
    ] {
        list.push((target, expected));
    }

    let stats = of("/api/v1/historical/BTC/stats");
    let mut figures = each(Success, &["/api/v1/historical/ETH/stats", "/api/v1/historical/OLD/stats"]);
    figures.extend(spans.map(|span| (format!("/api/v1/historical/BTC/stats?interval={span}"), Success)));
    figures.extend([
        (stats(""), Success),
        (format!("/api/v1/historical/BTC/stats?start_time={DAY}&end_time={}", DAY + 600_000), Success),
        (stats("?interval=7m"), BAD),
        (stats("?start_time=x"), BAD),
        (stats("?end_time=x"), BAD),
        (stats("?limit=1"), BAD),
        (stats("?end_time=1"), NO_DATA),
        ("/api/v1/historical/NONE/stats".to_owned(), UNKNOWN),
    ]);

    let export = |query: &str| format!("/api/v1/historical/BTC/export?{query}");
    let mut exports: Vec<(String, Expected)> =
        spans.iter().map(|span| (export(&format!("interval={span}")), Success)).collect();
    for query in [
        "",
        "order_by=asc",
        "order_by=desc&interval=15m",
        "format=csv",
        "format=jsonl",
        "format=JSONL&interval=1h",
        "start_time=2025-11-17T00:30:00Z",
        "end_time=253402300799999",
        "start_time=2025-11-17T00:30:00Z&end_time=2025-11-17T00:40:00Z",
    ] {
        exports.push((export(query), Success));
    }
    for query in [
        "interval=2m",
        "order_by=up",
        "format=json",
        "start_time=yesterday",
        "end_time=2025-11-17",
        "start_time=2&end_time=1",
        "limit=5",
        "cursor=1",
    ] {
        exports.push((export(query), BAD));
    }
    exports.extend([
        (export("end_time=1"), NO_DATA),
        ("/api/v1/historical/eth/export".to_owned(), Success),
        ("/api/v1/historical/OLD/export?interval=5m".to_owned(), NO_DATA),
        ("/api/v1/historical/NONE/export".to_owned(), UNKNOWN),
        ("/api/v1/historical/BT%2FC/export".to_owned(), BAD),
    ]);

    let newest = of("/api/v1/historical/BTC/latest");
    let mut newest_closed: Vec<(String, Expected)> = spans
        .iter()
        .map(|span| (format!("/api/v1/historical/BTC/latest?interval={span}"), Success))
        .collect();
    newest_closed.extend([
        (newest(""), Success),
        (newest("?interval=1M0"), BAD),
        (newest("?limit=1"), BAD),
        ("/api/v1/historical/OLD/latest?interval=15m".to_owned(), NO_DATA),
        ("/api/v1/historical/NONE/latest".to_owned(), UNKNOWN),
    ]);

    let mut latest = Vec::new();
    for (symbol, expected) in [
        ("BTC", Success),
        ("btc", Success),
        ("ETH", Success),
        ("OLD", Success),
        ("new.x", Success),
        ("%42TC", Success),
        ("NONE", UNKNOWN),
        ("ABCDEFGHIJKLMNOPQRST", UNKNOWN),
        ("ABCDEFGHIJKLMNOPQRSTU", BAD),
        ("B%20C", BAD),
        ("%FF", BAD),
        ("BTC?limit=1", BAD),
    ] {
        latest.push((format!("/api/v1/latest/{symbol}"), expected));
    }

    let alerts = [
        each(
            Success,
            &[
                "",
                "?limit=1",
                "?limit=100",
                "?hours=1",
                "?hours=168",
                "?severity=LOW",
                "?severity=MEDIUM",
                "?severity=HIGH",
                "?severity=high",
                "?include_retracted=true",
                "?include_retracted=false",
                "?hours=168&include_retracted=true&limit=2",
            ],
        ),
        each(
            BAD,
            &[
                "?limit=0",
                "?limit=101",
                "?hours=0",
                "?hours=169",
                "?severity=NONE",
                "?include_retracted=1",
                "?offset=0",
            ],
        ),
    ]
    .concat();
    let mut of_symbol: Vec<(String, Expected)> =
        alerts.iter().map(|(query, expected)| (format!("/api/v1/alerts/BTC{query}"), *expected)).collect();
    of_symbol.extend([
        ("/api/v1/alerts/OLD".to_owned(), Success),
        ("/api/v1/alerts/NEW.X".to_owned(), Success),
        ("/api/v1/alerts/NONE".to_owned(), UNKNOWN),
        ("/api/v1/alerts/B%2FC".to_owned(), BAD),
    ]);

    vec![
        ("/api/v1/latest/{symbol}", latest),
        (
            "/api/v1/latest/all",
            [each(Success, &["", "/api/v1/latest/ALL"]), each(BAD, &["?limit=1"])].concat(),
        ),
        ("/api/v1/historical/{symbol}", list),
        ("/api/v1/historical/{symbol}/stats", figures),
        ("/api/v1/historical/{symbol}/latest", newest_closed),
        ("/api/v1/historical/{symbol}/export", exports),
        ("/api/v1/symbols", [each(Success, &[""]), each(BAD, &["?limit=1"])].concat()),
        (
            "/api/v1/trending",
            [
                each(
                    Success,
                    &[
                        "",
                        "?direction=abs",
                        "?direction=gainers",
                        "?direction=losers",
                        "?direction=LOSERS",
                        "?limit=1",
                        "?limit=50",
                    ],
                ),
                each(BAD, &["?direction=up", "?limit=0", "?limit=51", "?hours=1"]),
            ]
            .concat(),
        ),
        ("/api/v1/alerts", alerts),
        ("/api/v1/alerts/{symbol}", of_symbol),
    ]
}

fn process() -> Requests {
    let alone = || [each(Success, &[""]), each(BAD, &["?verbose=1"])].concat();
    vec![("/health", alone()), ("/ready", alone()), ("/metrics", alone()), ("/api/v1/stats", alone())]
}

fn binance() -> Requests {
    let alone = || [each(Success, &[""]), each(Binance(-1101), &["?unknown=1"])].concat();
    let several = "?symbols=%5B%22BTCUSD%22,%22ethusd%22%5D";
    let symbols = || {
        [
            each(
                Success,
                &["", "?symbol=BTCUSD", "?symbol=btcusd", "?symbol=NEW.XUSD", "?symbol=OLDUSD", several],
            ),
            each(
                Binance(-1121),
                &[
                    "?symbol=BTC",
                    "?symbol=BTCEUR",
                    "?symbol=NONEUSD",
                    "?symbols=%5B%22NONEUSD%22%5D",
                    "?symbol=USD",
                ],
            ),
            each(
                Binance(-1100),
                &["?symbol=BTC/USD", "?symbols=BTCUSD", "?symbols=%5B%5D", "?symbols=%5B1%5D"],
            ),
            each(Binance(-1128), &["?symbol=BTCUSD&symbols=%5B%22BTCUSD%22%5D"]),
            each(Binance(-1105), &["?symbol=", "?symbols="]),
            each(Binance(-1101), &["?symbol=BTCUSD&symbol=BTCUSD", "?limit=1"]),
        ]
        .concat()
    };
    let klines = |path: &str| {
        let target = |query: &str| format!("{path}?symbol=BTCUSD&interval=1m&{query}");
        let spans = ["1m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d"];
        let of_span = |span: &str| (format!("{path}?symbol=BTCUSD&interval={span}"), Success);
        let mut klines: Vec<(String, Expected)> = spans.iter().map(|span| of_span(span)).collect();
        klines.extend([
            (format!("{path}?symbol=ethusd&interval=1m"), Success),
            (format!("{path}?symbol=NEW.XUSD&interval=1m"), Success),
            (target("limit=1"), Success),
            (target("limit=1000"), Success),
            (target("limit=18446744073709551615"), Success),
            (target(&format!("startTime={DAY}&limit=5")), Success),
            (target(&format!("endTime={DAY}&limit=5")), Success),
            (target(&format!("startTime={}&endTime={}", DAY + 1, DAY + 300_000)), Success),
            (target(&format!("startTime={}&endTime={DAY}", DAY + 1)), Success),
            (target("startTime=0&limit=2"), Success),
            (target("startTime=18446744073709551615"), Success),
            (target("endTime=18446744073709551615&timeZone=0"), Success),
            (target("limit=0"), Binance(-1130)),
            (target("limit=-1"), Binance(-1100)),
            (target("limit=99999999999999999999"), Binance(-1130)),
            (target("startTime=x"), Binance(-1100)),
            (target("endTime=1.5"), Binance(-1100)),
            (target("timeZone=1"), Binance(-1130)),
            (target("fromId=1"), Binance(-1101)),
            (format!("{path}?symbol=BTCUSD&interval=1M"), Binance(-1120)),
            (format!("{path}?symbol=BTCUSD&interval=1w"), Binance(-1120)),
            (format!("{path}?symbol=NONEUSD&interval=1m"), Binance(-1121)),
            (format!("{path}?symbol=BTCUSD"), Binance(-1102)),
            (format!("{path}?interval=1m"), Binance(-1102)),
        ]);
        klines
    };
    let types = || {
        [
            each(Success, &["?type=FULL", "?type=MINI", "?symbol=BTCUSD&type=MINI"]),
            each(Binance(-1130), &["?type=ALL"]),
        ]
        .concat()
    };
    vec![
        ("/api/v3/ping", alone()),
        ("/api/v3/time", alone()),
        ("/api/v3/exchangeInfo", symbols()),
        ("/api/v3/klines", klines("/api/v3/klines")),
        ("/api/v3/uiKlines", klines("/api/v3/uiKlines")),
        ("/api/v3/ticker/price", symbols()),
        ("/api/v3/ticker/24hr", [symbols(), types()].concat()),
    ]
}

fn udf() -> Requests {
    let (from, to) = (DAY / 1000, DAY / 1000 + 3600);
    let resolutions = ["1", "5", "15", "60", "240", "1D", "D"];
    let ranged = |path: &'static str| {
        let target = move |query: &str| format!("{path}?symbol=BTC&{query}");
        let of_resolution = |it: &str| (target(&format!("resolution={it}&from={from}&to={to}")), Success);
        let mut requests: Vec<(String, Expected)> = resolutions.iter().map(|it| of_resolution(it)).collect();
        requests.extend([
            (format!("{path}?symbol=TALLOW:BTCUSD&resolution=1&from=-100&to={to}&more=1"), Success),
            (target(&format!("resolution=1&from=0&to={}", u64::MAX / 4)), Success),
            (format!("{path}?symbol=NONE&resolution=1&from={from}&to={to}"), Udf(404, "unknown_symbol")),
            (format!("{path}?resolution=1&from={from}&to={to}"), Udf(400, "symbol is missing")),
            (target(&format!("resolution=7&from={from}&to={to}")), Udf(400, "resolution is \"7\"")),
            (target(&format!("from={from}&to={to}")), Udf(400, "resolution is missing")),
            (target(&format!("resolution=1&to={to}")), Udf(400, "from is missing")),
            (target(&format!("resolution=1&from={from}")), Udf(400, "to is missing")),
            (target(&format!("resolution=1&from=x&to={to}")), Udf(400, "from is \"x\"")),
            (target(&format!("resolution=1&from={from}&to=1.5")), Udf(400, "to is \"1.5\"")),
        ]);
        requests
    };
    let mut history = ranged("/udf/history");
    let range = |query: String| format!("/udf/history?symbol=BTC&resolution=1&{query}");
    history.extend([
        (range(format!("to={to}&countback=0&from={from}")), Success),
        (range(format!("to={to}&countback=5")), Success),
        (range(format!("to={to}&countback={}", u64::MAX)), Success),
        (range(format!("from=0&to={}", MIDNIGHT / 1000)), Success),
        (range(format!("from={}&to={}", DAY / 1000 + 1_800, DAY / 1000 + 1_860)), Success),
        (range(format!("to={to}&countback=-1")), Udf(400, "countback is \"-1\"")),
        (range(format!("from={to}&to={to}")), Udf(400, "from has to be before to")),
    ]);
    vec![
        ("/udf/config", each(Success, &["", "?unknown=1"])),
        ("/udf/time", each(Success, &["", "?unknown=1"])),
        (
            "/udf/symbols",
            [
                each(
                    Success,
                    &[
                        "?symbol=BTC",
                        "?symbol=tallow:btc",
                        "?symbol=btcUsd",
                        "?symbol=BTCUSD",
                        "?symbol=NEW.X",
                        "?symbol=OLD",
                    ],
                ),
                each(Udf(404, "unknown_symbol"), &["?symbol=NONE", "?symbol=OTHER:BTC", "?symbol=B%20C"]),
                each(Udf(400, "symbol is missing"), &["", "?symbol="]),
            ]
            .concat(),
        ),
        (
            "/udf/search",
            [
                each(
                    Success,
                    &[
                        "",
                        "?query=bit",
                        "?query=none",
                        "?limit=1",
                        "?limit=0",
                        "?exchange=TALLOW",
                        "?exchange=OTHER",
                        "?type=crypto",
                        "?type=stock",
                        "?query=t&limit=30&type=&exchange=",
                    ],
                ),
                each(Udf(400, "limit is"), &["?limit=-1", "?limit=x"]),
            ]
            .concat(),
        ),
        ("/udf/history", history),
        ("/udf/marks", ranged("/udf/marks")),
    ]
}

fn sockets() -> Requests {
    let unit = || {
        [each(Socket, &["", "?timeUnit=MILLISECOND"]), each(BAD, &["?timeUnit=MICROSECOND", "?x=1"])].concat()
    };
    vec![
        (
            "/ws/prices/{symbol}",
            [
                each(
                    Socket,
                    &[
                        "/ws/prices/BTC",
                        "/ws/prices/all",
                        "/ws/prices/BTC?interval=1m,5m,15m",
                        "/ws/prices/BTC?closed_only=true",
                        "/ws/prices/BTC?closed_only=false",
                        "/ws/prices/BTC?resume_from=0",
                        "/ws/prices/BTC?interval=5m&resume_from=18446744073709551615",
                        "/ws/prices/ALL?resume_from=1",
                        "/ws/prices/BTC?interval=1m,5m&resume_from=1",
                    ],
                ),
                each(
                    BAD,
                    &[
                        "/ws/prices/BTC?interval=1h",
                        "/ws/prices/BTC?interval=",
                        "/ws/prices/BTC?closed_only=1",
                        "/ws/prices/BTC?resume_from=-1",
                        "/ws/prices/BTC?resume_from=18446744073709551616",
                        "/ws/prices/B%20C",
                        "/ws/prices/BTC?limit=1",
                    ],
                ),
            ]
            .concat(),
        ),
        ("/ws", unit()),
        (
            "/ws/{streams}",
            [
                each(
                    Socket,
                    &[
                        "/ws/btcusd@kline_1m",
                        "/ws/BTCUSD@kline_5m/ethusd@kline_15m",
                        "/ws/0",
                        "/ws/btcusd@kline_1m?timeUnit=MILLISECOND",
                    ],
                ),
                each(
                    BAD,
                    &[
                        "/ws/btcusd",
                        "/ws/btcusd@kline_1h",
                        "/ws/btcusdt@kline_1m",
                        "/ws/btcusd@depth",
                        "/ws/btcusd@kline_1m?timeUnit=MICROSECOND",
                    ],
                ),
            ]
            .concat(),
        ),
        (
            "/stream",
            [
                each(Socket, &["?streams=btcusd@kline_1m/ethusd@kline_5m", "?streams="]),
                each(BAD, &["?streams=btcusd@depth", "?streams=&streams=", "?stream=btcusd@kline_1m"]),
                unit(),
            ]
            .concat(),
        ),
    ]
}

fn pages() -> Requests {
    let file = "/docs/swagger-ui.css";
    vec![
        ("/", each(Success, &["", "?theme=dark"])),
        (
            "/assets/{name}",
            each(Problem(404, "unknown_route"), &["/assets/none.js", "/assets/..%2Findex.html"]),
        ),
        ("/openapi.json", [each(Success, &[""]), each(BAD, &["?pretty=1"])].concat()),
        ("/docs", each(Success, &[""])),
        (
            "/docs/{file}",
            [each(Success, &[file]), each(Problem(404, "unknown_route"), &["/docs/none.js"])].concat(),
        ),
    ]
}
