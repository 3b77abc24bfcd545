//! The stop of the server, and clients that misbehave below HTTP.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use hyper::StatusCode;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tallow_model::Interval;
use tallow_server::ServerSettings;
use tallow_testing::server::history::row;
use tallow_testing::server::{DEADLINE, Server, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

#[tokio::test]
async fn a_running_request_is_answered_before_the_stop() {
    let mut server = Server::start().await;
    server.history.put(Interval::OneMinute, row("BTC", 0, 101.0));
    server.history.is_gated.store(true, Ordering::SeqCst);
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /api/v1/historical/BTC HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    within(server.history.waits.notified()).await;
    server.tell_to_stop();
    // The stop has begun once no connection is accepted; only then may the request continue.
    within(async { while TcpStream::connect(server.address).await.is_ok() {} }).await;
    server.history.gate.add_permits(10);
    let mut response = Vec::new();
    within(stream.read_to_end(&mut response)).await.unwrap();
    let response = String::from_utf8(response).unwrap();
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    server.stopped().await;
}

#[tokio::test]
async fn a_hanging_request_is_cut_off_by_the_stop() {
    let settings = ServerSettings { shutdown_timeout: Duration::from_millis(50), ..Default::default() };
    let mut server = Server::start_with(settings, 64).await;
    server.history.is_gated.store(true, Ordering::SeqCst);
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /api/v1/historical/BTC HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    within(server.history.waits.notified()).await;
    server.tell_to_stop();
    server.stopped().await;
    let mut response = Vec::new();
    let _ = within(stream.read_to_end(&mut response)).await;
    assert_eq!(response, b"");
}

#[tokio::test]
async fn an_idle_connection_does_not_delay_the_stop() {
    // The server would wait for a request longer than the test does.
    let settings = ServerSettings { shutdown_timeout: 2 * DEADLINE, ..Default::default() };
    let mut server = Server::start_with(settings, 64).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut byte = [0; 1];
    within(stream.read_exact(&mut byte)).await.unwrap();
    server.tell_to_stop();
    server.stopped().await;
}

#[tokio::test]
async fn random_bytes_leave_the_server_serving() {
    let server = Server::start().await;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..200 {
        let mut bytes = if round % 2 == 0 { b"GET / HTTP/1.1\r\n".to_vec() } else { Vec::new() };
        for _ in 0..(round * 7) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.push(state as u8);
        }
        let response = server.send_raw(&bytes).await;
        let text = String::from_utf8_lossy(&response);
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 "), "{text}");
    }
    assert_eq!(server.get("/health").await.status, StatusCode::OK);
}

#[tokio::test]
async fn silent_connections_free_their_permits() {
    let settings = ServerSettings {
        max_connections: 4,
        header_read_timeout: Duration::from_millis(100),
        ..Default::default()
    };
    let server = Server::start_with(settings, 64).await;
    let mut half_open = Vec::new();
    for part in ["", "GET", "GET / HTTP/1.1\r\nhost", "GET / HTTP/1.1\r\nhost: x\r\n"] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(part.as_bytes()).await.unwrap();
        half_open.push(stream);
    }
    // All permits are taken: the request is answered once the other connections are closed.
    assert_eq!(server.get("/health").await.status, StatusCode::OK);
    drop(half_open);
}

#[tokio::test]
async fn a_connection_that_reads_nothing_frees_its_permit() {
    let send_timeout = Duration::from_millis(50);
    let settings = ServerSettings { max_connections: 1, send_timeout, ..Default::default() };
    let server = Server::start_with(settings, 64).await;
    for minute in 0..1000 {
        server.history.put(Interval::OneMinute, row("BTC", minute, 101.0));
    }
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(8 * 1024).unwrap();
    let mut stream = socket.connect(server.address).await.unwrap();
    let request = b"GET /api/v1/historical/BTC?limit=1000 HTTP/1.1\r\nhost: x\r\n\r\n";
    stream.write_all(request).await.unwrap();
    assert_eq!(server.get("/health").await.status, StatusCode::OK);
    let mut response = Vec::new();
    let _ = within(stream.read_to_end(&mut response)).await;
    assert!(response.len() < 200_000, "{} bytes came", response.len());
}

#[tokio::test]
async fn several_requests_share_a_connection() {
    let server = Server::start().await;
    let request = b"GET /ready HTTP/1.1\r\nhost: x\r\n\r\n";
    let last = b"GET /ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let response = server.send_raw(&[&request[..], &request[..], &last[..]].concat()).await;
    let text = String::from_utf8(response).unwrap();
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 3, "{text}");
}
