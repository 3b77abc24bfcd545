//! `/openapi.json` against the server that it describes, over a real socket: parameters, responses,
//! headers, errors and examples. Also `/docs`.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use hyper::StatusCode;
use jsonschema::Validator;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use tallow_model::rows::CandleRow;
use tallow_model::store::{CheckpointFigures, PartitionStatus, SinkStatus};
use tallow_model::{AlertStatus, Counts, EventTime, Interval, PartitionProgress, Severity};
use tallow_server::ServerSettings;
use tallow_testing::server::history::{PANIC, alert_row, row};
use tallow_testing::server::http::Reply;
use tallow_testing::server::market::candle;
use tallow_testing::server::{START_MS, Server};

const MINUTE_MS: u64 = 60_000;
const START: u64 = START_MS / 1000;

/// A server with data for every route.
async fn with_everything() -> Server {
    with_settings(ServerSettings::default()).await
}

async fn with_settings(settings: ServerSettings) -> Server {
    let server = Server::start_with(settings, 64).await;
    for (minute, close) in [(0, 101.0), (1, 102.5), (2, 0.00000012), (4, 99.0)] {
        server.history.put(Interval::OneMinute, row("BTC", minute, close));
    }
    server.history.put(Interval::OneMinute, CandleRow { vwap: None, ..row("ETH", 0, 101.0) });
    server.history.put_alert(alert_row("BTC", 1, Severity::High, AlertStatus::Raised));
    server.history.put_alert(alert_row("BTC", 2, Severity::Low, AlertStatus::Retracted));
    server.cache.publish(candle("BTC", 5, 101.25, false));
    server.clock.advance(5 * MINUTE_MS + 40_000);
    server.pipeline.change(|status| {
        let time = Some(EventTime(START_MS));
        status.counts = Counts { records_in: 10, on_time: 7, late: 3, ..Counts::default() };
        (status.watermark, status.max_event_time) = (time, time);
        let progress = PartitionProgress {
            partition: 0,
            counts: status.counts,
            offset: Some(9),
            max_event_time: time,
            idle: false,
        };
        status.partitions = vec![PartitionStatus { progress, pending: Some(4), silent_seconds: Some(3.5) }];
        status.sinks =
            vec![SinkStatus { name: "books".to_owned(), stored_through: time, ..Default::default() }];
        status.checkpoint = Some(CheckpointFigures { frontier: time, stored_at: time, ..Default::default() });
    });
    server
}

/// The document, and its components with objects that allow no undescribed field.
struct Document {
    json: Value,
    strict: Value,
}

/// Forbids undescribed fields in every object that does not allow them explicitly.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.contains_key("properties") && !fields.contains_key("additionalProperties") {
                fields.insert("additionalProperties".to_owned(), json!(false));
            }
            for (name, value) in fields {
                if !matches!(&**name, "examples" | "example" | "enum" | "const") {
                    close(value);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(close),
        _ => {}
    }
}

impl Document {
    async fn of(server: &Server) -> Document {
        let json = server.json("/openapi.json").await;
        let mut strict = json["components"].clone();
        close(&mut strict["schemas"]);
        Document { json, strict }
    }

    /// Each path with its `GET` operation.
    fn operations(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.json["paths"].as_object().unwrap().iter().map(|(path, item)| (&**path, &item["get"]))
    }

