//! The common headers and limits of every operation: methods, tags, codings, request ids.

use crate::cases::{Expected, all};
use crate::sides::Both;
use std::collections::BTreeMap;
use std::io::Read;
use tallow_testing::server::http::Reply;

/// The paths whose responses may not be cached: probes, metrics, and exports of any length.
const UNSTORED: [&str; 4] = ["/health", "/ready", "/metrics", "/api/v1/historical/{symbol}/export"];

/// The first successful request of each operation.
fn answered() -> BTreeMap<&'static str, String> {
    let cases = all().into_iter().filter(|case| case.expected == Expected::Success).rev();
    cases.map(|case| (case.path, case.target)).collect()
}

/// The body without its content coding.
fn decoded(reply: &Reply, coding: &str) -> Vec<u8> {
    let (mut body, bytes) = (Vec::new(), &reply.body[..]);
    match coding {
        "gzip" => flate2::read::GzDecoder::new(bytes).read_to_end(&mut body).unwrap(),
        "br" => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut body).unwrap(),
        "zstd" => zstd::Decoder::new(bytes).unwrap().read_to_end(&mut body).unwrap(),
        other => panic!("{other}"),
    };
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_has_the_common_headers() {
    let both = Both::start().await;
    for (path, target) in answered() {
        let reply = both.send("GET", &target, &[("x-request-id", "mine.1")]).await;
        assert_eq!(reply.header("x-request-id"), "mine.1", "{target}");
        assert!(reply.header("x-process-time-ms").parse::<f64>().is_ok(), "{target}");
        assert!(reply.header("server-timing").starts_with("app;dur="), "{target}");
        assert_eq!(reply.header("access-control-allow-origin"), "*", "{target}");
        let insane = both.send("GET", &target, &[("x-request-id", "not sane")]).await;
        assert_ne!(insane.header("x-request-id"), "not sane", "{target}");

        let head = both.send("HEAD", &target, &[]).await;
        assert_eq!((head.status, head.body.len()), (reply.status, 0), "{target}");
        for name in ["content-type", "content-disposition", "etag", "x-total-count", "x-data-source"] {
            if path != "/api/v1/stats" {
                assert_eq!(head.headers.get(name), reply.headers.get(name), "{target}: {name}");
            }
        }
        let options = both.send("OPTIONS", &target, &[("origin", "https://example.org")]).await;
        assert_eq!(
            (options.status.as_u16(), options.header("allow")),
            (204, "GET, HEAD, OPTIONS"),
            "{target}"
        );
        for method in ["POST", "PUT", "DELETE", "PATCH"] {
            let refused = both.send(method, &target, &[]).await;
            assert_eq!(
                (refused.status.as_u16(), &*refused.problem()),
                (405, "method_not_allowed"),
                "{target}"
            );
            assert_eq!(refused.header("allow"), "GET, HEAD, OPTIONS", "{target}");
        }

        if UNSTORED.contains(&path) {
            assert_eq!(reply.header("cache-control"), "no-store", "{target}");
            assert!(!reply.headers.contains_key("etag"), "{target}");
            continue;
        }
        // The uptime differs between requests.
        if path == "/api/v1/stats" {
            continue;
        }
        // The tag depends on the bytes, so that it is compared between the stores only for equal
        // bytes.
        let tag = reply.header("etag").to_owned();
        for header in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
            let known = both.send("GET", &target, &[("if-none-match", &header)]).await;
            assert_eq!((known.status.as_u16(), known.body.len()), (304, 0), "{target} {header}");
            assert_eq!(known.header("etag"), tag, "{target}");
        }
        let other = both.send("GET", &target, &[("if-none-match", "\"other\"")]).await;
        assert_eq!(other.body, reply.body, "{target}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_is_the_same_in_every_coding() {
    let both = Both::start().await;
    for target in answered().values().filter(|target| !target.contains("stats") && *target != "/metrics") {
        let plain = both.get(target).await;
        for coding in ["gzip", "br", "zstd"] {
            let reply = both.send("GET", target, &[("accept-encoding", coding)]).await;
            // Small and compressed files are sent unchanged.
            if reply.headers.contains_key("content-encoding") {
                assert_eq!(reply.header("content-encoding"), coding, "{target}");
                assert_eq!(decoded(&reply, coding), plain.body, "{target} {coding}");
                assert!(reply.header("vary").to_lowercase().contains("accept-encoding"), "{target}");
            }
        }
    }
    let large = "/api/v1/historical/BTC?limit=1000";
    for coding in ["gzip", "br", "zstd"] {
        let reply = both.send("GET", large, &[("accept-encoding", coding)]).await;
        assert_eq!(reply.header("content-encoding"), coding);
        let tag = reply.header("etag").to_owned();
        let known = both.send("GET", large, &[("accept-encoding", coding), ("if-none-match", &tag)]).await;
        assert_eq!(known.status.as_u16(), 304);
    }
    let none = both.send("GET", large, &[("accept-encoding", "identity;q=0")]).await;
    assert_eq!((none.status.as_u16(), &*none.problem()), (406, "not_acceptable"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_refuses_requests_over_the_limits() {
    let both = Both::start().await;
    let long = "x".repeat(17_000);
    for target in answered().values() {
        let join = if target.contains('?') { '&' } else { '?' };
        let reply = both.get(&format!("{target}{join}x={}", &long[..8_200])).await;
        assert_eq!((reply.status.as_u16(), &*reply.problem()), (414, "uri_too_long"), "{target}");
        let reply = both.send("GET", target, &[("x-filler", &long)]).await;
        assert_eq!((reply.status.as_u16(), &*reply.problem()), (431, "headers_too_long"), "{target}");
        let reply = both.send("GET", target, &[("content-length", "5")]).await;
        assert_eq!((reply.status.as_u16(), &*reply.problem()), (413, "body_too_large"), "{target}");
    }
}
