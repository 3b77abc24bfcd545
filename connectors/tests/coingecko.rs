//! The CoinGecko feed against recorded responses from a server of the test's own.
//!
//! The recordings stand beside the checkout (`../shared/data`). Where they don't, the tests say so
//! and pass, unless `TALLOW_REQUIRE_ALL` is set.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![allow(clippy::print_stderr, reason = "what is skipped is said")]

use proptest::prelude::*;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tallow_connectors::feeds::coingecko::{
    Client, CoinGeckoConfig, Feed, FeedTotals, Found, Plan, Quote, Remedy, RequestFailure, TimeOf, quotes,
};
use tallow_model::error::{Action, chain};
use tallow_model::secret::Secret;
use tallow_model::{EventTime, decode};
use tallow_testing::wait::LIMIT;
use wiremock::matchers::{header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

fn recording(name: &str) -> Option<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/coingecko").join(name);
    if path.exists() {
        return Some(std::fs::read_to_string(path).unwrap());
    }
    assert!(std::env::var_os("TALLOW_REQUIRE_ALL").is_none(), "{} is missing", path.display());
    eprintln!("skipped: {} is missing", path.display());
    None
}

fn config(base_url: &str, coins: &[&str]) -> CoinGeckoConfig {
    CoinGeckoConfig {
        base_url: base_url.to_owned(),
        plan: Plan::None,
        api_key: Secret::default(),
        coins: coins.iter().map(|coin| coin.parse().unwrap()).collect(),
        poll_interval_ms: 10,
        timeout_ms: 5_000,
        event_time: TimeOf::Observed,
        backoff_first_ms: 1,
        backoff_max_ms: 5,
        breaker_failures: 100,
        breaker_open_ms: 60_000,
    }
}

fn json(body: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(body, "application/json; charset=utf-8")
}

/// Answers every request from now on.
async fn answer(server: &MockServer, response: ResponseTemplate) {
    server.reset().await;
    Mock::given(method("GET")).respond_with(response).mount(server).await;
}

/// Answers the first requests, then what is mounted after this.
async fn answer_first(server: &MockServer, times: u64, response: ResponseTemplate) {
    Mock::given(method("GET")).respond_with(response).up_to_n_times(times).mount(server).await;
}

async fn next(feed: &mut Feed) -> Vec<String> {
    let quotes = tokio::time::timeout(LIMIT, feed.next()).await.expect("in time").unwrap();
    quotes.into_iter().map(|quote| String::from_utf8(quote.line).unwrap()).collect()
}

async fn failure(server: &MockServer) -> RequestFailure {
    Client::try_new(&config(&server.uri(), &["bitcoin:BTC"])).unwrap().ask().await.unwrap_err()
}

const OBSERVED: EventTime = EventTime(1_763_271_031_120);

fn read(body: &str, coins: &[&str], time_of: TimeOf) -> Vec<Found> {
    quotes(body.as_bytes(), &config("", coins).coins, time_of, OBSERVED).unwrap()
}

fn line(found: &Found) -> &str {
    let quote: &Quote = found.1.as_ref().unwrap();
    std::str::from_utf8(&quote.line).unwrap()
}

fn reason(found: &Found) -> &str {
    found.1.as_ref().unwrap_err()
}

