//! The common parts of all responses, and the refusal of invalid requests.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use hyper::StatusCode;
use serde_json::Value;
use std::time::Duration;
use tallow_model::Interval;
use tallow_server::ServerSettings;
use tallow_testing::server::Server;
use tallow_testing::server::history::{PANIC, row};

async fn with_btc(settings: ServerSettings) -> Server {
    let server = Server::start_with(settings, 64).await;
    server.history.put(Interval::OneMinute, row("BTC", 0, 101.0));
    server
}

#[tokio::test]
async fn every_bad_parameter_is_refused_by_name() {
    let server = with_btc(ServerSettings::default()).await;
    let cases = [
        ("/api/v1/latest/BTC?x=1", "x"),
        ("/api/v1/latest/all?x=1", "x"),
        ("/api/v1/latest/B%20C", "symbol"),
        ("/api/v1/latest/%2E%2F", "symbol"),
        ("/api/v1/latest/%FF", "symbol"),
        ("/api/v1/latest/", "symbol"),
        ("/api/v1/latest/ABCDEFGHIJKLMNOPQRSTU", "symbol"),
        ("/api/v1/historical/BTC?interval=2m", "interval"),
        ("/api/v1/historical/BTC?interval=", "interval"),
        ("/api/v1/historical/BTC?start_time=yesterday", "start_time"),
        ("/api/v1/historical/BTC?start_time=-5", "start_time"),
        ("/api/v1/historical/BTC?end_time=0001-01-01T00:00:00Z", "end_time"),
        ("/api/v1/historical/BTC?end_time=99999999999999999999", "end_time"),
        ("/api/v1/historical/BTC?start_time=5&end_time=5", "end_time"),
        ("/api/v1/historical/BTC?limit=0", "limit"),
        ("/api/v1/historical/BTC?limit=1001", "limit"),
        ("/api/v1/historical/BTC?limit=+5", "limit"),
        ("/api/v1/historical/BTC?limit=1&limit=1", "limit"),
        ("/api/v1/historical/BTC?offset=-1", "offset"),
        ("/api/v1/historical/BTC?offset=18446744073709551615", "offset"),
        ("/api/v1/historical/BTC?cursor=yesterday", "cursor"),
        ("/api/v1/historical/BTC?cursor=0&offset=0", "cursor"),
        ("/api/v1/historical/BTC?order_by=up", "order_by"),
        ("/api/v1/historical/BTC?fill=linear", "fill"),
        ("/api/v1/historical/BTC?format=xml", "format"),
        ("/api/v1/historical/BTC?Limit=5", "Limit"),
        ("/api/v1/historical/BTC/stats?limit=5", "limit"),
        ("/api/v1/historical/BTC/stats?interval=7", "interval"),
        ("/api/v1/historical/BTC/latest?order_by=asc", "order_by"),
        ("/api/v1/alerts?limit=101", "limit"),
        ("/api/v1/alerts?hours=169", "hours"),
        ("/api/v1/alerts?hours=0", "hours"),
        ("/api/v1/alerts?severity=EXTREME", "severity"),
        ("/api/v1/alerts?include_retracted=1", "include_retracted"),
        ("/api/v1/alerts/BTC!", "symbol"),
        ("/api/v1/symbols?a", "a"),
        ("/api/v1/stats?a=b", "a"),
        ("/health?a=b", "a"),
        ("/ready?a=b", "a"),
        ("/ws/prices/BTC?interval=1m,1h", "interval"),
        ("/ws/prices/BTC?closed_only=maybe", "closed_only"),
        ("/ws/prices/BTC?resume_from=-5", "resume_from"),
        ("/ws/prices/B~C", "symbol"),
    ];
    for (path, parameter) in cases {
        let reply = server.get(path).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{path}: {reply:?}");
        assert_eq!(reply.problem(), "invalid_parameter", "{path}");
        let error = &reply.json()["errors"][0];
        assert_eq!(error["parameter"], parameter, "{path}");
        assert!(error["allowed"].as_str().is_some_and(|allowed| !allowed.is_empty()), "{path}");
    }
}

