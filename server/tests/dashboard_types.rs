//! `dashboard/openapi.json`, from which the dashboard's types are generated, against the document
//! that is served.
//!
//! The file holds the part of the document that the dashboard uses: the schemas, and the schema of
//! each successful response below `/api/v1`, without prose. `UPDATE=1` writes the file; `npm run
//! types` then generates the types.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use serde_json::{Map, Value, json};
use std::path::Path;
use tallow_testing::server::Server;

/// Keywords of a schema that say nothing about its type.
const PROSE: [&str; 4] = ["description", "summary", "example", "examples"];

/// Removes the prose of a schema. The keys of `properties` are names of fields and stay.
fn without_prose(schema: &Value) -> Value {
    let each_value = |fields: &Map<String, Value>| -> Value {
        fields.iter().map(|(name, value)| (name.clone(), without_prose(value))).collect()
    };
    match schema {
        Value::Object(keywords) => keywords
            .iter()
            .filter(|(keyword, _)| !PROSE.contains(&keyword.as_str()))
            .map(|(keyword, value)| match (keyword.as_str(), value) {
                ("properties", Value::Object(fields)) => (keyword.clone(), each_value(fields)),
                _ => (keyword.clone(), without_prose(value)),
            })
            .collect(),
        Value::Array(values) => values.iter().map(without_prose).collect(),
        other => other.clone(),
    }
}

/// The part of the document that the dashboard uses, as the text of the file.
fn dashboard_part(document: &Value) -> String {
    let schemas: Map<String, Value> = document["components"]["schemas"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, schema)| (name.clone(), without_prose(schema)))
        .collect();
    let paths: Map<String, Value> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(path, _)| path.starts_with("/api/v1/"))
        .map(|(path, item)| {
            let content = without_prose(&item["get"]["responses"]["200"]["content"]);
            let success = json!({ "description": "Success.", "content": content });
            (path.clone(), json!({ "get": { "responses": { "200": success } } }))
        })
        .collect();
    let part = json!({
        "openapi": document["openapi"],
        "info": { "title": "Tallow", "version": "generated" },
        "paths": paths,
        "components": { "schemas": schemas },
    });
    serde_json::to_string_pretty(&part).unwrap() + "\n"
}

#[tokio::test]
async fn the_dashboard_has_the_types_of_the_served_document() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboard/openapi.json");
    let server = Server::start().await;
    let served = dashboard_part(&server.json("/openapi.json").await);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &served).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == served,
        "{} is not that of the server; UPDATE=1 writes it, and npm run types in its folder the types",
        path.display()
    );
}
