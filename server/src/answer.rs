//! The answer of a handler: a status, headers and a body.

use crate::stream::Chunks;
use bytes::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;
use std::fmt::Display;

/// As many headers as an answer has, so that adding them moves none.
const HEADERS: usize = 16;

/// An answer.
pub(crate) type Answer = Response<Content>;

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
pub(crate) fn with_body(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Content::Whole(body.into()));
    *answer.status_mut() = status;
    *answer.headers_mut() = HeaderMap::with_capacity(HEADERS);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    let storage = if status == StatusCode::OK { "no-cache" } else { "no-store" };
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(storage));
    answer
}

/// An answer of this type with a body that is made while it is sent. Nothing of it may be stored: it has no tag to be asked
/// for again by, as nobody knows its bytes before they have been sent.
pub(crate) fn streamed(content_type: &'static str, chunks: Chunks) -> Answer {
    momentary(with_body(StatusCode::OK, content_type, Bytes::new()).map(|_| Content::Streamed(chunks)))
}

/// The same answer, of a moment that does not come again: nothing of it may be stored.
pub(crate) fn momentary(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::default();
    *answer.status_mut() = status;
    answer
}

/// The value as JSON. A float that is not finite becomes `null`.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Result<Answer, serde_json::Error> {
    Ok(with_body(status, "application/json", serde_json::to_vec(value)?))
}

/// Adds a header whose value is made of characters that headers may have.
pub(crate) fn set_header<V>(answer: &mut Answer, name: HeaderName, value: V)
where
    V: TryInto<HeaderValue, Error: Display>,
{
    match value.try_into() {
        Ok(value) => {
            answer.headers_mut().insert(name, value);
        }
        Err(error) => tracing::error!(header = %name, %error, "header left out"),
    }
}
