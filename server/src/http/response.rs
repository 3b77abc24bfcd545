//! The response of a handler: a status, headers and a content.

use bytes::Bytes;
use futures_util::Stream;
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use std::fmt::Display;
use std::pin::Pin;

/// The most headers that an ordinary response has: with room for all, adding one moves none.
const HEADERS: usize = 16;

/// A response before it becomes the body of a connection.
pub(crate) type Response = hyper::Response<Content>;

/// The chunks of a body that is made while it is sent, none of them empty.
pub(crate) type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, Broken>> + Send>>;

/// The reason why a body can't be continued, for the log.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Broken(String);

impl Broken {
    /// A body that breaks off for this reason.
    pub(crate) fn of(reason: impl Display) -> Broken {
        Broken(reason.to_string())
    }
}

/// The content of a response.
pub(crate) enum Content {
    /// A body that is complete in memory: at most some ten thousand bars.
    Whole(Bytes),
    /// A body of any length that is made while it is sent.
    Streamed(Chunks),
}

impl Default for Content {
    /// An empty body.
    fn default() -> Content {
        Content::Whole(Bytes::new())
    }
}

/// A response of this content type with this body. A cache may store a response with status 200 if
/// it revalidates the response each time; it may store no other.
pub(crate) fn with_body(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Content::Whole(body.into()));
    *response.status_mut() = status;
    *response.headers_mut() = HeaderMap::with_capacity(HEADERS);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    let storage = if status == StatusCode::OK { "no-cache" } else { "no-store" };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(storage));
    response
}

/// A response of this content type with a body that is made while it is sent. No cache may store
/// the response: it has no tag to revalidate it by, as its bytes are not known before they have
/// been sent.
pub(crate) fn streamed(content_type: &'static str, chunks: Chunks) -> Response {
    no_store(with_body(StatusCode::OK, content_type, Bytes::new()).map(|_| Content::Streamed(chunks)))
}

/// Forbids caches to store the response.
pub(crate) fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A response without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

/// A response with the value as JSON. A float that is not finite becomes `null`.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Result<Response, serde_json::Error> {
    Ok(with_body(status, "application/json", serde_json::to_vec(value)?))
}

/// Sets a header. A value with characters that no header may have is logged and left out.
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
