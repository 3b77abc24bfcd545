//! The description of the API: OpenAPI 3.1 at `/openapi.json`, and `/docs` to try it in a browser.
//!
//! - `operations` lists every operation; the handlers read the same parameters that it names.
//! - `schemas.json` and `headers.json` describe successful responses, `errors` all others.
//! - `document` puts them together.
//!
//! The tests compare the routes with the document, in both directions, and real responses of every
//! operation with its schemas.

mod docs;
mod document;
mod errors;
mod headers;
mod operation;
mod operations;

pub(crate) use docs::{file as docs_file, page as docs};

use crate::http::problem::Problem;
use crate::http::response::{self, Response};
use crate::query::Query;
use bytes::Bytes;
use hyper::StatusCode;
use std::sync::LazyLock;

/// The document as it is sent.
static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| document::document().to_string().into());

/// `/openapi.json`.
pub(crate) fn document(query: Option<&str>) -> Result<Response, Problem> {
    Query::none(query)?;
    Ok(response::with_body(StatusCode::OK, "application/json", DOCUMENT.clone()))
}

#[cfg(test)]
mod tests {
    use super::operations::OPERATIONS;
    use crate::routes::ROUTES;
    use std::collections::BTreeSet;

    #[test]
    fn every_route_is_described_and_nothing_else_is() {
        let routes: BTreeSet<&str> = ROUTES.iter().map(|(template, _)| *template).collect();
        let described: BTreeSet<&str> = OPERATIONS.iter().map(|operation| operation.path).collect();
        assert_eq!(routes, described);
        assert_eq!(OPERATIONS.len(), described.len(), "each once");
    }

    #[test]
    fn what_stands_in_a_path_is_described_by_its_name() {
        for operation in &OPERATIONS {
            let named = operation.path.split(['{', '}']).nth(1);
            assert_eq!(operation.place.map(|parameter| parameter.name), named, "{}", operation.path);
        }
    }
}
