//! The document, assembled from the declarations.

use super::errors;
use super::headers::{self, references};
use super::operation::{Errors, Operation, Tag};
use super::operations::OPERATIONS;
use crate::http::api_key;
use serde_json::{Map, Value, json};

/// The introduction of the document.
const INTRODUCTION: &str = "Candles and anomaly alerts from a log of crypto market ticks, live and replayed.\n\n\
    Every operation is a `GET`; `HEAD` returns the same headers without the body, and `OPTIONS` the allowed methods.\n\n\
    - Symbols and names to choose from are accepted in any case. An unknown parameter is refused.\n\
    - Times are RFC 3339 in UTC unless a unit is named. Windows are half-open: a candle has its start and not its end.\n\
    - Errors are `application/problem+json` after RFC 9457; the dialects of Binance and TradingView have their own shape \
    for mistakes of the caller.\n\
    - The `X-Request-ID` of a request is returned with its response and stands in the log. `If-None-Match` with the `ETag` \
    of an earlier response returns 304 while that response is still valid. Responses are compressed after \
    `Accept-Encoding`: zstd, br or gzip.\n\
    - Bytes that are no request of HTTP/1.1, a head above 64 KiB and more than 1,024 headers are refused with 400, 414 or \
    431, without a body and without `X-Request-ID`, and the connection ends.";

/// The schemas of all responses; the tests compare them with real responses.
const SCHEMAS: &str = include_str!("schemas.json");

/// Returns the whole document.
///
/// # Panics
/// If a file of this folder is no JSON, which the tests would have found.
pub(super) fn document() -> Value {
    let schemas = headers::object(SCHEMAS);
    let mut paths = Map::new();
    for operation in &OPERATIONS {
        paths.insert(operation.path.to_owned(), json!({ "get": described(operation, &schemas) }));
    }
    let tags: Vec<Value> = Tag::ALL
        .iter()
        .map(|(_, name, description)| json!({"name": name, "description": description}))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tallow",
            "version": env!("CARGO_PKG_VERSION"),
            "description": INTRODUCTION,
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "This server."}],
        "tags": tags,
        "security": [{}, {"bearer": []}, {"key": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "headers": headers::components(),
            "responses": errors::components(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "One of the server's keys, if it has any."},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "One of the server's keys, if it has any."},
                "socketKey": {"type": "apiKey", "in": "query", "name": api_key::PARAMETER,
                    "description": "One of the server's keys, for WebSockets: browsers let a page set no headers on them."},
            },
        },
    })
}

fn described(operation: &Operation, schemas: &Map<String, Value>) -> Value {
    let in_path = operation.place.iter().map(|parameter| parameter.json("path"));
    let in_query = operation.parameters.iter().map(|parameter| parameter.json("query"));
    let parameters: Vec<Value> = in_path.chain(in_query).collect();
    let mut responses = Map::new();
    let (status, success) = success(operation, schemas);
    responses.insert(status.to_owned(), success);
    if operation.is_storable {
        let headers = references(operation.headers.iter().copied().chain(["CacheControl", "ETag"]));
        let description = "The client has this response already, by its `If-None-Match`.";
        responses.insert("304".to_owned(), json!({"description": description, "headers": headers}));
    }
    responses.extend(errors::responses(operation.errors));
    let mut description = json!({
        "operationId": operation.id,
        "tags": [operation.tag.name()],
        "summary": operation.summary,
        "parameters": parameters,
        "responses": responses,
    });
    if !operation.description.is_empty() {
        description["description"] = json!(operation.description);
    }
    match operation.errors {
        Errors::Probe | Errors::Page => description["security"] = json!([]),
        Errors::WebSocket => {
            description["security"] = json!([{}, {"bearer": []}, {"key": []}, {"socketKey": []}]);
        }
        Errors::Problems | Errors::Binance | Errors::Udf | Errors::Streamed => {}
    }
    description
}

/// Returns the status and the description of a successful response.
fn success(operation: &Operation, schemas: &Map<String, Value>) -> (&'static str, Value) {
    if operation.errors == Errors::WebSocket {
        let headers = references(["Upgrade"].into_iter());
        return ("101", json!({"description": "The WebSocket is open.", "headers": headers}));
    }
    let mut content = Map::new();
    for (content_type, schema) in operation.content {
        let mut media = json!({"schema": {"$ref": format!("#/components/schemas/{schema}")}});
        if let Some(example) = schemas.get(*schema).and_then(|schema| schema["examples"].get(0)) {
            media["example"] = example.clone();
        }
        content.insert((*content_type).to_owned(), media);
    }
    let tag = operation.is_storable.then_some("ETag");
    let common = ["CacheControl", "ContentEncoding"].into_iter().chain(tag);
    let headers = references(operation.headers.iter().copied().chain(common));
    ("200", json!({"description": "The requested data.", "headers": headers, "content": content}))
}
