//! Every operation, in the order of the document.

use super::operation::{Errors, Operation, Tag};
use crate::api::{alerts, export, historical, trending};
use crate::dialects::{binance, udf};
use crate::parameter::{Literal, Parameter};

const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

const SYMBOL: Parameter =
    Parameter::text("symbol", "^[A-Za-z0-9._-]{1,20}$", "A symbol, in any case.").like(Literal::Text("BTC"));

const TIME_UNIT: Parameter =
    Parameter::choice("timeUnit", &["MILLISECOND"], "The unit of times in events; there is this one.")
        .or(Literal::Text("MILLISECOND"));
const STREAM: &str = "^[A-Za-z0-9._-]{1,20}[Uu][Ss][Dd]@kline_(1m|5m|15m)$";

/// The operation that the others differ from.
const BASE: Operation = Operation {
    path: "",
    id: "",
    tag: Tag::Prices,
    summary: "",
    description: "",
    parameters: &[],
    place: None,
    content: &[],
    headers: &[],
    is_storable: true,
    errors: Errors::Problems,
};
const OF_SYMBOL: Operation = Operation { place: Some(SYMBOL), ..BASE };
const BINANCE: Operation = Operation { tag: Tag::Binance, errors: Errors::Binance, ..BASE };
const UDF: Operation = Operation { tag: Tag::TradingView, errors: Errors::Udf, ..BASE };
const PAGE: Operation = Operation { tag: Tag::Pages, errors: Errors::Page, ..BASE };
const SOCKET: Operation = Operation { tag: Tag::Live, errors: Errors::WebSocket, is_storable: false, ..BASE };