    /// The target of a reference, or the value itself.
    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => self.json.pointer(reference.strip_prefix('#').unwrap()).unwrap(),
            None => value,
        }
    }

    fn validator(&self, schema: &Value) -> Validator {
        let mut root = schema.clone();
        root["components"] = self.strict.clone();
        jsonschema::options().should_validate_formats(true).build(&root).unwrap()
    }

    fn check(&self, what: &str, schema: &Value, value: &Value) {
        let validator = self.validator(schema);
        let faults: Vec<String> =
            validator.iter_errors(value).map(|fault| format!("{} {fault}", fault.instance_path())).collect();
        assert!(faults.is_empty(), "{what}: {faults:#?}\n{value}");
    }

    /// Checks status, headers, type and body of a response against its description.
    fn check_response(&self, path: &str, target: &str, reply: &Reply) {
        let what = format!("{target}: {}", reply.status);
        let responses = &self.json["paths"][path]["get"]["responses"];
        let described = self.resolved(&responses[reply.status.as_str()]);
        assert!(described.is_object(), "{what} is not described: {reply:?}");
        for (name, header) in described["headers"].as_object().unwrap() {
            let header = self.resolved(header);
            match reply.headers.get(name) {
                Some(value) => {
                    let text = value.to_str().unwrap();
                    let read = serde_json::from_str(text).unwrap_or(Value::Null);
                    let validator = self.validator(&header["schema"]);
                    let fits = validator.is_valid(&json!(text)) || validator.is_valid(&read);
                    assert!(fits, "{what}: {name}: {text}");
                }
                None => assert_ne!(header["required"], true, "{what} has no {name}"),
            }
        }
        let common = [
            "content-type",
            "content-length",
            "transfer-encoding",
            "date",
            "vary",
            "connection",
            "referrer-policy",
        ];
        for name in reply.headers.keys().map(|name| name.as_str()) {
            let is_described =
                described["headers"].as_object().unwrap().keys().any(|it| it.eq_ignore_ascii_case(name));
            let is_common = common.contains(&name)
                || name.starts_with("access-control-")
                || name == "x-content-type-options";
            assert!(is_described || is_common, "{what} has {name}, which is not described");
        }
        let Some(content) = described["content"].as_object() else {
            assert!(reply.body.is_empty(), "{what}");
            return;
        };
        let content_type = reply.header("content-type");
        let schema = &content.get(content_type).unwrap_or_else(|| panic!("{what}: {content_type}"))["schema"];
        if content_type.ends_with("json") {
            self.check(&what, schema, &reply.json());
        } else if ["text/", "application/jsonl", "application/openmetrics"]
            .iter()
            .any(|kind| content_type.starts_with(kind))
        {
            self.check(&what, schema, &json!(std::str::from_utf8(&reply.body).unwrap()));
        }
    }
}

/// A path with the examples of its path parameters and its required query parameters.
fn example(path: &str, operation: &Value) -> String {
    let (mut path, mut query) = (path.to_owned(), form_urlencoded::Serializer::new(String::new()));
    for parameter in operation["parameters"].as_array().unwrap() {
        let name = parameter["name"].as_str().unwrap();
        let example = &parameter["example"];
        let text = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
        if parameter["in"] == "path" {
            path = path.replace(&format!("{{{name}}}"), &text);
        } else if parameter["required"] == true {
            query.append_pair(name, &text);
        }
    }
    let query = query.finish();
    if query.is_empty() { path } else { format!("{path}?{query}") }
}

/// The path of a file of the dashboard, if the program is built with it.
async fn asset(server: &Server) -> Option<String> {
    let page = server.get("/").await;
    let text = std::str::from_utf8(&page.body).unwrap().to_owned();
    let start = text.find("/assets/")?;
    Some(text[start..].split('"').next().unwrap().to_owned())
}

fn is_socket(operation: &Value) -> bool {
    operation["responses"].get("101").is_some()
}

#[tokio::test]
async fn every_operation_responds_as_described() {
    let server = with_everything().await;
    let document = Document::of(&server).await;
    for (path, operation) in document.operations() {
        let target = match path {
            // The build chooses the names of files; a program without the dashboard has none.
            "/assets/{name}" => match asset(&server).await {
                Some(asset) => asset,
                None => continue,
            },
            "/udf/history" | "/udf/marks" => {
                format!("{path}?symbol=BTC&resolution=1&from={START}&to={}", START + 600)
            }
            _ => example(path, operation),
        };
        let reply = server.get(&target).await;
        let expected = if is_socket(operation) { StatusCode::UPGRADE_REQUIRED } else { StatusCode::OK };
        assert_eq!(reply.status, expected, "{target}: {reply:?}");
        document.check_response(path, &target, &reply);
        let head = server.send("HEAD", &target, &[]).await;
        assert_eq!(head.status, expected, "{target}");
        if let Some(tag) = reply.headers.get("etag") {
            let again = server.send("GET", &target, &[("if-none-match", tag.to_str().unwrap())]).await;
            if again.status != StatusCode::OK {
                document.check_response(path, &target, &again);
            }
            assert!(operation["responses"].get("304").is_some(), "{path}");
        }
        let posted = server.send("POST", &target, &[]).await;
        assert_eq!(posted.status, StatusCode::METHOD_NOT_ALLOWED, "{target}");
        document.check_response(path, &target, &posted);
    }
}

