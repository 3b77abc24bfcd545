//! What every answer passes through on its way: tags and revalidation, content codings, limits, keys.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod support;

use hyper::StatusCode;
use support::Server;
use support::history::row;
use support::http::Reply;
use support::market::candle;
use tallow_connectors::dataflow::Interval;
use tallow_server::ServerSettings;

async fn with_history(settings: ServerSettings, minutes: u64) -> Server {
    let server = Server::start_with(settings, 64).await;
    for minute in 0..minutes {
        server.history.put(Interval::OneMinute, row("BTC", minute, 101.0 + minute as f64));
    }
    server
}

/// What lets a client that has an answer see that it is still that one.
const KEPT: [&str; 4] = ["etag", "cache-control", "vary", "access-control-allow-origin"];

fn kept(reply: &Reply) -> Vec<(&str, Option<&str>)> {
    KEPT.map(|name| (name, reply.headers.get(name).map(|value| value.to_str().unwrap()))).to_vec()
}

#[tokio::test]
async fn an_answer_that_the_client_has_is_not_sent_again() {
    let server = with_history(ServerSettings::default(), 2).await;
    for path in [
        "/",
        "/page.js",
        "/page.css",
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

#[tokio::test]
async fn an_answer_that_has_changed_has_another_tag() {
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
async fn what_is_of_the_moment_or_wrong_is_not_stored() {
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
