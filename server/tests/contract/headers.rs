//! What every answer has besides its body: methods, tags, codings, request ids, limits.

use crate::cases::{Expected, all};
use crate::sides::Both;
use std::collections::BTreeMap;
use std::io::Read;
use tallow_testing::server::http::Reply;

/// Answers of a moment, and those of any length, which may not be stored.
const UNSTORED: [&str; 4] = ["/health", "/ready", "/metrics", "/api/v1/historical/{symbol}/export"];

/// Of each operation the first request that is answered.
fn answered() -> BTreeMap<&'static str, String> {
    let cases = all().into_iter().filter(|case| case.expected == Expected::Answer).rev();
    cases.map(|case| (case.path, case.asked)).collect()
}

/// The body as it was before it was compressed.
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
async fn every_operation_has_its_methods_its_tag_and_its_request_id() {
    let both = Both::start().await;
    for (path, asked) in answered() {
        let reply = both.send("GET", &asked, &[("x-request-id", "mine.1")]).await;
        assert_eq!(reply.header("x-request-id"), "mine.1", "{asked}");
        assert!(reply.header("x-process-time-ms").parse::<f64>().is_ok(), "{asked}");
        assert!(reply.header("server-timing").starts_with("app;dur="), "{asked}");
        assert_eq!(reply.header("access-control-allow-origin"), "*", "{asked}");
        let insane = both.send("GET", &asked, &[("x-request-id", "not sane")]).await;
        assert_ne!(insane.header("x-request-id"), "not sane", "{asked}");

        let head = both.send("HEAD", &asked, &[]).await;
        assert_eq!((head.status, head.body.len()), (reply.status, 0), "{asked}");
        for name in ["content-type", "content-disposition", "etag", "x-total-count", "x-data-source"] {
            if path != "/api/v1/stats" {
                assert_eq!(head.headers.get(name), reply.headers.get(name), "{asked}: {name}");
            }
        }
        let options = both.send("OPTIONS", &asked, &[("origin", "https://example.org")]).await;
        assert_eq!(
            (options.status.as_u16(), options.header("allow")),
            (204, "GET, HEAD, OPTIONS"),
            "{asked}"
        );
        for method in ["POST", "PUT", "DELETE", "PATCH"] {
            let refused = both.send(method, &asked, &[]).await;
            assert_eq!(
                (refused.status.as_u16(), &*refused.problem()),
                (405, "method_not_allowed"),
                "{asked}"
            );
            assert_eq!(refused.header("allow"), "GET, HEAD, OPTIONS", "{asked}");
        }

        if UNSTORED.contains(&path) {
            assert_eq!(reply.header("cache-control"), "no-store", "{asked}");
            assert!(!reply.headers.contains_key("etag"), "{asked}");
            continue;
        }
        // The uptime is another one each time.
        if path == "/api/v1/stats" {
            continue;
        }
        // Its tag is that of its bytes, so it holds for both stores where these are the same: asked by each one's own.
        let tag = reply.header("etag").to_owned();
        for header in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
            let known = both.send("GET", &asked, &[("if-none-match", &header)]).await;
            assert_eq!((known.status.as_u16(), known.body.len()), (304, 0), "{asked} {header}");
            assert_eq!(known.header("etag"), tag, "{asked}");
        }
        let other = both.send("GET", &asked, &[("if-none-match", "\"other\"")]).await;
        assert_eq!(other.body, reply.body, "{asked}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_is_the_same_in_every_coding() {
    let both = Both::start().await;
    for asked in answered().values().filter(|asked| !asked.contains("stats") && *asked != "/metrics") {
        let plain = both.get(asked).await;
        for coding in ["gzip", "br", "zstd"] {
            let reply = both.send("GET", asked, &[("accept-encoding", coding)]).await;
            // What is small or compressed already is sent as it is.
            if reply.headers.contains_key("content-encoding") {
                assert_eq!(reply.header("content-encoding"), coding, "{asked}");
                assert_eq!(decoded(&reply, coding), plain.body, "{asked} {coding}");
                assert!(reply.header("vary").to_lowercase().contains("accept-encoding"), "{asked}");
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
async fn what_is_too_long_is_refused_wherever_it_is_asked() {
    let both = Both::start().await;
    let long = "x".repeat(17_000);
    for asked in answered().values() {
        let join = if asked.contains('?') { '&' } else { '?' };
        let reply = both.get(&format!("{asked}{join}x={}", &long[..8_200])).await;
        assert_eq!((reply.status.as_u16(), &*reply.problem()), (414, "uri_too_long"), "{asked}");
        let reply = both.send("GET", asked, &[("x-filler", &long)]).await;
        assert_eq!((reply.status.as_u16(), &*reply.problem()), (431, "headers_too_long"), "{asked}");
        let reply = both.send("GET", asked, &[("content-length", "5")]).await;
        assert_eq!((reply.status.as_u16(), &*reply.problem()), (413, "body_too_large"), "{asked}");
    }
}
