//! The layers that every response passes: tags and revalidation, content codings, limits, keys.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use hyper::StatusCode;
use std::io::Read;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tallow_model::Interval;
use tallow_server::ServerSettings;
use tallow_testing::server::history::row;
use tallow_testing::server::http::Reply;
use tallow_testing::server::market::candle;
use tallow_testing::server::{DEADLINE, Server, within};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

async fn with_history(settings: ServerSettings, minutes: u64) -> Server {
    let server = Server::start_with(settings, 64).await;
    for minute in 0..minutes {
        server.history.put(Interval::OneMinute, row("BTC", minute, 101.0 + minute as f64));
    }
    server
}

/// The headers that a client compares with those of its cached response.
const KEPT: [&str; 4] = ["etag", "cache-control", "vary", "access-control-allow-origin"];

fn kept(reply: &Reply) -> Vec<(&str, Option<&str>)> {
    KEPT.map(|name| (name, reply.headers.get(name).map(|value| value.to_str().unwrap()))).to_vec()
}

/// A client that sends raw text and keeps its connection open.
struct RawClient(BufReader<TcpStream>);

impl RawClient {
    async fn connect(server: &Server) -> RawClient {
        RawClient(BufReader::new(TcpStream::connect(server.address).await.unwrap()))
    }

    async fn send(&mut self, text: &str) {
        within(self.0.write_all(text.as_bytes())).await.unwrap();
    }

    /// The head of the next response; empty at the end of the connection.
    async fn head(&mut self) -> String {
        let mut head = String::new();
        // A connection that is reset ends the loop, as a closed one does.
        while within(self.0.read_line(&mut head)).await.is_ok_and(|bytes| bytes > 2) {}
        head
    }
}

#[tokio::test]
async fn a_cached_response_is_revalidated_without_a_body() {
    let server = with_history(ServerSettings::default(), 2).await;
    for path in [
        "/",
        "/api/v1/latest/BTC",
        "/api/v1/latest/all",
        "/api/v1/historical/BTC",
        "/api/v1/historical/BTC?format=csv",
        "/api/v1/historical/BTC/stats",
        "/api/v1/historical/BTC/latest",
        "/api/v1/alerts",
        "/api/v1/symbols",
    ] {
        let whole = server.get(path).await;
        assert_eq!(whole.status, StatusCode::OK, "{path}: {whole:?}");
        assert_eq!(whole.header("cache-control"), "no-cache", "{path}");
        let tag = whole.header("etag").to_owned();
        assert!(tag.starts_with('"') && tag.ends_with('"'), "{path}: {tag} is not strong");
        for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
            for method in ["GET", "HEAD"] {
                let same = server.send(method, path, &[("if-none-match", &known)]).await;
                assert_eq!(same.status, StatusCode::NOT_MODIFIED, "{method} {path} {known}");
                assert!(same.body.is_empty(), "{path}");
                assert_eq!(kept(&same), kept(&whole), "{path}");
                for of_the_body in ["content-type", "content-length", "content-encoding"] {
                    assert!(same.headers.get(of_the_body).is_none(), "{path}: {of_the_body}");
                }
            }
        }
        let other = server.send("GET", path, &[("if-none-match", "\"other\"")]).await;
        assert_eq!((other.status, &other.body), (StatusCode::OK, &whole.body), "{path}");
        let head = server.send("HEAD", path, &[]).await;
        assert_eq!(kept(&head), kept(&whole), "{path}");
    }
}

/// The body of a response without its content coding.
fn decoded(reply: &Reply) -> Vec<u8> {
    let mut plain = Vec::new();
    match reply.headers.get("content-encoding").map(|name| name.to_str().unwrap()) {
        None => plain.extend(&reply.body),
        Some("zstd") => plain = zstd::decode_all(&reply.body[..]).unwrap(),
        Some("gzip") => drop(flate2::read::GzDecoder::new(&reply.body[..]).read_to_end(&mut plain).unwrap()),
        Some("br") => drop(brotli::Decompressor::new(&reply.body[..], 4096).read_to_end(&mut plain).unwrap()),
        Some(other) => panic!("{other} was not target for"),
    }
    plain
}

