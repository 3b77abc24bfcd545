//! Traces over OTLP: the spans that a collector gets, and a collector that is not there.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::Path;
use tallow_testing::process::Tallow;
use tallow_testing::wait::until;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// The header of a request with an API key, and the setting that knows the key by its SHA-256.
const KEY: &str = "X-API-Key: abc\r\n";
const KNOWN_KEY: &str = "key-of-the-test:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// `tallow up` that sends its traces there, and is ready.
fn up(data: &Path, endpoint: &str) -> Tallow {
    let settings = [
        ("TALLOW__UP__DATA", data.to_str().unwrap()),
        ("TALLOW__UP__BACKFILL_HOURS", "0.5"),
        ("TALLOW__SERVER__LISTEN", "127.0.0.1:0"),
        ("TALLOW__CHECKPOINT__INTERVAL_MS", "1000"),
        ("TALLOW__TRACES__OTLP_ENDPOINT", endpoint),
        ("TALLOW__SERVER__API_KEYS", KNOWN_KEY),
    ];
    let mut tallow = Tallow::start(&["up"], &settings);
    until("ready", || {
        tallow.still_runs();
        (tallow.said().contains("listening url=") && tallow.get("/ready").0 == 200).then_some(())
    });
    tallow
}

#[test]
fn a_collector_is_sent_requests_batches_and_checkpoints() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let collector = runtime.block_on(async {
        let collector = MockServer::start().await;
        let taken = ResponseTemplate::new(200);
        Mock::given(method("POST"))
            .and(path("/v1/traces"))
            .and(header("content-type", "application/x-protobuf"))
            .respond_with(taken)
            .mount(&collector)
            .await;
        collector
    });
    let folder = tempfile::tempdir().unwrap();
    let tallow = up(folder.path(), &format!("{}/v1/traces", collector.uri()));
    assert_eq!(tallow.get_with("/api/v1/historical/NONE?limit=1", KEY).0, 404);
    until("a checkpoint", || {
        let (_, stats) = tallow.get_with("/api/v1/stats", KEY);
        let stats: serde_json::Value = serde_json::from_str(&stats).unwrap();
        (stats["checkpoint"]["stored"].as_u64() >= Some(1)).then_some(())
    });
    // What waits is sent at the stop.
    tallow.stop();
    let sent: Vec<u8> = runtime
        .block_on(collector.received_requests())
        .unwrap()
        .into_iter()
        .flat_map(|request| request.body)
        .collect();
    // Protobuf writes text as it is.
    for text in [
        "service.name",
        "tallow",
        "GET /api/v1/historical/{symbol}",
        "key-of-the-test",
        "store checkpoint",
        "write batch",
    ] {
        assert!(sent.windows(text.len()).any(|window| window == text.as_bytes()), "{text} was not sent");
    }
}

#[test]
fn a_collector_that_is_not_there_is_named_in_the_log_and_harms_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let tallow = up(folder.path(), "http://127.0.0.1:1/v1/traces");
    assert_eq!(tallow.get_with("/api/v1/symbols", KEY).0, 200);
    let said = tallow.stop();
    assert!(said.contains("OTLP export") && said.contains("data will be lost"), "{said}");
}