#[tokio::test]
async fn other_responses_are_as_described() {
    let server = with_everything().await;
    let document = Document::of(&server).await;
    let history = format!("/udf/history?symbol=BTC&resolution=1&to={}&from=", START);
    let cases = [
        ("/api/v1/latest/{symbol}", "/api/v1/latest/ETH".to_owned(), 200),
        ("/api/v1/historical/{symbol}", "/api/v1/historical/BTC?limit=1".to_owned(), 200),
        (
            "/api/v1/historical/{symbol}",
            "/api/v1/historical/BTC?limit=2&offset=0&order_by=asc".to_owned(),
            200,
        ),
        ("/api/v1/historical/{symbol}", "/api/v1/historical/ETH".to_owned(), 200),
        ("/api/v1/historical/{symbol}", "/api/v1/historical/BTC?format=csv&fill=previous".to_owned(), 200),
        (
            "/api/v1/historical/{symbol}/export",
            "/api/v1/historical/BTC/export?format=jsonl&end_time=9999-12-31T00:00:00Z".to_owned(),
            200,
        ),
        ("/api/v1/historical/{symbol}/export", "/api/v1/historical/BTC/export?limit=5".to_owned(), 400),
        ("/api/v1/historical/{symbol}/export", "/api/v1/historical/NONE/export".to_owned(), 404),
        ("/api/v1/alerts", "/api/v1/alerts?include_retracted=true".to_owned(), 200),
        ("/api/v1/trending", "/api/v1/trending?direction=losers".to_owned(), 200),
        ("/api/v3/ticker/price", "/api/v3/ticker/price?symbol=BTCUSD".to_owned(), 200),
        ("/api/v3/ticker/24hr", "/api/v3/ticker/24hr?symbol=BTCUSD".to_owned(), 200),
        ("/api/v3/ticker/24hr", "/api/v3/ticker/24hr?type=MINI".to_owned(), 200),
        ("/udf/history", format!("{history}{}", START - 60), 200),
        ("/udf/history", format!("/udf/history?symbol=BTC&resolution=1&to={}&from=0", START + 900), 200),
        ("/udf/search", "/udf/search?query=bit".to_owned(), 200),
        ("/api/v1/latest/{symbol}", "/api/v1/latest/NONE".to_owned(), 404),
        ("/api/v1/historical/{symbol}", "/api/v1/historical/BTC?interval=15m".to_owned(), 404),
        ("/docs/{file}", "/docs/none.js".to_owned(), 404),
        ("/udf/symbols", "/udf/symbols?symbol=NONE".to_owned(), 404),
        ("/api/v1/latest/{symbol}", "/api/v1/latest/B%20C".to_owned(), 400),
        ("/api/v1/historical/{symbol}", "/api/v1/historical/BTC?limit=0&x=1".to_owned(), 400),
        ("/api/v3/klines", "/api/v3/klines?symbol=NONEUSD&interval=1m".to_owned(), 400),
        ("/udf/symbols", "/udf/symbols".to_owned(), 400),
        ("/ws/prices/{symbol}", "/ws/prices/BTC?interval=2m".to_owned(), 400),
        ("/ws/{streams}", "/ws/btcusd@depth".to_owned(), 400),
        ("/api/v1/symbols", format!("/api/v1/symbols?{}", "x".repeat(9000)), 414),
        ("/api/v1/historical/{symbol}", format!("/api/v1/historical/{PANIC}"), 500),
    ];
    for (path, target, status) in cases {
        let reply = server.get(&target).await;
        assert_eq!(reply.status.as_u16(), status, "{target}: {reply:?}");
        document.check_response(path, &target, &reply);
    }
    let path = "/api/v1/symbols";
    let long = "x".repeat(20_000);
    for (name, value, status) in
        [("accept-encoding", "identity;q=0", 406), ("x-filler", &*long, 431), ("content-length", "5", 413)]
    {
        let target = if status == 406 { "/openapi.json" } else { path };
        let reply = server.send("GET", target, &[(name, value)]).await;
        assert_eq!(reply.status.as_u16(), status, "{name}: {reply:?}");
        document.check_response(target, target, &reply);
    }
    server.history.is_down.store(true, Ordering::SeqCst);
    server.cache.is_down.store(true, Ordering::SeqCst);
    server.pipeline.change(|status| status.ready = false);
    for (path, operation) in document.operations() {
        let target = example(path, operation);
        let reply = server.get(&target).await;
        assert!(reply.status != StatusCode::INTERNAL_SERVER_ERROR, "{target}");
        document.check_response(path, &target, &reply);
    }
}

