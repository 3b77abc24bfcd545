//! CoinGecko as a feed, given by a server of the test's own.

use crate::process::{Producing, until};
use std::process::Stdio;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tallow_model::decode;
use tallow_testing::services::{kafka, unique};
use tallow_testing::topic::Topic;
use tokio::runtime::Runtime;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

/// A responder that sends its responses in turn, the last one for ever, and keeps the times of
/// requests.
struct Answers {
    answers: Vec<ResponseTemplate>,
    asked: std::sync::Arc<Mutex<Vec<Instant>>>,
}

impl Respond for Answers {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        let mut asked = self.asked.lock().unwrap();
        asked.push(Instant::now());
        self.answers[asked.len().min(self.answers.len()) - 1].clone()
    }
}

/// The server, what it runs on, and when it was asked.
struct Source {
    _runtime: Runtime,
    server: MockServer,
    asked: std::sync::Arc<Mutex<Vec<Instant>>>,
}

impl Source {
    fn new(answers: Vec<ResponseTemplate>) -> Source {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let asked = std::sync::Arc::new(Mutex::new(Vec::new()));
        let responder = Answers { answers, asked: asked.clone() };
        let server = runtime.block_on(async {
            let server = MockServer::start().await;
            Mock::given(method("GET")).respond_with(responder).mount(&server).await;
            server
        });
        Source { _runtime: runtime, server, asked }
    }

    fn feed(&self, brokers: &str, topic: &str, settings: &[(&str, &str)]) -> Producing {
        let base = self.server.uri();
        let mut all = vec![
            ("TALLOW__COINGECKO__BASE_URL", base.as_str()),
            ("TALLOW__COINGECKO__COINS", "bitcoin:BTC,ethereum:ETH"),
            ("TALLOW__COINGECKO__POLL_INTERVAL_MS", "100"),
            ("TALLOW__COINGECKO__BACKOFF_FIRST_MS", "10"),
        ];
        all.extend(settings);
        Producing::start_with(brokers, topic, &["--feed", "coingecko"], &all, Stdio::null())
    }
}

fn json(body: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(body, "application/json")
}

#[test]
fn quotes_are_in_the_topic_digit_for_digit_after_a_rate_limit_has_been_heeded() {
    let Some(brokers) = kafka() else { return };
    let topic = Topic::make(&brokers, unique("quotes"), 3, &[]);
    let source = Source::new(vec![
        ResponseTemplate::new(429).insert_header("retry-after", "1").set_body_string("error code: 1015"),
        json(r#"{"bitcoin":{"usd":95750.1200,"last_updated_at":1763271030},"ethereum":{"usd":3.1e3}}"#),
    ]);
    let producing = source.feed(&brokers, &topic.name, &[]);
    until("four quotes", || topic.count() >= 4);
    producing.signal("TERM");
    let said = producing.succeeds();
    assert!(said.contains("rate limit exceeded: error code: 1015"), "{said}");
    assert!(said.contains("CoinGecko answers again"), "{said}");
    assert_eq!(said.matches("WARN").count(), 1, "{said}");

    let asked = source.asked.lock().unwrap();
    assert!(asked[1] - asked[0] >= Duration::from_secs(1), "asked again after {:?}", asked[1] - asked[0]);
    let records = topic.read();
    assert!(said.contains(&format!("acknowledged={}", records.len())), "{said}");
    for record in records {
        let line = String::from_utf8(record.payload.unwrap()).unwrap();
        let tick = decode(line.as_bytes()).unwrap();
        assert_eq!(record.key.as_deref(), Some(tick.symbol.text().as_bytes()));
        let price = if tick.symbol.text().starts_with("BTC") { "95750.1200" } else { "3.1e3" };
        assert!(line.contains(&format!("\"price_usd\":{price},")), "{line}");
        assert!((0..5_000).contains(&(record.timestamp - tick.time.millis() as i64)), "{line}");
    }
}

#[test]
fn a_coin_that_has_no_price_is_said_once_and_the_other_goes_on() {
    let Some(brokers) = kafka() else { return };
    let topic = Topic::make(&brokers, unique("coin"), 3, &[]);
    let source = Source::new(vec![json(r#"{"bitcoin":{},"ethereum":{"usd":5}}"#)]);
    let producing = source.feed(&brokers, &topic.name, &[]);
    until("three quotes", || topic.count() >= 3);
    producing.signal("INT");
    let said = producing.succeeds();
    assert_eq!(said.matches("coin has no usable quote").count(), 1, "{said}");
    assert!(topic.read().iter().all(|record| record.key.as_deref() == Some(b"ETH")));
}

#[test]
fn a_refused_key_ends_it_with_a_reason_that_does_not_show_the_key() {
    let Some(brokers) = kafka() else { return };
    let topic = Topic::make(&brokers, unique("key"), 1, &[]);
    let source = Source::new(vec![ResponseTemplate::new(401)]);
    let key = [("TALLOW__COINGECKO__PLAN", "demo"), ("TALLOW__COINGECKO__API_KEY", "CG-hunter2")];
    let (status, said) = source.feed(&brokers, &topic.name, &key).ended();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("tallow: ask CoinGecko: status 401, the API key or the plan is refused"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}
