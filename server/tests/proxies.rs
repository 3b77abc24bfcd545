//! Clients behind a proxy: whose address counts for the limits, and that nobody takes on another's.
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

/// The tests themselves are the proxy.
fn behind_a_proxy() -> Vec<Proxies> {
    vec!["127.0.0.0/8".parse().unwrap(), "10.0.0.0/8".parse().unwrap()]
}

/// A server that counts what each address asks: a thousand requests at once, and one a second in the long run.
async fn counting(trusted_proxies: Vec<Proxies>) -> Server {
    let settings =
        ServerSettings { trusted_proxies, rate_per_second: 1, rate_burst: 1000, ..ServerSettings::default() };
    Server::start_with(settings, 16).await
}

/// How many requests this one has left of the thousand.
async fn left(server: &Server, forwarded_for: &str) -> u32 {
    let reply = server.send("GET", "/api/v1/symbols", &[("x-forwarded-for", forwarded_for)]).await;
    reply.header("ratelimit-remaining").parse().unwrap()
}

/// Whether so many are what is left after some requests, of which a few seconds may have given some back.
fn is_after(left: u32, requests: u32) -> bool {
    left >= 1000 - requests
}

#[tokio::test]
async fn each_client_of_a_trusted_proxy_has_a_rate_of_its_own() {
    let server = counting(behind_a_proxy()).await;
    for _ in 0..50 {
        left(&server, "203.0.113.1").await;
    }
    assert!(!is_after(left(&server, "203.0.113.1").await, 30), "it has asked some fifty times");
    assert!(is_after(left(&server, "203.0.113.2").await, 1));
    assert!(is_after(left(&server, "2001:db8::1").await, 1));
    for _ in 0..50 {
        left(&server, "[2001:db8::2]:4711, 10.1.2.3").await;
    }
    assert!(!is_after(left(&server, "2001:db8::3").await, 30), "the same network of 64 bits");
    assert!(is_after(left(&server, "2001:db8:0:1::1").await, 1));
}

#[tokio::test]
async fn a_client_does_not_get_a_new_rate_by_what_it_writes() {
    let server = counting(behind_a_proxy()).await;
    for number in 0..50 {
        // What stands on the right is what the proxy has added.
        left(&server, &format!("198.51.100.{number}, 10.0.0.{number}, 203.0.113.1")).await;
    }
    assert!(!is_after(left(&server, "203.0.113.1").await, 30));
    for garbage in 0..50 {
        left(&server, &format!("203.0.113.{garbage}, unknown-{garbage}")).await;
    }
    assert!(!is_after(left(&server, "garbage").await, 30), "counted as the proxy's own");

    let direct = counting(Vec::new()).await;
    for number in 0..50 {
        left(&direct, &format!("203.0.113.{number}")).await;
    }
    assert!(!is_after(left(&direct, "203.0.113.99").await, 30), "nobody's word is taken");
}

#[tokio::test]
async fn a_proxy_has_as_many_connections_as_it_needs() {
    for (trusted_proxies, is_open) in [(behind_a_proxy(), true), (Vec::new(), false)] {
        let settings =
            ServerSettings { trusted_proxies, max_connections_per_address: 2, ..ServerSettings::default() };
        let server = Server::start_with(settings, 16).await;
        let mut held = Vec::new();
        for _ in 0..2 {
            let stream = TcpStream::connect(server.address).await.unwrap();
            held.push(stream);
        }
        let answer = server.send_raw(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        assert_eq!(answer.starts_with(b"HTTP/1.1 200"), is_open, "{:?}", String::from_utf8_lossy(&answer));
    }
}

#[tokio::test]
async fn the_places_of_sockets_are_each_clients_own() {
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
async fn a_request_without_the_header_is_the_proxys_own() {
    let server = counting(behind_a_proxy()).await;
    let reply = server.get("/api/v1/symbols").await;
    assert_eq!(reply.status, StatusCode::OK);
    assert!(is_after(left(&server, "203.0.113.1").await, 1));
}
