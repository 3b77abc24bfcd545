//! Clients behind a proxy: the address that counts for the limits, and forged addresses.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use hyper::StatusCode;
use tallow_model::Interval;
use tallow_server::{Proxies, ServerSettings};
use tallow_testing::server::history::row;
use tallow_testing::server::{Server, within};
use tokio::net::TcpStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// The address of the tests, which act as the proxy.
fn behind_a_proxy() -> Vec<Proxies> {
    vec!["127.0.0.0/8".parse().unwrap(), "10.0.0.0/8".parse().unwrap()]
}

/// A server with a rate limit: a burst of a thousand requests, and then one a second.
async fn counting(trusted_proxies: Vec<Proxies>) -> Server {
    let settings =
        ServerSettings { trusted_proxies, rate_per_second: 1, rate_burst: 1000, ..ServerSettings::default() };
    Server::start_with(settings, 16).await
}

/// The number of requests of the burst that a client has left.
async fn left(server: &Server, forwarded_for: &str) -> u32 {
    let reply = server.send("GET", "/api/v1/symbols", &[("x-forwarded-for", forwarded_for)]).await;
    reply.header("ratelimit-remaining").parse().unwrap()
}

/// Whether the client has sent at most `requests`; each second gives one request back.
fn is_after(left: u32, requests: u32) -> bool {
    left >= 1000 - requests
}

#[tokio::test]
async fn each_client_of_a_trusted_proxy_has_a_rate_of_its_own() {
    let server = counting(behind_a_proxy()).await;
    for _ in 0..50 {
        left(&server, "203.0.113.1").await;
    }
    assert!(!is_after(left(&server, "203.0.113.1").await, 30), "it has sent about fifty requests");
    assert!(is_after(left(&server, "203.0.113.2").await, 1));
    assert!(is_after(left(&server, "2001:db8::1").await, 1));
    for _ in 0..50 {
        left(&server, "[2001:db8::2]:4711, 10.1.2.3").await;
    }
    assert!(!is_after(left(&server, "2001:db8::3").await, 30), "the same network of 64 bits");
    assert!(is_after(left(&server, "2001:db8:0:1::1").await, 1));
}

#[tokio::test]
async fn a_client_cannot_forge_its_address() {
    let server = counting(behind_a_proxy()).await;
    for number in 0..50 {
        // The rightmost address is the one that the proxy has added.
        left(&server, &format!("198.51.100.{number}, 10.0.0.{number}, 203.0.113.1")).await;
    }
    assert!(!is_after(left(&server, "203.0.113.1").await, 30));
    for garbage in 0..50 {
        left(&server, &format!("203.0.113.{garbage}, unknown-{garbage}")).await;
    }
    assert!(!is_after(left(&server, "garbage").await, 30), "the requests count for the proxy");

    let direct = counting(Vec::new()).await;
    for number in 0..50 {
        left(&direct, &format!("203.0.113.{number}")).await;
    }
    assert!(
        !is_after(left(&direct, "203.0.113.99").await, 30),
        "the header of an untrusted client is ignored"
    );
}

#[tokio::test]
async fn a_trusted_proxy_has_no_connection_limit() {
    for (trusted_proxies, is_open) in [(behind_a_proxy(), true), (Vec::new(), false)] {
        let settings =
            ServerSettings { trusted_proxies, max_connections_per_address: 2, ..ServerSettings::default() };
        let server = Server::start_with(settings, 16).await;
        let mut held = Vec::new();
        for _ in 0..2 {
            let stream = TcpStream::connect(server.address).await.unwrap();
            held.push(stream);
        }
        let response = server.send_raw(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        assert_eq!(
            response.starts_with(b"HTTP/1.1 200"),
            is_open,
            "{:?}",
            String::from_utf8_lossy(&response)
        );
    }
}

#[tokio::test]
async fn the_websocket_limit_applies_to_each_client_of_a_proxy() {
    let settings = ServerSettings {
        trusted_proxies: behind_a_proxy(),
        max_websockets_per_address: 1,
        ..ServerSettings::default()
    };
    let server = Server::start_with(settings, 16).await;
    server.history.put(Interval::OneMinute, row("BTC", 0, 101.0));
    let connect = async |forwarded_for: &str| {
        let url = format!("ws://{}/ws/prices/BTC", server.address);
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("x-forwarded-for", forwarded_for.parse().unwrap());
        let stream = TcpStream::connect(server.address).await.unwrap();
        within(client_async(request, stream)).await
    };
    let _first = connect("203.0.113.1").await.unwrap();
    let _other = connect("203.0.113.2").await.unwrap();
    for again in ["203.0.113.1", "203.0.113.9, 203.0.113.1, 10.1.2.3"] {
        match connect(again).await {
            Err(Error::Http(reply)) => assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_request_without_the_header_counts_for_the_proxy() {
    let server = counting(behind_a_proxy()).await;
    let reply = server.get("/api/v1/symbols").await;
    assert_eq!(reply.status, StatusCode::OK);
    assert!(is_after(left(&server, "203.0.113.1").await, 1));
}
