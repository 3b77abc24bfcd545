//! Every operation of the OpenAPI document, with parameters at their bounds and beyond.

use crate::cases::{Case, Expected, all};
use crate::sides::Both;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tallow_testing::server::http::Reply;

/// The parameters that accept every value.
const NEVER_REFUSED: [(&str, &str); 3] =
    [("/udf/search", "query"), ("/udf/search", "type"), ("/udf/search", "exchange")];

/// Checks a response against the contract.
fn check(case: &Case, reply: &Reply) {
    let what = format!("{}: {reply:?}", case.target);
    match case.expected {
        Expected::Success => assert_eq!(reply.status.as_u16(), 200, "{what}"),
        Expected::Socket => {
            assert_eq!((reply.status.as_u16(), &*reply.problem()), (426, "upgrade_required"), "{what}");
            assert_eq!(reply.header("upgrade"), "websocket", "{what}");
        }
        Expected::Problem(status, code) => {
            assert_eq!((reply.status.as_u16(), &*reply.problem()), (status, code), "{what}");
            let errors = reply.json()["errors"].as_array().cloned().unwrap_or_default();
            assert_eq!(!errors.is_empty(), code == "invalid_parameter", "{what}");
            for error in &errors {
                for field in ["parameter", "detail", "allowed"] {
                    assert!(error[field].as_str().is_some_and(|text| !text.is_empty()), "{what}");
                }
            }
        }
        Expected::Binance(code) => {
            assert_eq!((reply.status.as_u16(), reply.json()["code"].as_i64()), (400, Some(code)), "{what}");
            assert!(reply.json()["msg"].as_str().is_some_and(|text| !text.is_empty()), "{what}");
        }
        Expected::Udf(status, message) => {
            let response = reply.json();
            assert_eq!((reply.status.as_u16(), &response["s"]), (status, &Value::from("error")), "{what}");
            assert!(response["errmsg"].as_str().is_some_and(|text| text.starts_with(message)), "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_response_follows_the_contract_on_both_stores() {
    let both = Both::start().await;
    for case in all() {
        check(&case, &both.get(&case.target).await);
    }
    // The build of the dashboard chooses the names of its files.
    let page = both.get("/").await;
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    for asset in text.split('"').filter(|word| word.starts_with("/assets/")) {
        assert_eq!(both.get(asset).await.status.as_u16(), 200, "{asset}");
    }
    for target in ["/nowhere", "/api/v1", "/api/v3/depth", "/udf/quotes"] {
        assert_eq!(both.get(target).await.problem(), "unknown_route", "{target}");
    }
}

/// The parameters of a request's query.
fn given(target: &str) -> Vec<(String, String)> {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_parameter_has_a_valid_and_an_invalid_case() {
    let both = Both::empty(Default::default()).await;
    let document = both.json("/openapi.json").await;
    let mut cases: BTreeMap<&str, Vec<Case>> = BTreeMap::new();
    for case in all() {
        cases.entry(case.path).or_default().push(case);
    }
    let described: BTreeSet<&str> = document["paths"].as_object().unwrap().keys().map(|it| &**it).collect();
    assert_eq!(described, cases.keys().copied().collect(), "the operations of the document and of the cases");

    for (path, item) in document["paths"].as_object().unwrap() {
        let goes_well = |case: &&Case| matches!(case.expected, Expected::Success | Expected::Socket);
        let (well, badly): (Vec<&Case>, Vec<&Case>) = cases[&**path].iter().partition(goes_well);
        // The build of the dashboard chooses the names of its files.
        assert!(!well.is_empty() || path == "/assets/{name}", "{path} has no successful case");
        for parameter in item["get"]["parameters"].as_array().unwrap() {
            if parameter["in"] != "query" {
                continue;
            }
            let (name, schema) = (parameter["name"].as_str().unwrap(), &parameter["schema"]);
            let values = |cases: &[&Case]| -> BTreeSet<String> {
                let pairs = cases.iter().flat_map(|case| given(&case.target));
                pairs.filter(|(other, _)| other == name).map(|(_, value)| value).collect()
            };
            let (right, wrong) = (values(&well), values(&badly));
            assert!(!right.is_empty(), "{path}: {name} is never given");
            let choices =
                schema["enum"].as_array().into_iter().flatten().map(|it| it.as_str().unwrap().to_owned());
            for choice in choices {
                assert!(right.contains(&choice), "{path}: {name}={choice} is never requested");
            }
            for bound in [&schema["minimum"], &schema["maximum"]] {
                // The bounds of instants are too far away to be tested.
                let is_bound = bound.is_u64() && path.starts_with("/api/v1");
                if is_bound && name != "cursor" {
                    assert!(right.contains(&bound.to_string()), "{path}: {name}={bound} is never requested");
                }
            }
            if NEVER_REFUSED.iter().any(|never| *never == (&**path, name)) {
                continue;
            }
            assert!(!wrong.is_empty(), "{path}: {name} is never wrong");
            let maximum = schema["maximum"].as_u64().filter(|_| path.starts_with("/api/v1"));
            if let Some(beyond) = maximum.and_then(|maximum| maximum.checked_add(1)) {
                assert!(wrong.contains(&beyond.to_string()), "{path}: {name}={beyond} is never requested");
            }
        }
    }
}