#[tokio::test]
async fn refusals_by_key_and_rate_are_as_described() {
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let api_keys = vec![format!("abc:{hash}").parse().unwrap()];
    let server = with_settings(ServerSettings { api_keys, ..Default::default() }).await;
    let document = Document::of(&server).await;
    for (path, operation) in document.operations() {
        let reply = server.get(&example(path, operation)).await;
        let is_open = operation["security"] == json!([]);
        assert_eq!(reply.status != StatusCode::UNAUTHORIZED, is_open, "{path}: {reply:?}");
        assert_eq!(operation["responses"].get("401").is_none(), is_open, "{path}");
        document.check_response(path, path, &reply);
    }

    let settings = ServerSettings { rate_per_second: 1, rate_burst: 1, ..Default::default() };
    let server = with_settings(settings).await;
    assert_eq!(server.get("/api/v1/symbols").await.status, StatusCode::OK);
    for (path, operation) in document.operations() {
        if operation["responses"].get("429").is_none() {
            assert_eq!(operation["tags"], json!(["Process"]), "{path}");
            continue;
        }
        let target = example(path, operation);
        let mut reply = server.get(&target).await;
        // Each second allows one more request.
        while reply.status != StatusCode::TOO_MANY_REQUESTS {
            reply = server.get(&target).await;
        }
        document.check_response(path, &target, &reply);
    }
}

/// The allowed values of a query parameter, from the refusal of an invalid value.
async fn allowed(server: &Server, target: &str, name: &str) -> String {
    let join = if target.contains('?') { '&' } else { '?' };
    let reply = server.get(&format!("{target}{join}{name}=%00")).await;
    assert_eq!(
        (reply.status, &*reply.problem()),
        (StatusCode::BAD_REQUEST, "invalid_parameter"),
        "{target} {name}"
    );
    let errors = reply.json()["errors"].clone();
    let of_it = errors.as_array().unwrap().iter().find(|error| error["parameter"] == name);
    of_it.unwrap_or_else(|| panic!("{errors}"))["allowed"].as_str().unwrap().to_owned()
}

