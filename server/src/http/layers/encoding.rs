//! The form in which a response is sent: its tag, 304 for a client that has it already, and its
//! content coding.

use super::Handler;
use crate::http::compression::{self, Accepted, Coding, NoneAccepted};
use crate::http::etag;
use crate::http::problem::Problem;
use crate::http::request::Request;
use crate::http::response::{Content, Response, set_header};
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, IF_NONE_MATCH};
use hyper::{StatusCode, Version};
use tower::{BoxError, service_fn};

/// Tags responses that may be stored, leaves out the body that the client has, and compresses the
/// others.
pub(crate) fn encoding(mut inner: impl Handler<BoxError>) -> impl Handler<BoxError> {
    service_fn(move |request: Request| {
        let (conditions, version) = (conditions(request.headers()), request.version());
        let response = inner.call(request);
        async move {
            let response = response.await?;
            check_version(version, &response)?;
            Ok(encode(&conditions, response).await?)
        }
    })
}

/// The headers of a request that decide in which form its response is sent.
fn conditions(request: &HeaderMap) -> HeaderMap {
    let mut conditions = HeaderMap::new();
    for name in [ACCEPT_ENCODING, IF_NONE_MATCH] {
        for value in request.get_all(&name) {
            conditions.append(&name, value.clone());
        }
    }
    conditions
}

/// Refuses a body of unknown length to HTTP/1.0, where it would end with the connection, whole or
/// not.
fn check_version(version: Version, response: &Response) -> Result<(), Problem> {
    if version >= Version::HTTP_11 || !matches!(response.body(), Content::Streamed(_)) {
        return Ok(());
    }
    let detail = "a body of unknown length has a proper end from HTTP/1.1 on only, and this request is older";
    Err(Problem::new(StatusCode::HTTP_VERSION_NOT_SUPPORTED, "http_version", detail))
}

/// The tag is made of the plain body and the name of the coding, so that a body which need not be
/// sent is not compressed either.
async fn encode(conditions: &HeaderMap, mut response: Response) -> Result<Response, Problem> {
    let length = match response.body() {
        Content::Whole(body) => body.len(),
        // The length is not known yet.
        Content::Streamed(_) => usize::MAX,
    };
    let mut coding = None;
    if compression::is_compressible(&response) {
        coding = Accepted::of(conditions).choose(length).map_err(|NoneAccepted| {
            let detail = "the client accepts none of zstd, br, gzip and identity";
            Problem::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", detail)
        })?;
        compression::vary(&mut response);
    }
    if etag::is_storable(&response)
        && let Content::Whole(body) = response.body()
    {
        let tag = etag::tag(body, coding.map(Coding::name));
        etag::set_tag(&mut response, &tag);
        if etag::has(conditions, &tag) {
            return Ok(etag::not_modified(response));
        }
    }
    if let Some(coding) = coding {
        let encoded = match std::mem::take(response.body_mut()) {
            Content::Whole(body) => coding.encode(body).await.map(Content::Whole),
            Content::Streamed(chunks) => {
                compression::streamed::encoded(coding, chunks).map(Content::Streamed)
            }
        };
        *response.body_mut() = encoded.map_err(|error| {
            tracing::error!(%error, coding = coding.name(), "response not compressed");
            Problem::internal()
        })?;
        set_header(&mut response, CONTENT_ENCODING, coding.name());
    }
    Ok(response)
}