#[tokio::test]
async fn all_bad_parameters_are_named_with_their_allowed_values() {
    let server = with_btc(ServerSettings::default()).await;
    let document = server.get("/api/v1/historical/BTC?interval=2m&limit=0&depth=5").await.json();
    let errors = document["errors"].as_array().unwrap();
    let named: Vec<&Value> = errors.iter().map(|error| &error["parameter"]).collect();
    assert_eq!(named, ["depth", "limit", "interval"]);
    assert_eq!(
        errors[0]["allowed"],
        "interval, start_time, end_time, limit, offset, cursor, order_by, fill, format"
    );
    assert_eq!(errors[1]["allowed"], "1–1000");
    assert_eq!(errors[2]["allowed"], "1m, 5m, 15m, 1h, 4h, 1d");
}

#[tokio::test]
async fn the_list_of_bad_parameters_is_bounded() {
    let server = with_btc(ServerSettings::default()).await;
    for mistakes in ["a&".repeat(4000), "limit=1&".repeat(1000), "limit=0&a&".repeat(800)] {
        let reply = server.get(&format!("/api/v1/historical/BTC?{mistakes}")).await;
        assert_eq!((reply.status, &*reply.problem()), (StatusCode::BAD_REQUEST, "invalid_parameter"));
        assert_eq!(reply.json()["errors"].as_array().map(Vec::len), Some(16));
        assert!(reply.body.len() < 8 * 1024, "{} bytes", reply.body.len());
    }
}

