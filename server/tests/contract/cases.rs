//! What is asked at each path, and what the contract says of it: each parameter at its bounds and beyond.

use crate::market::{DAY, NOW};
use tallow_testing::samples::MIDNIGHT;

/// What has to be answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Expected {
    /// 200.
    Answer,
    /// 426: a WebSocket, asked as if it were none.
    Socket,
    /// A problem document of this status and code.
    Problem(u16, &'static str),
    /// 400 in the shape of Binance, with this code.
    Binance(i64),
    /// This status in the shape of UDF, with a message that begins so.
    Udf(u16, &'static str),
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// The path as the document has it.
    pub(crate) path: &'static str,
    /// What is asked.
    pub(crate) asked: String,
    pub(crate) expected: Expected,
}

use Expected::{Answer, Binance, Problem, Socket, Udf};

const BAD: Expected = Problem(400, "invalid_parameter");
const UNKNOWN: Expected = Problem(404, "unknown_symbol");
const NO_DATA: Expected = Problem(404, "no_data");

/// Every case.
pub(crate) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for list in [&native()[..], &process(), &binance(), &udf(), &sockets(), &pages()] {
        for (path, requests) in list {
            for (asked, expected) in requests {
                // What begins with a slash stands for itself; anything else follows the path.
                let asked = if asked.starts_with('/') { asked.clone() } else { format!("{path}{asked}") };
                cases.push(Case { path, asked, expected: *expected });
            }
        }
    }
    cases
}

