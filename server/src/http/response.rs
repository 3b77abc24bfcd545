//! The answer of a handler: a status, headers and a body.

use crate::http::streamed::Chunks;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use std::fmt::Display;

/// As many headers as an answer has, so that adding them moves none.
const HEADERS: usize = 16;

/// An answer.
pub(crate) type Response = hyper::Response<Content>;

/// The body of an answer.
pub(crate) enum Content {
    /// Complete in memory: at most some ten thousand bars.
    Whole(Bytes),
    /// Made while it is sent, of any length.
    Streamed(Chunks),
}

impl Default for Content {
    /// Nothing.
    fn default() -> Content {
        Content::Whole(Bytes::new())
    }
}

/// An answer of this type with this body. One that went well may be stored by anyone who then asks each time whether it
/// still holds; of the others nothing may be stored.
pub(crate) fn with_body(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Content::Whole(body.into()));
    *response.status_mut() = status;
    *response.headers_mut() = HeaderMap::with_capacity(HEADERS);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    let storage = if status == StatusCode::OK { "no-cache" } else { "no-store" };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(storage));
    response
}

/// An answer of this type with a body that is made while it is sent. Nothing of it may be stored: it has no tag to be asked
/// for again by, as nobody knows its bytes before they have been sent.
pub(crate) fn streamed(content_type: &'static str, chunks: Chunks) -> Response {
    no_store(with_body(StatusCode::OK, content_type, Bytes::new()).map(|_| Content::Streamed(chunks)))
}

/// The same answer, of a moment that does not come again: nothing of it may be stored.
pub(crate) fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

/// The value as JSON. A float that is not finite becomes `null`.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Result<Response, serde_json::Error> {
    Ok(with_body(status, "application/json", serde_json::to_vec(value)?))
}

/// Adds a header whose value is made of characters that headers may have.
pub(crate) fn set_header<V>(response: &mut Response, name: HeaderName, value: V)
where
    V: TryInto<HeaderValue, Error: Display>,
{
    match value.try_into() {
        Ok(value) => {
            response.headers_mut().insert(name, value);
        }
        Err(error) => tracing::error!(header = %name, %error, "header left out"),
    }
}