pub(super) const OPERATIONS: [Operation; 36] = [
    Operation {
        path: "/api/v1/latest/{symbol}",
        id: "latest",
        summary: "The newest one-minute candle of a symbol, open or closed",
        description: "The candle comes from the cache. If the cache has none or can't be read, the newest closed candle is returned.",
        content: &[(JSON, "Latest")],
        headers: &["DataSource", "CacheHit", "DataAge"],
        ..OF_SYMBOL
    },
    Operation {
        path: "/api/v1/latest/all",
        id: "latestOfAll",
        summary: "The newest one-minute candle of every symbol",
        description: "`all` may be written in any case.",
        content: &[(JSON, "LatestAll")],
        headers: &["DataSource", "CacheHit", "DataAgeIfAny"],
        ..BASE
    },
    Operation {
        path: "/api/v1/historical/{symbol}",
        id: "historical",
        summary: "Closed candles",
        description: "Candles that are still open are left out. Intervals beyond `15m` are rolled up in the query; a candle \
            is shown once all of its parts have settled. If there are more candles than `limit`, `Link` leads to the next page.",
        parameters: &historical::LIST_PARAMETERS,
        content: &[(JSON, "Candles"), ("text/csv; charset=utf-8", "CandlesCsv")],
        headers: &["TotalCount", "ReturnedCount", "HasMore", "NextCursor", "Link"],
        ..OF_SYMBOL
    },
    Operation {
        path: "/api/v1/historical/{symbol}/stats",
        id: "historicalStats",
        summary: "Figures over a range of closed candles",
        parameters: &historical::STATS_PARAMETERS,
        content: &[(JSON, "CandleFigures")],
        ..OF_SYMBOL
    },
    Operation {
        path: "/api/v1/historical/{symbol}/latest",
        id: "historicalLatest",
        summary: "The newest closed candle",
        parameters: &historical::LATEST_PARAMETERS,
        content: &[(JSON, "Candle")],
        ..OF_SYMBOL
    },
    Operation {
        path: "/api/v1/historical/{symbol}/export",
        id: "historicalExport",
        summary: "The closed candles of a range of any length, as a file",
        description: "The rows of `/api/v1/historical/{symbol}`, all of its pages put together. The file is written while it \
            is read, at the pace of its reader: it has no tag, and no length in advance. An answer that ends without its last \
            chunk is not whole; a store that fails half-way ends it so. It needs HTTP/1.1.",
        parameters: &export::PARAMETERS,
        content: &[("text/csv; charset=utf-8", "CandlesCsv"), ("application/jsonl", "CandlesJsonl")],
        headers: &["ContentDisposition"],
        is_storable: false,
        errors: Errors::Streamed,
        ..OF_SYMBOL
    },
    Operation {
        path: "/api/v1/symbols",
        id: "symbols",
        summary: "Every symbol that has been seen",
        content: &[(JSON, "Symbols")],
        ..BASE
    },
    Operation {
        path: "/api/v1/trending",
        id: "trending",
        summary: "The symbols that have moved most in 24 hours",
        description: "The newest price against the open of the first settled candle of these 24 hours.",
        parameters: &trending::PARAMETERS,
        content: &[(JSON, "Trending")],
        ..BASE
    },
    Operation {
        path: "/api/v1/alerts",
        id: "alerts",
        tag: Tag::Alerts,
        summary: "The alerts of all symbols, newest first",
        parameters: &alerts::PARAMETERS,
        content: &[(JSON, "Alerts")],
        ..BASE
    },
    Operation {
        path: "/api/v1/alerts/{symbol}",
        id: "alertsOfSymbol",
        tag: Tag::Alerts,
        summary: "The alerts of a symbol, newest first",
        parameters: &alerts::PARAMETERS,
        content: &[(JSON, "Alerts")],
        ..OF_SYMBOL
    },
    Operation {
        path: "/ws/prices/{symbol}",
        id: "livePrices",
        summary: "Live prices",
        description: "A WebSocket. The server sends one JSON object a frame, told apart by `type`: `connection`, then \
            `initial_data` for each candle as it stands, `price_update` as candles move, close or are corrected, \
            `alert`, `keepalive` in silence, `pong` to the client's `{\"type\":\"ping\"}`, and `resync_required` where \
            updates may be missing: of its `interval` from `from_seq` on, or, without an `interval`, of everything that \
            the client has subscribed to, alerts too. `ALL` is every symbol. It closes with 1008 for an unknown symbol and for a \
            client that sends more than 5 messages a second, 1013 for one that takes in too little, 1001 when the server stops.",
        place: Some(SYMBOL.about("A symbol, or `ALL` for every one, in any case.")),
        parameters: &[
            Parameter::text(
                "interval",
                "^(1m|5m|15m)(,(1m|5m|15m))*$",
                "The lengths of the windows, separated by commas.",
            )
            .or(Literal::Text("1m")),
            Parameter::flag("closed_only", "Leaves out candles that are still open.")
                .or(Literal::Flag(false)),
            Parameter::integer(
                "resume_from",
                0,
                u64::MAX,
                "The last `seq` that the client has seen, to be sent the closed candles since, or `resync_required` where \
                 some may be missing or they are too many. A `seq` counts the updates of one symbol and interval: with \
                 several the answer is always `resync_required`. Alerts have none; what was missed of them is at \
                 `/api/v1/alerts`.",
            ),
        ],
        ..SOCKET
    },
    Operation {
        path: "/ws",
        id: "binanceSocket",
        summary: "Binance's streams, to be subscribed to",
        description: "A WebSocket after Binance's: the client sends `SUBSCRIBE`, `UNSUBSCRIBE` and `LIST_SUBSCRIPTIONS` \
            with an `id`.",
        parameters: &[TIME_UNIT],
        ..SOCKET
    },
    Operation {
        path: "/ws/{streams}",
        id: "binanceStreams",
        summary: "Binance's streams, each event by itself",
        description: "A WebSocket after Binance's. The streams are those of klines, of the settled intervals.",
        place: Some(
            Parameter::text("streams", STREAM, "A stream; further ones may follow after `/` each.")
                .like(Literal::Text("btcusd@kline_1m")),
        ),
        parameters: &[TIME_UNIT],
        ..SOCKET
    },
    Operation {
        path: "/stream",
        id: "binanceCombinedStreams",
        summary: "Binance's streams, each event with the name of its stream",
        description: "A WebSocket after Binance's.",
        parameters: &[
            Parameter::text(
                "streams",
                "^([A-Za-z0-9._-]{1,20}[Uu][Ss][Dd]@kline_(1m|5m|15m)(/|$))*$",
                "Streams with `/` between them, 1024 at most.",
            )
            .like(Literal::Text("btcusd@kline_1m/ethusd@kline_5m")),
            TIME_UNIT,
        ],
        ..SOCKET
    },
    Operation {
        path: "/health",
        id: "health",
        tag: Tag::Process,
        summary: "The health of each part",
        description: "The status is 200 even if a part does not work: `status` is then `degraded`.",
        content: &[(JSON, "Health")],
        is_storable: false,
        errors: Errors::Probe,
        ..BASE
    },
    Operation {
        path: "/ready",
        id: "ready",
        tag: Tag::Process,
        summary: "The readiness of the process",
        description: "503 until the pipeline has caught up with its log, and after it has failed.",
        content: &[(JSON, "Ready")],
        is_storable: false,
        errors: Errors::Probe,
        ..BASE
    },
    Operation {
        path: "/metrics",
        id: "metrics",
        tag: Tag::Process,
        summary: "Figures for Prometheus",
        content: &[("application/openmetrics-text; version=1.0.0; charset=utf-8", "Metrics")],
        is_storable: false,
        ..BASE
    },
    Operation {
        path: "/api/v1/stats",
        id: "stats",
        tag: Tag::Process,
        summary: "The figures of the running pipeline",
        content: &[(JSON, "Stats")],
        ..BASE
    },
    Operation {
        path: "/api/v3/ping",
        id: "binancePing",
        summary: "An empty object",
        content: &[(JSON, "BinancePing")],
        ..BINANCE
    },
    Operation {
        path: "/api/v3/time",
        id: "binanceTime",
        summary: "The server's time",
        content: &[(JSON, "BinanceServerTime")],
        ..BINANCE
    },
    Operation {
        path: "/api/v3/exchangeInfo",
        id: "binanceExchangeInfo",
        summary: "The symbols",
        parameters: &binance::EXCHANGE_INFO_PARAMETERS,
        content: &[(JSON, "BinanceExchangeInfo")],
        ..BINANCE
    },
    Operation {
        path: "/api/v3/klines",
        id: "binanceKlines",
        summary: "Candles, oldest first",
        description: "Without a bound the newest; from `startTime` on, or with both, the oldest of the range; up to \
            `endTime` alone the newest of it. The last one of `1m`, `5m` and `15m` may be the one that is still open.",
        parameters: &binance::KLINES_PARAMETERS,
        content: &[(JSON, "BinanceKlines")],
        ..BINANCE
    },
    Operation {
        path: "/api/v3/uiKlines",
        id: "binanceUiKlines",
        summary: "Candles, under the name that charts use",
        parameters: &binance::KLINES_PARAMETERS,
        content: &[(JSON, "BinanceKlines")],
        ..BINANCE
    },
    Operation {
        path: "/api/v3/ticker/price",
        id: "binancePrice",
        summary: "The newest prices",
        parameters: &binance::PRICE_PARAMETERS,
        content: &[(JSON, "BinancePrices")],
        ..BINANCE
    },
    Operation {
        path: "/api/v3/ticker/24hr",
        id: "binanceDay",
        summary: "The last 24 hours",
        parameters: &binance::DAY_PARAMETERS,
        content: &[(JSON, "BinanceDay")],
        ..BINANCE
    },
    Operation {
        path: "/udf/config",
        id: "udfConfig",
        summary: "The abilities of the feed",
        content: &[(JSON, "UdfConfig")],
        ..UDF
    },
    Operation {
        path: "/udf/symbols",
        id: "udfSymbol",
        summary: "The facts that a chart needs about a symbol",
        parameters: &udf::SYMBOL_PARAMETERS,
        content: &[(JSON, "UdfSymbol")],
        ..UDF
    },
    Operation {
        path: "/udf/search",
        id: "udfSearch",
        summary: "Symbols by a part of their names",
        parameters: &udf::SEARCH_PARAMETERS,
        content: &[(JSON, "UdfFound")],
        ..UDF
    },
    Operation {
        path: "/udf/history",
        id: "udfHistory",
        summary: "Bars",
        description: "At most a week of minutes; of more bars, the newest are returned.",
        parameters: &udf::HISTORY_PARAMETERS,
        content: &[(JSON, "UdfHistory")],
        ..UDF
    },
    Operation {
        path: "/udf/time",
        id: "udfTime",
        summary: "The server's time",
        content: &[("text/plain; charset=utf-8", "UdfTime")],
        ..UDF
    },
    Operation {
        path: "/udf/marks",
        id: "udfMarks",
        summary: "Alerts, as marks on the bars",
        description: "Both bounds are included. Of more than a thousand marks, the newest are returned.",
        parameters: &udf::MARKS_PARAMETERS,
        content: &[(JSON, "UdfMarks")],
        ..UDF
    },
    Operation {
        path: "/",
        id: "page",
        summary: "The dashboard",
        content: &[(HTML, "Text")],
        headers: &["ContentSecurityPolicy"],
        ..PAGE
    },
    Operation {
        path: "/assets/{name}",
        id: "pageAsset",
        summary: "A file of the dashboard",
        description: "The name of a file has a hash of its content, so a client may keep the file for ever. `/` has the names.",
        place: Some(
            Parameter::text("name", "^[A-Za-z0-9._-]+$", "The name of the file.")
                .like(Literal::Text("index.js")),
        ),
        content: &[
            (SCRIPT, "Text"),
            (STYLE, "Text"),
            ("image/svg+xml", "Text"),
            ("application/octet-stream", "Text"),
        ],
        ..PAGE
    },
    Operation {
        path: "/openapi.json",
        id: "openapi",
        summary: "This document",
        content: &[(JSON, "OpenApi")],
        ..PAGE
    },
    Operation {
        path: "/docs",
        id: "docs",
        summary: "This document as a page to try everything on",
        content: &[(HTML, "Text")],
        headers: &["ContentSecurityPolicy"],
        ..PAGE
    },
    Operation {
        path: "/docs/{file}",
        id: "docsFile",
        summary: "A file of that page",
        place: Some(Parameter::choice("file", &super::docs::FILE_NAMES, "The name of the file.")),
        content: &[(SCRIPT, "Text"), (STYLE, "Text"), ("image/png", "Text")],
        ..PAGE
    },
];