/// The allowed values of a schema, in the words of the server.
fn in_words(schema: &Value) -> String {
    if let Some(choices) = schema["enum"].as_array() {
        return choices.iter().map(|name| name.as_str().unwrap()).collect::<Vec<&str>>().join(", ");
    }
    match schema["type"].as_str() {
        Some("integer") => format!("{}–{}", schema["minimum"], schema["maximum"]),
        Some("boolean") => "true, false".to_owned(),
        None => "RFC 3339, or milliseconds since 1970".to_owned(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn described_parameters_are_those_of_the_server() {
    let server = with_everything().await;
    let document = Document::of(&server).await;
    let in_query = |operation: &Value| -> BTreeMap<String, Value> {
        let parameters = operation["parameters"].as_array().unwrap().iter();
        let parameters = parameters.filter(|parameter| parameter["in"] == "query");
        parameters.map(|it| (it["name"].as_str().unwrap().to_owned(), it["schema"].clone())).collect()
    };
    let native = |path: &str| path.starts_with("/api/v1") || path == "/ws/prices/{symbol}";
    let mut checked = 0;
    for (path, operation) in document.operations().filter(|(path, _)| native(path)) {
        let target = example(path, operation);
        let described = in_query(operation);
        let known = allowed(&server, &target, "unknown").await;
        let known: BTreeSet<String> =
            known.split(", ").filter(|name| *name != "no parameters").map(str::to_owned).collect();
        assert_eq!(known, described.keys().cloned().collect::<BTreeSet<String>>(), "{path}");
        for (name, schema) in described {
            if name == "interval" && path.starts_with("/ws") {
                continue;
            }
            assert_eq!(allowed(&server, &target, &name).await, in_words(&schema), "{path} {name}");
            checked += 1;
        }
    }
    assert!(checked > 20, "{checked}");

    // The error of Binance names the number of parameters; each described one must be known.
    for (path, operation) in document.operations().filter(|(path, _)| path.starts_with("/api/v3")) {
        let described = in_query(operation);
        let reply = server.get(&format!("{path}?unknown=1")).await.json();
        let expected = format!("Too many parameters; expected '{}' and received '1'.", described.len());
        assert_eq!(reply["msg"], expected, "{path}");
        for name in described.keys() {
            let reply = server.get(&format!("{path}?{name}=")).await.json();
            assert_eq!(
                reply,
                json!({"code": -1105, "msg": format!("Parameter '{name}' was empty.")}),
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn every_example_fits_its_schema() {
    let server = Server::start().await;
    let document = Document::of(&server).await;
    let mut count = 0;
    for (name, schema) in document.json["components"]["schemas"].as_object().unwrap() {
        for example in schema["examples"].as_array().into_iter().flatten() {
            document.check(name, &json!({"$ref": format!("#/components/schemas/{name}")}), example);
            count += 1;
        }
    }
    for (name, header) in document.json["components"]["headers"].as_object().unwrap() {
        document.check(name, &header["schema"], &header["example"]);
        count += 1;
    }
    let check_contents = |what: &str, response: &Value| {
        let contents = response["content"].as_object().cloned().unwrap_or_default();
        for (content_type, media) in contents {
            if let Some(example) = media.get("example") {
                document.check(&format!("{what} {content_type}"), &media["schema"], example);
            }
        }
    };
    for (name, response) in document.json["components"]["responses"].as_object().unwrap() {
        check_contents(name, response);
    }
    for (path, operation) in document.operations() {
        for parameter in operation["parameters"].as_array().unwrap() {
            let what = format!("{path} {}", parameter["name"]);
            for value in [parameter.get("example"), parameter["schema"].get("default")].into_iter().flatten()
            {
                document.check(&what, &parameter["schema"], value);
                count += 1;
            }
        }
        let answers: &Map<String, Value> = operation["responses"].as_object().unwrap();
        for (status, response) in answers {
            check_contents(&format!("{path} {status}"), response);
        }
        if !is_socket(operation) && operation["tags"] != json!(["Pages"]) {
            let contents = answers["200"]["content"].as_object().unwrap();
            assert!(
                contents.values().all(|media| media.get("example").is_some()),
                "{path} without an example"
            );
        }
    }
    assert!(count > 100, "{count}");
}

#[tokio::test]
async fn every_component_is_defined_and_used() {
    let server = Server::start().await;
    let document = Document::of(&server).await;
    assert_eq!(document.json["openapi"], "3.1.0");
    let mut references = BTreeSet::new();
    let mut rest = vec![&document.json];
    while let Some(value) = rest.pop() {
        match value {
            Value::Object(fields) => {
                references.extend(fields.get("$ref").and_then(Value::as_str));
                rest.extend(fields.values());
            }
            Value::Array(values) => rest.extend(values),
            _ => {}
        }
    }
    for reference in &references {
        assert!(document.json.pointer(&reference[1..]).is_some(), "{reference}");
    }
    for kind in ["schemas", "headers", "responses"] {
        for name in document.json["components"][kind].as_object().unwrap().keys() {
            let reference = format!("#/components/{kind}/{name}");
            assert!(references.contains(&*reference), "{reference} is used nowhere");
        }
    }
    let ids: Vec<&Value> = document.operations().map(|(_, operation)| &operation["operationId"]).collect();
    assert_eq!(ids.iter().map(|id| id.as_str().unwrap()).collect::<BTreeSet<_>>().len(), ids.len());
}

#[tokio::test]
async fn the_docs_page_loads_its_own_files_only() {
    let server = Server::start().await;
    let page = server.get("/docs").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.header("content-security-policy").starts_with("default-src 'none'; script-src 'self';"));
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(!text.contains("://"), "an address of another site");
    let names: Vec<&str> =
        text.split("/docs/").skip(1).map(|rest| &rest[..rest.find('"').unwrap()]).collect();
    assert_eq!(names.len(), 4, "{names:?}");
    for name in names {
        let path = format!("/docs/{name}");
        let file = server.send("GET", &path, &[("accept-encoding", "gzip")]).await;
        assert_eq!(file.status, StatusCode::OK, "{path}");
        assert!(file.headers.contains_key("etag"), "{path}");
        let again = server
            .send("GET", &path, &[("accept-encoding", "gzip"), ("if-none-match", file.header("etag"))])
            .await;
        assert_eq!(again.status, StatusCode::NOT_MODIFIED, "{path}");
    }
    assert!(server.get("/docs/swagger-ui-bundle.js").await.body.len() > 100_000);
}