type Requests = Vec<(&'static str, Vec<(String, Expected)>)>;

/// Requests that are answered alike.
fn each(expected: Expected, asked: &[&str]) -> Vec<(String, Expected)> {
    asked.iter().map(|asked| ((*asked).to_owned(), expected)).collect()
}

fn native() -> Requests {
    let of = |path: &'static str| move |rest: &'static str| format!("{path}{rest}");
    let historical = |symbol: &str, query: &str| format!("/api/v1/historical/{symbol}?{query}");
    let spans = ["1m", "5m", "15m", "1h", "4h", "1d"];

    let mut list: Vec<(String, Expected)> =
        spans.iter().map(|span| (historical("BTC", &format!("interval={span}")), Answer)).collect();
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
        list.push((historical("btc", query), Answer));
    }
    for query in [
        format!("start_time={}&end_time={}", DAY + 1, DAY + 1_800_000),
        format!("cursor={}&limit=5", DAY + 3_600_000),
        format!("cursor={}&order_by=asc&fill=previous&limit=5", DAY + 1_740_000),
    ] {
        list.push((historical("B%54C", &query), Answer));
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
    for (asked, expected) in [
        (historical("NONE", ""), UNKNOWN),
        (historical("NEW.X", ""), NO_DATA),
        (historical("OLD", "interval=5m"), NO_DATA),
        (historical("BTC", &format!("end_time={MIDNIGHT}")), NO_DATA),
        (historical("BTC", &format!("start_time={NOW}")), NO_DATA),
        (historical("BT%2FC", ""), BAD),
        (historical("ABCDEFGHIJKLMNOPQRSTU", ""), BAD),
    ] {
        list.push((asked, expected));
    }

    let stats = of("/api/v1/historical/BTC/stats");
    let mut figures = each(Answer, &["/api/v1/historical/ETH/stats", "/api/v1/historical/OLD/stats"]);
    figures.extend(spans.map(|span| (format!("/api/v1/historical/BTC/stats?interval={span}"), Answer)));
    figures.extend([
        (stats(""), Answer),
        (format!("/api/v1/historical/BTC/stats?start_time={DAY}&end_time={}", DAY + 600_000), Answer),
        (stats("?interval=7m"), BAD),
        (stats("?start_time=x"), BAD),
        (stats("?end_time=x"), BAD),
        (stats("?limit=1"), BAD),
        (stats("?end_time=1"), NO_DATA),
        ("/api/v1/historical/NONE/stats".to_owned(), UNKNOWN),
    ]);

    let export = |query: &str| format!("/api/v1/historical/BTC/export?{query}");
    let mut exports: Vec<(String, Expected)> =
        spans.iter().map(|span| (export(&format!("interval={span}")), Answer)).collect();
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
        exports.push((export(query), Answer));
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
        ("/api/v1/historical/eth/export".to_owned(), Answer),
        ("/api/v1/historical/OLD/export?interval=5m".to_owned(), NO_DATA),
        ("/api/v1/historical/NONE/export".to_owned(), UNKNOWN),
        ("/api/v1/historical/BT%2FC/export".to_owned(), BAD),
    ]);

    let newest = of("/api/v1/historical/BTC/latest");
    let mut newest_closed: Vec<(String, Expected)> =
        spans.iter().map(|span| (format!("/api/v1/historical/BTC/latest?interval={span}"), Answer)).collect();
    newest_closed.extend([
        (newest(""), Answer),
        (newest("?interval=1M0"), BAD),
        (newest("?limit=1"), BAD),
        ("/api/v1/historical/OLD/latest?interval=15m".to_owned(), NO_DATA),
        ("/api/v1/historical/NONE/latest".to_owned(), UNKNOWN),
    ]);

    let mut latest = Vec::new();
    for (symbol, expected) in [
        ("BTC", Answer),
        ("btc", Answer),
        ("ETH", Answer),
        ("OLD", Answer),
        ("new.x", Answer),
        ("%42TC", Answer),
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
            Answer,
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
        ("/api/v1/alerts/OLD".to_owned(), Answer),
        ("/api/v1/alerts/NEW.X".to_owned(), Answer),
        ("/api/v1/alerts/NONE".to_owned(), UNKNOWN),
        ("/api/v1/alerts/B%2FC".to_owned(), BAD),
    ]);

    vec![
        ("/api/v1/latest/{symbol}", latest),
        (
            "/api/v1/latest/all",
            [each(Answer, &["", "/api/v1/latest/ALL"]), each(BAD, &["?limit=1"])].concat(),
        ),
        ("/api/v1/historical/{symbol}", list),
        ("/api/v1/historical/{symbol}/stats", figures),
        ("/api/v1/historical/{symbol}/latest", newest_closed),
        ("/api/v1/historical/{symbol}/export", exports),
        ("/api/v1/symbols", [each(Answer, &[""]), each(BAD, &["?limit=1"])].concat()),
        (
            "/api/v1/trending",
            [
                each(
                    Answer,
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
    let alone = || [each(Answer, &[""]), each(BAD, &["?verbose=1"])].concat();
    vec![("/health", alone()), ("/ready", alone()), ("/metrics", alone()), ("/api/v1/stats", alone())]
}

fn binance() -> Requests {
    let alone = || [each(Answer, &[""]), each(Binance(-1101), &["?unknown=1"])].concat();
    let several = "?symbols=%5B%22BTCUSD%22,%22ethusd%22%5D";
    let symbols = || {
        [
            each(
                Answer,
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
        let asked = |query: &str| format!("{path}?symbol=BTCUSD&interval=1m&{query}");
        let spans = ["1m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d"];
        let of_span = |span: &str| (format!("{path}?symbol=BTCUSD&interval={span}"), Answer);
        let mut klines: Vec<(String, Expected)> = spans.iter().map(|span| of_span(span)).collect();
        klines.extend([
            (format!("{path}?symbol=ethusd&interval=1m"), Answer),
            (format!("{path}?symbol=NEW.XUSD&interval=1m"), Answer),
            (asked("limit=1"), Answer),
            (asked("limit=1000"), Answer),
            (asked("limit=18446744073709551615"), Answer),
            (asked(&format!("startTime={DAY}&limit=5")), Answer),
            (asked(&format!("endTime={DAY}&limit=5")), Answer),
            (asked(&format!("startTime={}&endTime={}", DAY + 1, DAY + 300_000)), Answer),
            (asked(&format!("startTime={}&endTime={DAY}", DAY + 1)), Answer),
            (asked("startTime=0&limit=2"), Answer),
            (asked("startTime=18446744073709551615"), Answer),
            (asked("endTime=18446744073709551615&timeZone=0"), Answer),
            (asked("limit=0"), Binance(-1130)),
            (asked("limit=-1"), Binance(-1100)),
            (asked("limit=99999999999999999999"), Binance(-1130)),
            (asked("startTime=x"), Binance(-1100)),
            (asked("endTime=1.5"), Binance(-1100)),
            (asked("timeZone=1"), Binance(-1130)),
            (asked("fromId=1"), Binance(-1101)),
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
            each(Answer, &["?type=FULL", "?type=MINI", "?symbol=BTCUSD&type=MINI"]),
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
        let asked = move |query: &str| format!("{path}?symbol=BTC&{query}");
        let of_resolution = |it: &str| (asked(&format!("resolution={it}&from={from}&to={to}")), Answer);
        let mut requests: Vec<(String, Expected)> = resolutions.iter().map(|it| of_resolution(it)).collect();
        requests.extend([
            (format!("{path}?symbol=TALLOW:BTCUSD&resolution=1&from=-100&to={to}&more=1"), Answer),
            (asked(&format!("resolution=1&from=0&to={}", u64::MAX / 4)), Answer),
            (format!("{path}?symbol=NONE&resolution=1&from={from}&to={to}"), Udf(404, "unknown_symbol")),
            (format!("{path}?resolution=1&from={from}&to={to}"), Udf(400, "symbol is missing")),
            (asked(&format!("resolution=7&from={from}&to={to}")), Udf(400, "resolution is \"7\"")),
            (asked(&format!("from={from}&to={to}")), Udf(400, "resolution is missing")),
            (asked(&format!("resolution=1&to={to}")), Udf(400, "from is missing")),
            (asked(&format!("resolution=1&from={from}")), Udf(400, "to is missing")),
            (asked(&format!("resolution=1&from=x&to={to}")), Udf(400, "from is \"x\"")),
            (asked(&format!("resolution=1&from={from}&to=1.5")), Udf(400, "to is \"1.5\"")),
        ]);
        requests
    };
    let mut history = ranged("/udf/history");
    let range = |query: String| format!("/udf/history?symbol=BTC&resolution=1&{query}");
    history.extend([
        (range(format!("to={to}&countback=0&from={from}")), Answer),
        (range(format!("to={to}&countback=5")), Answer),
        (range(format!("to={to}&countback={}", u64::MAX)), Answer),
        (range(format!("from=0&to={}", MIDNIGHT / 1000)), Answer),
        (range(format!("from={}&to={}", DAY / 1000 + 1_800, DAY / 1000 + 1_860)), Answer),
        (range(format!("to={to}&countback=-1")), Udf(400, "countback is \"-1\"")),
        (range(format!("from={to}&to={to}")), Udf(400, "from has to be before to")),
    ]);
    vec![
        ("/udf/config", each(Answer, &["", "?unknown=1"])),
        ("/udf/time", each(Answer, &["", "?unknown=1"])),
        (
            "/udf/symbols",
            [
                each(
                    Answer,
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
                    Answer,
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
        ("/", each(Answer, &["", "?theme=dark"])),
        (
            "/assets/{name}",
            each(Problem(404, "unknown_route"), &["/assets/none.js", "/assets/..%2Findex.html"]),
        ),
        ("/openapi.json", [each(Answer, &[""]), each(BAD, &["?pretty=1"])].concat()),
        ("/docs", each(Answer, &[""])),
        (
            "/docs/{file}",
            [each(Answer, &[file]), each(Problem(404, "unknown_route"), &["/docs/none.js"])].concat(),
        ),
    ]
}
