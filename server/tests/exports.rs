//! Exports while they are sent: failing stores, slow clients, clients that leave, and limits.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use hyper::StatusCode;
use std::io::Read;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tallow_server::ServerSettings;
use tallow_testing::server::history::row;
use tallow_testing::server::http::{PartialReply, Reply};
use tallow_testing::server::{Server, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

const EXPORT: &str = "/api/v1/historical/BTC/export";
/// The number of candles that one query reads from the store.
const PART: u64 = 1000;

async fn with_minutes(settings: ServerSettings, minutes: u64) -> Server {
    let server = Server::start_with(settings, 64).await;
    server.history.put_minutes((0..minutes).map(|minute| row("BTC", minute, 101.0 + minute as f64)));
    server
}

/// Lets the store answer this number of further queries.
fn answer_only(server: &Server, queries: usize) {
    server.history.gate.add_permits(queries);
    server.history.is_gated.store(true, Ordering::SeqCst);
}

/// An export whose first part has arrived, while the store does not answer the second query.
async fn half_way(server: &Server) -> PartialReply {
    answer_only(server, 1);
    let mut export = server.begin(EXPORT, &[]).await;
    assert_eq!(export.status, StatusCode::OK);
    assert!(export.part().await.unwrap().is_ok());
    export
}

/// Whether the metrics count one export that has ended with this status.
async fn ended(server: &Server, status: u16) -> bool {
    let metrics = server.get("/metrics").await;
    let line = format!(
        "tallow_http_request_duration_seconds_count{{route=\"/api/v1/historical/{{symbol}}/export\",code=\"{status}\"}} 1\n"
    );
    std::str::from_utf8(&metrics.body).unwrap().contains(&line)
}

fn assert_refused(refused: &Reply, words: &str) {
    assert_eq!((refused.status, &*refused.problem()), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"));
    assert_eq!(refused.header("retry-after"), "5");
    assert!(refused.json()["detail"].as_str().unwrap().contains(words), "{refused:?}");
}

#[tokio::test]
async fn an_export_has_a_file_name_and_all_candles() {
    let server = with_minutes(ServerSettings::default(), 3 * PART + 500).await;
    let bounds = "start_time=2025-11-16T05:30:00Z&end_time=2025-11-18T00:00:00Z";
    for (query, name, lines) in [
        (String::new(), "BTC-1m.csv", 3501),
        (format!("?{bounds}&order_by=desc"), "BTC-1m-20251116T0530Z-20251118T0000Z.csv", 2551),
        ("?start_time=2025-11-18T00:00:00Z&format=jsonl".to_owned(), "BTC-1m-from-20251118T0000Z.jsonl", 950),
        ("?end_time=2025-11-16T06:30:00Z".to_owned(), "BTC-1m-until-20251116T0630Z.csv", 61),
    ] {
        let target = format!("{EXPORT}{query}");
        let file = server.get(&target).await;
        assert_eq!(file.status, StatusCode::OK, "{target}");
        assert_eq!(file.header("content-disposition"), format!("attachment; filename=\"{name}\""));
        assert_eq!(file.body.iter().filter(|byte| **byte == b'\n').count(), lines, "{target}");
        let head = server.send("HEAD", &target, &[]).await;
        assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
        for reply in [&file, &head] {
            assert_eq!(reply.header("cache-control"), "no-store");
            assert_eq!(reply.header("vary"), "Accept-Encoding");
            for name in ["etag", "content-length"] {
                assert!(!reply.headers.contains_key(name), "{name}");
            }
        }
        let known = server.send("GET", &target, &[("if-none-match", "*")]).await;
        assert_eq!(known.body, file.body);
    }
}

#[tokio::test]
async fn an_export_is_the_same_in_every_coding() {
    let server = with_minutes(ServerSettings::default(), 2 * PART + 1).await;
    let plain = server.get(EXPORT).await.body;
    for coding in ["gzip", "br", "zstd"] {
        let reply = server.send("GET", EXPORT, &[("accept-encoding", coding)]).await;
        assert_eq!(reply.header("content-encoding"), coding);
        assert!(reply.body.len() < plain.len() / 3, "{coding}: {} bytes", reply.body.len());
        assert_eq!(decoded(&reply.body, coding).unwrap(), plain, "{coding}");
        assert!(
            decoded(&reply.body[..reply.body.len() - 4], coding).is_err(),
            "{coding}: a cut file is noticed"
        );
    }
    let none = server.send("GET", EXPORT, &[("accept-encoding", "identity;q=0")]).await;
    assert_eq!((none.status, &*none.problem()), (StatusCode::NOT_ACCEPTABLE, "not_acceptable"));
}

fn decoded(body: &[u8], coding: &str) -> std::io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    match coding {
        "gzip" => flate2::read::GzDecoder::new(body).read_to_end(&mut plain),
        "br" => brotli::Decompressor::new(body, 4096).read_to_end(&mut plain),
        _ => zstd::Decoder::new(body)?.read_to_end(&mut plain),
    }?;
    Ok(plain)
}

#[tokio::test]
async fn an_export_ends_abruptly_if_the_store_fails() {
    for coding in ["identity", "gzip", "br", "zstd"] {
        let server = with_minutes(ServerSettings::default(), 3 * PART).await;
        answer_only(&server, 1);
        let mut export = server.begin(EXPORT, &[("accept-encoding", coding)]).await;
        assert_eq!(export.status, StatusCode::OK);
        assert!(export.part().await.unwrap().is_ok());
        server.history.is_down.store(true, Ordering::SeqCst);
        server.history.gate.add_permits(1);
        assert!(export.rest().await.is_err(), "{coding}");
        server.history.is_gated.store(false, Ordering::SeqCst);
        within(async { while !ended(&server, 500).await {} }).await;
    }
}

#[tokio::test]
async fn an_export_ends_abruptly_if_the_store_is_too_slow() {
    let settings = ServerSettings { request_timeout: Duration::from_millis(200), ..Default::default() };
    let server = with_minutes(settings, 3 * PART).await;
    let export = half_way(&server).await;
    assert!(export.rest().await.is_err());
    let refused = server.get(EXPORT).await;
    assert_eq!((refused.status, &*refused.problem()), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"));
}

#[tokio::test]
async fn an_export_ends_abruptly_if_the_server_stops() {
    let settings = ServerSettings { shutdown_timeout: Duration::from_millis(50), ..Default::default() };
    let mut server = with_minutes(settings, 3 * PART).await;
    let export = half_way(&server).await;
    server.tell_to_stop();
    server.stopped().await;
    assert!(export.rest().await.is_err());
}

#[tokio::test]
async fn exports_are_limited_and_do_not_block_requests() {
    for (settings, words) in [
        (ServerSettings { max_exports: 1, max_requests: 1, ..Default::default() }, "1 exports are"),
        (
            ServerSettings { max_exports_per_address: 1, max_requests: 1, ..Default::default() },
            "this address",
        ),
    ] {
        let server = with_minutes(settings, 2 * PART).await;
        let export = half_way(&server).await;
        assert_refused(&server.get(EXPORT).await, words);
        let head = server.send("HEAD", EXPORT, &[]).await;
        assert_eq!(head.status, StatusCode::SERVICE_UNAVAILABLE, "HEAD is limited too");
        assert_eq!(server.get("/openapi.json").await.status, StatusCode::OK);
        assert!(!ended(&server, 200).await, "the export is still running");
        server.history.is_gated.store(false, Ordering::SeqCst);
        server.history.gate.add_permits(1);
        assert!(export.rest().await.is_ok());
        assert!(ended(&server, 200).await, "it is counted after its last part");
        assert_eq!(server.get(EXPORT).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_export() {
    let server = with_minutes(ServerSettings { max_exports: 1, ..Default::default() }, 3 * PART).await;
    let export = half_way(&server).await;
    // The second query is never answered.
    server.history.is_gated.store(false, Ordering::SeqCst);
    drop(export);
    within(async { while server.get(EXPORT).await.status != StatusCode::OK {} }).await;
}

#[tokio::test]
async fn nothing_is_read_ahead_for_a_client_that_reads_nothing() {
    let settings = ServerSettings { send_timeout: Duration::from_millis(50), ..Default::default() };
    let server = with_minutes(settings, 20 * PART).await;
    answer_only(&server, 100);
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(8 * 1024).unwrap();
    let mut stream = socket.connect(server.address).await.unwrap();
    stream.write_all(format!("GET {EXPORT} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
    within(async { while !ended(&server, 200).await {} }).await;
    let parts = 100 - server.history.gate.available_permits();
    assert!((1..=3).contains(&parts), "{parts} parts were read");
    let mut response = Vec::new();
    let _ = within(stream.read_to_end(&mut response)).await;
    assert!(response.starts_with(b"HTTP/1.1 200 ") && !response.ends_with(b"\r\n0\r\n\r\n"));
}

#[tokio::test]
async fn an_http_1_0_client_gets_no_export() {
    let server = with_minutes(ServerSettings::default(), 5).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(format!("GET {EXPORT} HTTP/1.0\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
    let mut text = String::new();
    within(stream.read_to_string(&mut text)).await.unwrap();
    assert!(text.starts_with("HTTP/1.0 505 ") && text.contains("\"code\":\"http_version\""), "{text}");
}
