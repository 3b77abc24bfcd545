//! The document, assembled from the declarations.

use super::errors;
use super::headers::{self, references};
use super::operation::{Errors, Operation, Tag};
use super::operations::OPERATIONS;
use crate::http::api_key;
use serde_json::{Map, Value, json};

/// The introduction of the document.
const INTRODUCTION: &str = "Candles and anomaly alerts from a log of crypto market ticks, live and replayed.\n\n\
    Everything is read with `GET`; `HEAD` has the same headers without the body, and `OPTIONS` tells the methods.\n\n\
    - A symbol is taken in any case, as are names to choose from. A parameter that is not known is refused.\n\
    - Times are RFC 3339 in UTC unless a unit is named. Windows are half-open: a candle has its start and not its end.\n\
    - Errors are `application/problem+json` after RFC 9457; the dialects of Binance and TradingView have their own for what \
    the caller did wrong.\n\
    - `X-Request-ID` of a request comes back with its answer and stands in the log. `If-None-Match` with the `ETag` of an \
    earlier answer is answered 304 while that holds. Answers are compressed after `Accept-Encoding`: zstd, br or gzip.\n\
    - What can't be read as a request of HTTP/1.1, has a head above 64 KiB or more than 1,024 headers, is refused before it \
    is one: by 400, 414 or 431 with neither body nor `X-Request-ID`, and the end of the connection.";

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
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same."},
                "socketKey": {"type": "apiKey", "in": "query", "name": api_key::PARAMETER,
                    "description": "The same, for WebSockets: browsers give them no headers to set."},
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
        let description = "The client has this very answer already, by its `If-None-Match`.";
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
    ("200", json!({"description": "As asked.", "headers": headers, "content": content}))
}