#[tokio::test]
async fn unknown_symbols_and_routes_are_not_found() {
    let server = with_btc(ServerSettings::default()).await;
    for path in [
        "/api/v1/latest/XYZ",
        "/api/v1/historical/XYZ",
        "/api/v1/historical/XYZ?fill=previous",
        "/api/v1/historical/XYZ/stats",
        "/api/v1/historical/XYZ/latest",
        "/api/v1/alerts/XYZ",
    ] {
        let reply = server.get(path).await;
        assert_eq!((reply.status, &*reply.problem()), (StatusCode::NOT_FOUND, "unknown_symbol"), "{path}");
    }
    assert_eq!(server.get("/api/v1/alerts/BTC").await.status, StatusCode::OK);
    for path in
        ["/api/v1", "/api/v2/latest/BTC", "//", "/health/", "/ws/prices", "/api/v1/latest/a/b", "/%2e%2e/"]
    {
        let reply = server.get(path).await;
        assert_eq!((reply.status, &*reply.problem()), (StatusCode::NOT_FOUND, "unknown_route"), "{path}");
    }
    assert_eq!(server.send("DELETE", "/nothing", &[]).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn every_response_has_an_id_and_timings() {
    let server = with_btc(ServerSettings::default()).await;
    for path in ["/health", "/", "/api/v1/historical/BTC?format=csv", "/nothing", "/ws/prices/BTC"] {
        let reply = server.get(path).await;
        let id: uuid::Uuid = reply.header("x-request-id").parse().unwrap();
        assert_eq!(id.get_version_num(), 7, "{path}");
        let elapsed: f64 = reply.header("x-process-time-ms").parse().unwrap();
        assert!(elapsed >= 0.0);
        assert_eq!(reply.header("server-timing"), format!("app;dur={}", reply.header("x-process-time-ms")));
    }
}

#[tokio::test]
async fn a_valid_request_id_is_kept_and_an_invalid_one_replaced() {
    let server = Server::start().await;
    let long = "a".repeat(128);
    for id in ["abc-1.2_3", &long] {
        let reply = server.send("GET", "/nothing", &[("x-request-id", id)]).await;
        assert_eq!(reply.header("x-request-id"), id);
        assert_eq!(reply.json()["request_id"], id);
    }
    let too_long = "a".repeat(129);
    for id in ["", "a b", "a\"b", "ä", &too_long] {
        let reply = server.send("GET", "/health", &[("x-request-id", id)]).await;
        assert_ne!(reply.header("x-request-id"), id);
    }
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_no_body() {
    let server = with_btc(ServerSettings::default()).await;
    for path in [
        "/",
        "/health",
        "/ready",
        "/api/v1/latest/BTC",
        "/api/v1/historical/BTC",
        "/api/v1/symbols",
        "/nothing",
    ] {
        let (get, head) = (server.get(path).await, server.send("HEAD", path, &[]).await);
        assert_eq!(head.status, get.status, "{path}");
        assert!(head.body.is_empty(), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"));
        assert_eq!(head.header("content-length"), get.header("content-length"), "{path}");
    }
}

#[tokio::test]
async fn other_methods_are_refused_with_the_allowed_ones() {
    let server = with_btc(ServerSettings::default()).await;
    for method in ["POST", "PUT", "DELETE", "PATCH", "BREW"] {
        for path in ["/", "/health", "/api/v1/latest/BTC", "/ws/prices/BTC"] {
            let reply = server.send(method, path, &[]).await;
            assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert_eq!(reply.problem(), "method_not_allowed");
            assert_eq!(reply.header("allow"), "GET, HEAD, OPTIONS");
        }
    }
    let options = server.send("OPTIONS", "/api/v1/latest/BTC", &[]).await;
    assert_eq!(options.status, StatusCode::NO_CONTENT);
    assert_eq!(options.header("allow"), "GET, HEAD, OPTIONS");
}

#[tokio::test]
async fn pages_of_configured_origins_may_read() {
    let home = "https://prices.example";
    let server =
        with_btc(ServerSettings { allowed_origins: vec![home.to_owned()], ..Default::default() }).await;
    for path in ["/api/v1/latest/BTC", "/nothing"] {
        let reply = server.send("GET", path, &[("origin", home)]).await;
        assert_eq!(reply.header("access-control-allow-origin"), home);
        let varies = reply.headers.get_all("vary");
        assert!(varies.iter().any(|value| value == "Origin"), "{path}: {:?}", reply.headers);
        assert!(reply.header("access-control-expose-headers").contains("X-Total-Count"));
    }
    let preflight = [("origin", home), ("access-control-request-method", "GET")];
    let reply = server.send("OPTIONS", "/api/v1/latest/BTC", &preflight).await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT);
    assert_eq!(reply.header("access-control-allow-origin"), home);
    assert_eq!(reply.header("access-control-allow-methods"), "GET, HEAD, OPTIONS");
    assert_eq!(reply.header("access-control-max-age"), "86400");
    let stranger = server.send("GET", "/health", &[("origin", "https://evil.example")]).await;
    assert_eq!(stranger.status, StatusCode::OK);
    assert!(stranger.headers.get("access-control-allow-origin").is_none());
    let handshake = server.send("GET", "/ws/prices/BTC", &[("origin", "https://evil.example")]).await;
    assert_eq!((handshake.status, &*handshake.problem()), (StatusCode::FORBIDDEN, "origin_not_allowed"));

    let open = Server::start().await;
    let reply = open.send("GET", "/health", &[("origin", "https://any.example")]).await;
    assert_eq!(reply.header("access-control-allow-origin"), "*");
}

#[tokio::test]
async fn headers_over_the_limits_are_refused() {
    let server = Server::start().await;
    // `contract` sends a long URI and a long header to every route. The client adds a `host`
    // header.
    for (others, status) in [(99, StatusCode::OK), (100, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)] {
        let reply = server.send("GET", "/health", &vec![("x-same", "1"); others]).await;
        assert_eq!(reply.status, status, "{others}");
        assert!(status.is_success() || reply.problem() == "headers_too_long", "{reply:?}");
    }
    // More headers than the server reads get a response without a problem document.
    let many: String = (0..1024).map(|i| format!("x-{i}: 1\r\n")).collect();
    let response = server.send_raw(format!("GET /health HTTP/1.1\r\nhost: x\r\n{many}\r\n").as_bytes()).await;
    assert!(response.starts_with(b"HTTP/1.1 431 "), "{}", String::from_utf8_lossy(&response));
    let huge = "x".repeat(200 * 1024);
    let response = server.send_raw(format!("GET /health HTTP/1.1\r\nx: {huge}\r\n\r\n").as_bytes()).await;
    assert!(
        response.is_empty() || response.starts_with(b"HTTP/1.1 431 "),
        "{}",
        String::from_utf8_lossy(&response)
    );
    assert_eq!(server.get("/health").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_panic_in_a_handler_fails_one_request() {
    let server = Server::start().await;
    let reply = server.get(&format!("/api/v1/historical/{PANIC}")).await;
    assert_eq!((reply.status, &*reply.problem()), (StatusCode::INTERNAL_SERVER_ERROR, "internal_error"));
    assert_eq!(server.get("/health").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_slow_request_gets_503_after_its_timeout() {
    let settings = ServerSettings { request_timeout: Duration::from_millis(50), ..Default::default() };
    let server = with_btc(settings).await;
    server.history.is_gated.store(true, std::sync::atomic::Ordering::SeqCst);
    let reply = server.get("/api/v1/historical/BTC").await;
    assert_eq!((reply.status, &*reply.problem()), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"));
}