#[tokio::test]
async fn a_response_has_the_coding_that_the_client_prefers() {
    let server = with_history(ServerSettings::default(), 1000).await;
    // The first body is short enough for the thread of the request, the second is not.
    for path in ["/api/v1/historical/BTC?limit=10", "/api/v1/historical/BTC?limit=1000&format=csv"] {
        let plain = server.get(path).await;
        assert!(plain.headers.get("content-encoding").is_none());
        assert_eq!(plain.header("vary"), "Accept-Encoding");
        let mut tags = vec![plain.header("etag").to_owned()];
        for (accepted, expected) in [
            ("gzip, br, zstd", "zstd"),
            ("gzip, br", "br"),
            ("gzip", "gzip"),
            ("gzip;q=0.9, zstd;q=0.1", "gzip"),
        ] {
            let wish = [("accept-encoding", accepted)];
            let reply = server.send("GET", path, &wish).await;
            assert_eq!(reply.header("content-encoding"), expected, "{accepted}");
            assert_eq!(decoded(&reply), plain.body, "{path} {accepted}");
            assert!(reply.body.len() < plain.body.len() / 2, "{} bytes", reply.body.len());
            assert_eq!(reply.header("content-length"), reply.body.len().to_string());
            assert_eq!(reply.header("vary"), "Accept-Encoding");
            tags.push(reply.header("etag").to_owned());
            let head = server.send("HEAD", path, &wish).await;
            for name in ["content-encoding", "content-length", "etag", "vary"] {
                assert_eq!(head.header(name), reply.header(name), "{name}");
            }
            let same = server.send("GET", path, &[wish[0], ("if-none-match", reply.header("etag"))]).await;
            assert_eq!((same.status, same.body.len()), (StatusCode::NOT_MODIFIED, 0));
            assert!(same.headers.get("content-encoding").is_none());
            assert_eq!(kept(&same), kept(&reply));
        }
        tags.sort();
        tags.dedup();
        assert_eq!(tags.len(), 4, "each coding has a tag of its own: {tags:?}");
    }
}

#[tokio::test]
async fn short_responses_and_problems_are_not_compressed() {
    let server = with_history(ServerSettings::default(), 1).await;
    for path in ["/ready", "/api/v1/symbols", "/nothing"] {
        let reply = server.send("GET", path, &[("accept-encoding", "gzip, br, zstd")]).await;
        assert!(reply.headers.get("content-encoding").is_none(), "{path}");
        assert!(reply.json().is_object(), "{path}");
    }
    let refused = [("accept-encoding", "identity;q=0, gzip")];
    let reply = server.send("GET", "/api/v1/symbols", &refused).await;
    assert_eq!(reply.header("content-encoding"), "gzip");
    assert_eq!(decoded(&reply), server.get("/api/v1/symbols").await.body);
    let reply = server.send("GET", "/api/v1/symbols", &[("accept-encoding", "*;q=0")]).await;
    assert_eq!((reply.status, &*reply.problem()), (StatusCode::NOT_ACCEPTABLE, "not_acceptable"));
}

#[tokio::test]
async fn a_handshake_ignores_accept_encoding() {
    let server = with_history(ServerSettings::default(), 1).await;
    let mut client = RawClient::connect(&server).await;
    client
        .send(
            "GET /ws/prices/BTC HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             accept-encoding: gzip, identity;q=0\r\n\r\n",
        )
        .await;
    let head = client.head().await.to_lowercase();
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    assert!(!head.contains("\ncontent-encoding:") && !head.contains("\netag:"), "{head}");
}

#[tokio::test]
async fn a_changed_response_has_another_tag() {
    let server = with_history(ServerSettings::default(), 1).await;
    server.cache.publish(candle("BTC", 2, 101.25, false));
    for path in ["/api/v1/latest/BTC", "/api/v1/latest/all"] {
        let before = server.get(path).await;
        server.cache.publish(candle("BTC", 2, 101.5, false));
        let known = [("if-none-match", before.header("etag"))];
        let after = server.send("GET", path, &known).await;
        assert_eq!(after.status, StatusCode::OK, "{path}");
        assert_ne!(after.header("etag"), before.header("etag"));
        assert_ne!(after.body, before.body);
        server.cache.publish(candle("BTC", 2, 101.25, false));
    }
    let before = server.get("/api/v1/latest/all").await;
    server.clock.advance(1000);
    let after = server.get("/api/v1/latest/all").await;
    assert_ne!(after.header("etag"), before.header("etag"), "the timestamp is part of the body");
}

