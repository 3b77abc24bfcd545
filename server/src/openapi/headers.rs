//! The headers of responses, as the document describes them.

use serde_json::{Map, Value, json};

/// Every header that a response may have, by its key in the document.
const HEADERS: &str = include_str!("headers.json");

/// The headers that every response has, or may have if the server limits the rate.
const OF_EVERY_RESPONSE: [&str; 6] =
    ["RequestId", "ProcessTime", "ServerTiming", "RateLimitLimit", "RateLimitRemaining", "RateLimitReset"];

/// Returns the components that [`references`] refer to.
pub(super) fn components() -> Map<String, Value> {
    let mut headers = object(HEADERS);
    for header in headers.values_mut() {
        header.as_object_mut().map(|header| header.remove("name"));
    }
    headers
}

/// Returns references to these headers and to those of every response, by the names of the headers.
pub(super) fn references<'a>(keys: impl Iterator<Item = &'a str>) -> Map<String, Value> {
    let all = object(HEADERS);
    let reference = |key: &str| {
        let name = all.get(key).and_then(|header| header["name"].as_str()).unwrap_or_default();
        (name.to_owned(), json!({"$ref": format!("#/components/headers/{key}")}))
    };
    keys.chain(OF_EVERY_RESPONSE).map(reference).collect()
}

/// Returns the object in a JSON file of this folder.
///
/// # Panics
/// If the file holds no object, which the tests would have found.
pub(super) fn object(text: &str) -> Map<String, Value> {
    #[allow(clippy::expect_used, reason = "the text is part of the program, and the tests read it")]
    serde_json::from_str(text).expect("an object in JSON")
}