#[test]
fn a_quote_is_the_contracts_tick_digit_for_digit() {
    let Some(body) = recording("200_all_flags.json") else { return };
    let found = read(&body, &["ethereum:ETH", "bitcoin:BTC:Bitcoin"], TimeOf::Observed);
    let expected = r#"{"symbol":"BTC","coin_id":"bitcoin","price_usd":103663,"volume_24h":31366805440.52759,"#
        .to_owned()
        + r#""market_cap":2058811028682.1257,"price_change_24h":1.6371141415010508,"last_updated":1747407859,"#
        + r#""timestamp":"2025-11-16T05:30:31.120Z","producer_id":"tallow-coingecko","source":"coingecko","#
        + r#""message_id":"BTC-1763271031120"}"#;
    assert_eq!(line(&found[1]), expected);
    assert!(line(&found[0]).contains(r#""price_usd":2587.79,"volume_24h":24720177371.124744,"#));
    let tick = decode(line(&found[1]).as_bytes()).unwrap();
    assert_eq!((tick.time, tick.size), (OBSERVED, None));
    assert_eq!(tick.day_volume.unwrap().0, 31_366_805_440.527_59);
}

#[test]
fn all_digits_pass_even_those_that_no_float_holds() {
    let Some(body) = recording("200_full_precision.json") else { return };
    let found = read(&body, &["ethereum:ETH"], TimeOf::Observed);
    assert!(line(&found[0]).contains(r#""price_usd":1219.3455852742827,"#), "{}", line(&found[0]));
    for price in ["0.100000000000000000000000001", "9.123E-8", "12345678901.10", "1e2"] {
        let found = read(&format!(r#"{{"x":{{"usd":{price}}}}}"#), &["x:X"], TimeOf::Observed);
        assert!(line(&found[0]).contains(&format!(r#""price_usd":{price},"#)), "{}", line(&found[0]));
    }
}

#[test]
fn a_quote_without_the_rest_is_a_tick_without_it() {
    let Some(body) = recording("200_change_only.json") else { return };
    let found = read(&body, &["unique-network:UNQ"], TimeOf::Observed);
    let expected = r#"{"symbol":"UNQ","coin_id":"unique-network","price_usd":0.00480102,"#.to_owned()
        + r#""price_change_24h":1.9281110755066968,"timestamp":"2025-11-16T05:30:31.120Z","#
        + r#""producer_id":"tallow-coingecko","source":"coingecko","message_id":"UNQ-1763271031120"}"#;
    assert_eq!(line(&found[0]), expected);
    let odd = r#"{"x":{"usd":1,"usd_market_cap":null,"usd_24h_vol":-1,"usd_24h_change":"1","last_updated_at":1.5}}"#;
    let found = read(odd, &["x:X"], TimeOf::Observed);
    assert!(line(&found[0]).contains(r#""price_usd":1,"timestamp""#), "{}", line(&found[0]));
}

#[test]
fn the_time_is_the_sources_where_that_is_wanted() {
    let Some(body) = recording("200_all_flags.json") else { return };
    let found = read(&body, &["bitcoin:BTC"], TimeOf::Source);
    let tick = decode(line(&found[0]).as_bytes()).unwrap();
    assert_eq!(tick.time, EventTime(1_747_407_859_000));
    assert!(line(&found[0]).ends_with(r#""message_id":"BTC-1763271031120"}"#));
    let found = read(r#"{"bitcoin":{"usd":1}}"#, &["bitcoin:BTC"], TimeOf::Source);
    assert_eq!(reason(&found[0]), "it does not say when it was last updated");
}

#[test]
fn a_coin_without_a_usable_price_is_left_out_with_a_reason_and_the_others_go_on() {
    let Some(empty) = recording("200_unknown_currency.json") else { return };
    assert_eq!(reason(&read(&empty, &["bitcoin:BTC"], TimeOf::Observed)[0]), "it has no price in US dollars");
    let body = r#"{"a":{"usd":null},"b":{"usd":0},"c":{"usd":-1.5},"d":{"usd":1e13},"e":{"usd":"5"},"f":[5],"h":{"usd":7}}"#;
    let coins = ["a:A", "b:B", "c:C", "d:D", "e:E", "f:F", "g:G", "h:H"];
    let found = read(body, &coins, TimeOf::Observed);
    for (found, expected) in found.iter().zip([
        "it has no price in US dollars",
        "price_usd 0 is not within 1e-18 and 1e12",
        "price_usd -1.5 is not within 1e-18 and 1e12",
        "price_usd 1e13 is not within 1e-18 and 1e12",
        "price_usd is a string, not a number",
        "its quote can't be read: [5]",
        "the answer does not have it",
    ]) {
        assert_eq!(reason(found), expected);
    }
    assert!(line(&found[7]).contains(r#""price_usd":7,"#));
}

#[test]
fn an_answer_that_is_an_error_or_no_object_is_no_data() {
    let Some(missing) = recording("422_missing_ids.json") else { return };
    let Some(limited) = recording("429_body.json") else { return };
    let problem = |body: &str| {
        let coins = config("", &["status:SNT"]).coins;
        quotes(body.as_bytes(), &coins, TimeOf::Observed, OBSERVED).unwrap_err().problem
    };
    assert_eq!(problem(&missing), "the answer is an error: Missing parameter ids");
    assert!(problem(&limited).starts_with("the answer is an error: You've exceeded the Rate Limit."));
    assert!(problem("[]").starts_with("the answer can't be read: "), "{}", problem("[]"));
    assert!(problem(r#"{"status":{"usd":1}"#).starts_with("the answer can't be read: EOF"));
    // A coin may be called so.
    let found = read(r#"{"status":{"usd":0.02}}"#, &["status:SNT"], TimeOf::Observed);
    assert!(line(&found[0]).contains(r#""price_usd":0.02,"#));
}

proptest! {
    #[test]
    fn whatever_is_answered_is_read_or_refused_and_a_quote_is_always_a_tick(
        price in r#"[-0-9.eE"nul\[\]{}:, ]{0,12}"#,
        rest in r#"[-0-9.eE"nul\[\]{}:, ]{0,12}"#,
    ) {
        let body = format!(r#"{{"x":{{"usd":{price},"usd_24h_vol":{rest},"usd_market_cap":{rest}}}}}"#);
        let coins = config("", &["x:X"]).coins;
        for time_of in [TimeOf::Observed, TimeOf::Source] {
            if let Ok(found) = quotes(body.as_bytes(), &coins, time_of, OBSERVED)
                && let Ok(quote) = &found[0].1
            {
                let tick: serde_json::Value = serde_json::from_slice(&quote.line).unwrap();
                prop_assert!(decode(&quote.line).is_ok() && tick["price_usd"].is_number(), "{tick}");
                prop_assert!(!quote.line.contains(&b'\n'));
            }
        }
    }
}

#[tokio::test]
async fn one_request_asks_for_everything_and_carries_the_plans_key() {
    let server = MockServer::start().await;
    for (plan, name) in [(Plan::Demo, "x-cg-demo-api-key"), (Plan::Pro, "x-cg-pro-api-key")] {
        server.reset().await;
        Mock::given(method("GET"))
            .and(path("/api/simple/price"))
            .and(header(name, "CG-key"))
            .and(query_param("ids", "bitcoin,avalanche-2"))
            .and(query_param("vs_currencies", "usd"))
            .and(query_param("include_market_cap", "true"))
            .and(query_param("include_24hr_vol", "true"))
            .and(query_param("include_24hr_change", "true"))
            .and(query_param("include_last_updated_at", "true"))
            .and(query_param("precision", "full"))
            .respond_with(json(r#"{"bitcoin":{"usd":1},"avalanche-2":{"usd":2}}"#))
            .expect(1)
            .mount(&server)
            .await;
        let base = format!("{}/api/", server.uri());
        let api_key = Secret::from("CG-key".to_owned());
        let config = CoinGeckoConfig { plan, api_key, ..config(&base, &["bitcoin:BTC", "avalanche-2:AVAX"]) };
        let mut feed = Feed::try_new(config).unwrap();
        assert_eq!(next(&mut feed).await.len(), 2);
        server.verify().await;
    }
}

#[tokio::test]
async fn what_is_not_json_is_not_read_as_such() {
    let server = MockServer::start().await;
    answer(&server, ResponseTemplate::new(200).set_body_raw("<html>\n busy", "text/html")).await;
    let told = failure(&server).await;
    assert_eq!(told.problem, r#"the answer is "text/html", not JSON; it begins with "<html> busy""#);
    assert_eq!((told.remedy, told.retry_after), (Remedy::Wait, None));
    let Some(text) = recording("429_plaintext_body.txt") else { return };
    answer(&server, ResponseTemplate::new(200).set_body_raw(text, "text/plain")).await;
    assert!(failure(&server).await.problem.ends_with(r#"it begins with "error code: 1015""#));
}

#[tokio::test]
async fn an_answer_without_end_is_given_up() {
    let server = MockServer::start().await;
    answer(&server, json(&" ".repeat((1 << 20) + 1))).await;
    assert_eq!(failure(&server).await.problem, "the answer is longer than 1048576 bytes");
}

#[tokio::test]
async fn a_rate_limit_is_told_with_the_time_to_wait() {
    let Some(body) = recording("429_body.json") else { return };
    let Some(headers) = recording("429_headers.txt") else { return };
    let seconds = headers.lines().find_map(|line| line.strip_prefix("retry-after: ")).unwrap();
    let server = MockServer::start().await;
    let limited = ResponseTemplate::new(429).insert_header("retry-after", seconds);
    answer(&server, limited.set_body_raw(body, "application/json")).await;
    let told = failure(&server).await;
    assert!(
        told.problem.starts_with("status 429, rate limit exceeded: You've exceeded the Rate Limit."),
        "{told}"
    );
    assert_eq!((told.remedy, told.retry_after), (Remedy::Wait, Some(Duration::from_secs(53))));

    let Some(text) = recording("429_plaintext_body.txt") else { return };
    answer(&server, ResponseTemplate::new(429).set_body_string(text)).await;
    let told = failure(&server).await;
    assert_eq!(told.problem, "status 429, rate limit exceeded: error code: 1015");
    assert_eq!((told.remedy, told.retry_after), (Remedy::Wait, None));
}

#[tokio::test]
async fn a_status_says_whether_asking_again_can_help() {
    let Some(missing) = recording("422_missing_ids.json") else { return };
    let server = MockServer::start().await;
    for (status, remedy, start) in [
        (401, Remedy::Stop, "status 401, the API key or the plan is refused"),
        (403, Remedy::Stop, "status 403, the API key or the plan is refused"),
        (404, Remedy::Doubt, "status 404, the request is refused"),
        (422, Remedy::Doubt, "status 422, the request is refused: Missing parameter ids"),
        (301, Remedy::Doubt, "status 301, redirected, which is not followed"),
        (408, Remedy::Wait, "status 408, try again"),
        (500, Remedy::Wait, "status 500, the source is out of order"),
        (503, Remedy::Wait, "status 503, the source is out of order"),
    ] {
        let response = ResponseTemplate::new(status).insert_header("location", "http://localhost:1/");
        answer(&server, response.set_body_raw(missing.clone(), "application/json")).await;
        let told = failure(&server).await;
        assert_eq!(told.remedy, remedy, "{told}");
        assert!(told.problem.starts_with(start), "{told}");
    }
}

#[tokio::test]
async fn no_answer_is_a_failure_that_passes_by_itself() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let ask = |base: String| async move {
        let config = CoinGeckoConfig { timeout_ms: 100, ..config(&base, &["bitcoin:BTC"]) };
        Client::try_new(&config).unwrap().ask().await.unwrap_err()
    };
    // Connected to by the system, and never answered.
    let silent = ask(format!("http://{address}")).await;
    assert!(silent.remedy == Remedy::Wait && silent.problem.contains("timed out"), "{silent}");
    drop(listener);
    let refused = ask(format!("http://{address}")).await;
    assert!(refused.remedy == Remedy::Wait && refused.problem.contains("Connection refused"), "{refused}");
    let unknown = ask("http://no-such-host.invalid".to_owned()).await;
    assert_eq!(unknown.remedy, Remedy::Wait, "{unknown}");
    assert!(!refused.problem.contains("simple/price"), "{refused}");
}

#[tokio::test]
async fn unchanged_prices_are_observations_too_one_an_interval() {
    let server = MockServer::start().await;
    answer(&server, json(r#"{"bitcoin":{"usd":5,"last_updated_at":1747407859}}"#)).await;
    let config = CoinGeckoConfig { poll_interval_ms: 50, ..config(&server.uri(), &["bitcoin:BTC"]) };
    let mut feed = Feed::try_new(config).unwrap();
    let started = Instant::now();
    let mut times = Vec::new();
    for _ in 0..4 {
        let lines = next(&mut feed).await;
        times.push(decode(lines[0].as_bytes()).unwrap().time);
    }
    assert!(started.elapsed() >= Duration::from_millis(150), "{:?}", started.elapsed());
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
    assert_eq!(feed.counts(), FeedTotals { requests: 4, quotes: 4, ..FeedTotals::default() });
}

#[tokio::test]
async fn failures_of_every_kind_are_lived_through() {
    let server = MockServer::start().await;
    answer_first(&server, 2, ResponseTemplate::new(500)).await;
    answer_first(&server, 1, ResponseTemplate::new(429).insert_header("retry-after", "0")).await;
    answer_first(&server, 1, ResponseTemplate::new(200).set_body_raw("<html>", "text/html")).await;
    answer_first(&server, 1, json("{")).await;
    Mock::given(method("GET")).respond_with(json(r#"{"bitcoin":{"usd":5},"x":{}}"#)).mount(&server).await;
    let mut feed = Feed::try_new(config(&server.uri(), &["bitcoin:BTC", "x:X"])).unwrap();
    assert_eq!(next(&mut feed).await.len(), 1);
    assert_eq!(feed.counts(), FeedTotals { requests: 6, failures: 5, quotes: 1, left_out: 1 });
}

#[tokio::test]
async fn an_open_breaker_leaves_the_source_alone_and_then_tries_once() {
    let server = MockServer::start().await;
    answer_first(&server, 4, ResponseTemplate::new(500)).await;
    Mock::given(method("GET")).respond_with(json(r#"{"bitcoin":{"usd":5}}"#)).mount(&server).await;
    let config = CoinGeckoConfig {
        breaker_failures: 3,
        breaker_open_ms: 200,
        ..config(&server.uri(), &["bitcoin:BTC"])
    };
    let mut feed = Feed::try_new(config).unwrap();
    let started = Instant::now();
    next(&mut feed).await;
    // Three failures in quick succession, then two trials.
    assert!(started.elapsed() >= Duration::from_millis(400), "{:?}", started.elapsed());
    assert_eq!(server.received_requests().await.unwrap().len(), 5);
}

#[tokio::test]
async fn a_refused_key_ends_the_feed_and_is_not_shown() {
    let server = MockServer::start().await;
    answer(&server, ResponseTemplate::new(401).set_body_string(r#"{"error":"Invalid API key"}"#)).await;
    let api_key = Secret::from("CG-hunter2".to_owned());
    let config = CoinGeckoConfig { plan: Plan::Demo, api_key, ..config(&server.uri(), &["bitcoin:BTC"]) };
    let mut feed = Feed::try_new(config).unwrap();
    let error = tokio::time::timeout(LIMIT, feed.next()).await.unwrap().unwrap_err();
    assert_eq!(error.action(), Action::Stop);
    assert_eq!(
        chain(&error),
        "ask CoinGecko: status 401, the API key or the plan is refused (coingecko.api_key, coingecko.plan): \
         Invalid API key"
    );
    assert!(!format!("{feed:?}").contains("hunter2"), "{feed:?}");
}