#[tokio::test]
async fn probes_and_problems_are_not_cached() {
    let server = with_history(ServerSettings::default(), 1).await;
    for path in ["/health", "/ready", "/metrics", "/nothing", "/api/v1/latest/XYZ", "/api/v1/latest/BTC?x=1"]
    {
        let reply = server.send("GET", path, &[("if-none-match", "*")]).await;
        assert_ne!(reply.status, StatusCode::NOT_MODIFIED, "{path}");
        assert_eq!(reply.header("cache-control"), "no-store", "{path}");
        assert!(reply.headers.get("etag").is_none(), "{path}");
        assert!(!reply.body.is_empty(), "{path}");
    }
}

#[tokio::test]
async fn connections_of_an_address_are_limited() {
    let settings = ServerSettings { max_connections_per_address: 2, ..Default::default() };
    let server = with_history(settings, 1).await;
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = RawClient::connect(&server).await;
        client.send("HEAD /ready HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(client.head().await.starts_with("HTTP/1.1 200 "));
        clients.push(client);
    }
    assert_eq!(RawClient::connect(&server).await.head().await, "", "closed without a word");
    clients.pop();
    // The permit is free once the server notices that the client is gone.
    within(async {
        loop {
            let mut client = RawClient::connect(&server).await;
            let request = b"HEAD /ready HTTP/1.1\r\nhost: x\r\n\r\n";
            if client.0.write_all(request).await.is_ok() && client.head().await.starts_with("HTTP/1.1 200 ") {
                break;
            }
        }
    })
    .await;
    clients[0].send("HEAD /ready HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(clients[0].head().await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn websockets_of_an_address_are_limited() {
    let settings = ServerSettings { max_websockets_per_address: 1, ..Default::default() };
    let server = with_history(settings, 1).await;
    let first = server.greeted("/ws/prices/BTC", 1).await;
    let handshake = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let refused = server.send("GET", "/ws/prices/BTC", &handshake).await;
    assert_eq!((refused.status, &*refused.problem()), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"));
    assert_eq!(refused.header("retry-after"), "1");
    assert!(refused.json()["detail"].as_str().unwrap().contains("this address"), "{refused:?}");
    drop(first);
    within(async {
        while server.send("GET", "/ws/prices/BTC", &handshake).await.status != StatusCode::SWITCHING_PROTOCOLS
        {
        }
    })
    .await;
}

#[tokio::test]
async fn a_busy_server_refuses_requests_but_answers_probes() {
    let settings = ServerSettings { max_requests: 1, ..Default::default() };
    let server = with_history(settings, 1).await;
    server.history.is_gated.store(true, Ordering::SeqCst);
    let mut busy = RawClient::connect(&server).await;
    busy.send("GET /api/v1/historical/BTC HTTP/1.1\r\nhost: x\r\n\r\n").await;
    within(server.history.waits.notified()).await;
    let refused = server.get("/").await;
    assert_eq!((refused.status, &*refused.problem()), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"));
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(server.get("/ready").await.status, StatusCode::OK);
    server.history.gate.add_permits(10);
    assert!(busy.head().await.starts_with("HTTP/1.1 200 "));
    assert_eq!(server.get("/").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_request_with_a_body_is_refused_and_its_connection_closed() {
    let server = with_history(ServerSettings::default(), 1).await;
    for (request, expected) in [
        ("GET /ready HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello", "413"),
        ("HEAD /ready HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n", "413"),
        ("OPTIONS /ready HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n1", "413"),
        (
            "GET /ready HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "413",
        ),
        ("POST /ready HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello", "405"),
    ] {
        let mut client = RawClient::connect(&server).await;
        client.send(&format!("{request}GET /api/v1/symbols HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        let mut response = String::new();
        // Bytes that the server has not read cause a reset at the end of the connection.
        let _ = within(client.0.read_to_string(&mut response)).await;
        assert!(response.starts_with(&format!("HTTP/1.1 {expected} ")), "{request}: {response}");
        assert!(response.to_lowercase().contains("\r\nconnection: close\r\n"), "{response}");
        assert_eq!(response.matches("HTTP/1.1 ").count(), 1, "{response}");
    }
    let without = "GET /ready HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n";
    let mut client = RawClient::connect(&server).await;
    client.send(without).await;
    assert!(client.head().await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let settings = ServerSettings { header_read_timeout: Duration::from_secs(1), ..Default::default() };
    let server = with_history(settings, 1).await;
    let mut client = RawClient::connect(&server).await;
    for _ in 0..2 {
        client.send("HEAD /ready HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(client.head().await.starts_with("HTTP/1.1 200 "));
    }
    assert_eq!(client.head().await, "", "the end of the connection, and nothing before it");
}

#[tokio::test]
async fn an_address_over_its_rate_gets_a_retry_time() {
    // The burst takes more than a minute to refill, so that the limit holds on a slow machine too.
    let settings = ServerSettings { rate_per_second: 1, rate_burst: 100, ..Default::default() };
    let server = with_history(settings, 1).await;
    let first = server.get("/api/v1/symbols").await;
    assert_eq!(first.status, StatusCode::OK);
    assert_eq!((first.header("ratelimit-limit"), first.header("ratelimit-remaining")), ("100", "99"));
    assert_eq!(first.header("ratelimit-reset"), "1");
    let refused = within(async {
        loop {
            let reply = server.get("/nothing").await;
            if reply.status != StatusCode::NOT_FOUND {
                break reply;
            }
        }
    })
    .await;
    assert_eq!((refused.status, &*refused.problem()), (StatusCode::TOO_MANY_REQUESTS, "too_many_requests"));
    assert_eq!((refused.header("retry-after"), refused.header("ratelimit-remaining")), ("1", "0"));
    assert_eq!(refused.header("ratelimit-reset"), "100");
    for path in ["/health", "/ready"] {
        let probe = server.get(path).await;
        assert_eq!(probe.status, StatusCode::OK, "{path}");
        assert!(probe.headers.get("ratelimit-limit").is_none(), "{path}");
    }
    let unlimited = with_history(ServerSettings::default(), 1).await;
    assert!(unlimited.get("/api/v1/symbols").await.headers.get("ratelimit-limit").is_none());
}

#[tokio::test]
async fn a_rate_limit_does_not_delay_the_stop() {
    let settings = ServerSettings { rate_per_second: 1, shutdown_timeout: DEADLINE, ..Default::default() };
    let mut server = with_history(settings, 1).await;
    server.tell_to_stop();
    server.stopped().await;
}

/// The settings of a server whose only key is `abc`.
fn with_key() -> ServerSettings {
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    ServerSettings { api_keys: vec![format!("tests:{hash}").parse().unwrap()], ..Default::default() }
}

#[tokio::test]
async fn without_a_key_only_the_page_and_probes_are_served() {
    let server = with_history(with_key(), 1).await;
    for path in ["/api/v1/latest/BTC", "/api/v1/stats", "/metrics", "/nothing", "/ws/prices/BTC"] {
        for headers in [&[][..], &[("authorization", "Bearer abd")], &[("x-api-key", "")]] {
            let reply = server.send("GET", path, headers).await;
            assert_eq!(
                (reply.status, &*reply.problem()),
                (StatusCode::UNAUTHORIZED, "unauthorized"),
                "{path}"
            );
            assert!(reply.header("www-authenticate").starts_with("Bearer"));
        }
    }
    for path in ["/", "/health", "/ready"] {
        assert_eq!(server.get(path).await.status, StatusCode::OK, "{path}");
    }
    let preflight = server.send("OPTIONS", "/api/v1/latest/BTC", &[("origin", "https://x.example")]).await;
    assert_eq!(preflight.status, StatusCode::NO_CONTENT);
    assert!(preflight.header("access-control-allow-headers").contains("Authorization"));
}

#[tokio::test]
async fn a_valid_key_authorises_a_request() {
    let server = with_history(with_key(), 1).await;
    for header in [("authorization", "Bearer abc"), ("x-api-key", "abc")] {
        let reply = server.send("GET", "/api/v1/latest/BTC", &[header]).await;
        assert_eq!(reply.status, StatusCode::OK, "{header:?}");
    }
    let in_query = server.get("/api/v1/latest/BTC?api_key=abc").await;
    assert_eq!(in_query.status, StatusCode::UNAUTHORIZED, "only a WebSocket client has it there");
    let mut socket = server.connect("/ws/prices/BTC?api_key=abc&interval=1m").await;
    assert_eq!(socket.frame().await["type"], "connection");
    let handshake = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let refused = server.send("GET", "/ws/prices/BTC?api_key=abd", &handshake).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
}

#[test]
fn settings_do_not_print_keys() {
    let shown = format!("{:?}", with_key());
    assert!(shown.contains("tests") && !shown.contains("ba7816bf") && !shown.contains("186"), "{shown}");
}
