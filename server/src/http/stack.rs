//! What every exchange of a request for an answer has in common: the request id, the timings, CORS, the limits of
//! size and time, tags and content codings, and that a handler that panics costs no more than its own answer.

use crate::dispatch;
use crate::http::access_log::AccessLog;
use crate::http::auth;
use crate::http::compression::{self, Accepted, Coding, NoneAccepted};
use crate::http::cors::Caller;
use crate::http::etag;
use crate::http::headers;
use crate::http::problem::Problem;
use crate::http::proxies;
use crate::http::rate_limit::Allowance;
use crate::http::response::{Content, Response, set_header};
use crate::http::streamed::Streamed;
use crate::routes::{self, Found};
use crate::settings::{MAX_HEADER_BYTES, MAX_HEADERS, MAX_URI_BYTES};
use crate::shared::Shared;
use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::{Either, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, HeaderMap, HeaderValue, IF_NONE_MATCH, UPGRADE,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, StatusCode, Version};
use std::convert::Infallible;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;
use tracing::Instrument;
use uuid::Uuid;

/// The most characters of a request id that is kept.
const MAX_REQUEST_ID: usize = 128;

/// Answers a request, whatever happens.
pub(crate) async fn respond(
    shared: Arc<Shared>,
    peer: IpAddr,
    request: Request<Incoming>,
) -> Result<hyper::Response<Either<Full<Bytes>, Streamed>>, Infallible> {
    let started = Instant::now();
    let id = request_id(request.headers());
    let client = proxies::client(&shared.app.settings.trusted_proxies, peer, request.headers());
    let caller = Caller::of(client.into(), request.headers());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let has_body = !request.body().is_end_stream();
    let found = routes::find(&path);
    // What leads nowhere is one route too, as callers make up paths without end.
    let template = found.map_or("none", |found| found.template);

    let allowance = match &shared.rate_limit {
        Some(rate) if !found.is_some_and(Found::is_probe) => Some(rate.take(caller.address)),
        _ => None,
    };

    let limit = shared.app.settings.request_timeout;
    let span = tracing::info_span!(
        target: "spans",
        "request",
        otel.name = format_args!("{method} {template}"),
        otel.kind = "server",
        http.request.method = %method,
        http.route = template,
        http.response.status_code = tracing::field::Empty,
        request_id = id,
        api_key = tracing::field::Empty,
    );
    let work = AssertUnwindSafe(limited(&shared, &caller, found, allowance, &id, request)).catch_unwind();
    let outcome = match tokio::time::timeout(limit, work).instrument(span.clone()).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(Problem::internal()),
        Err(_) => Err(Problem::unavailable(format!("no answer within {} s", limit.as_secs_f64()))),
    };
    let mut response = outcome.unwrap_or_else(|problem| problem.response(&id));

    if let Some(allowance) = allowance {
        allowance.show(&mut response);
    }
    if has_body {
        // Nobody reads the body, so nobody finds the next request behind it.
        set_header(&mut response, CONNECTION, "close");
    }
    span.record("http.response.status_code", response.status().as_u16());
    let took = started.elapsed();
    let elapsed = headers::millis(took);
    set_header(&mut response, headers::SERVER_TIMING, format!("app;dur={elapsed}"));
    set_header(&mut response, headers::PROCESS_TIME, elapsed);
    set_header(&mut response, headers::REQUEST_ID, &id);
    set_header(&mut response, X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    caller.admit(&shared.app.settings.allowed_origins, &mut response);

    let status = response.status();
    let record = AccessLog {
        timings: shared.timings.clone(),
        started,
        id,
        client,
        method,
        path,
        template,
        span,
        status,
    };
    Ok(response.map(|content| match content {
        Content::Whole(bytes) => {
            record.answered(took);
            Either::Left(Full::new(bytes))
        }
        Content::Streamed(chunks) => Either::Right(Streamed::new(chunks, record)),
    }))
}

async fn limited(
    shared: &Shared,
    caller: &Caller,
    found: Option<Found>,
    allowance: Option<Allowance>,
    id: &str,
    mut request: Request<Incoming>,
) -> Result<Response, Problem> {
    if let Some(allowance) = &allowance {
        allowance.check()?;
    }
    let uri = request.uri();
    let uri_bytes = uri.path().len() + uri.query().map_or(0, |query| query.len() + 1);
    if uri_bytes > MAX_URI_BYTES {
        let detail = format!("path and query have {uri_bytes} bytes, the most is {MAX_URI_BYTES}");
        return Err(Problem::new(StatusCode::URI_TOO_LONG, "uri_too_long", detail));
    }
    let header_bytes: usize =
        request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if header_bytes > MAX_HEADER_BYTES {
        return Err(headers_too_long(format!(
            "the headers have {header_bytes} bytes, the most is {MAX_HEADER_BYTES}"
        )));
    }
    let headers = request.headers().len();
    if headers > MAX_HEADERS {
        return Err(headers_too_long(format!("there are {headers} headers, the most is {MAX_HEADERS}")));
    }
    let key = if request.headers().contains_key(UPGRADE) { take_key(&mut request)? } else { None };
    // A browser asks with OPTIONS, and without the key, whether it may ask with the key.
    if request.method() != Method::OPTIONS && !found.is_some_and(Found::is_open) {
        let known = auth::check(&shared.app.settings.api_keys, request.headers(), key.as_deref())?;
        if let Some(key) = known {
            tracing::Span::current().record("api_key", key.name());
            tracing::debug!(request_id = id, key = key.name(), "request let in");
        }
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if reads && !request.body().is_end_stream() {
        let detail = "nothing here is answered to the body of a request; it must have none";
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail));
    }
    let _permit = if found.is_some_and(Found::is_probe) {
        None
    } else {
        Some(shared.requests.try_acquire().map_err(|_| {
            let most = shared.app.settings.max_requests;
            Problem::unavailable(format!("{most} requests are being answered, the most there may be"))
        })?)
    };
    let (asked, version) = (asked(request.headers()), request.version());
    // Boxed, as it is as large as that of the largest handler, and is moved several times on its way up.
    let response = Box::pin(dispatch::dispatch(shared, caller, found, request)).await?;
    if version < Version::HTTP_11 && matches!(response.body(), Content::Streamed(_)) {
        // It would end where the connection does, whole or not.
        let detail =
            "a body of unknown length has a proper end from HTTP/1.1 on only, and this request is older";
        return Err(Problem::new(StatusCode::HTTP_VERSION_NOT_SUPPORTED, "http_version", detail));
    }
    finished(&asked, response).await
}

fn headers_too_long(detail: String) -> Problem {
    Problem::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_long", detail)
}

/// Takes the key out of the address that a WebSocket client asks for.
fn take_key(request: &mut Request<Incoming>) -> Result<Option<String>, Problem> {
    let uri = request.uri();
    let Some(query) = uri.query() else { return Ok(None) };
    let (key, rest) = auth::split_query(query);
    if key.is_some() {
        let path_and_query =
            if rest.is_empty() { uri.path().to_owned() } else { format!("{}?{rest}", uri.path()) };
        *request.uri_mut() = path_and_query.parse().map_err(|error| {
            tracing::error!(%error, "address without its key not read");
            Problem::internal()
        })?;
    }
    Ok(key)
}

/// The headers of a request that decide how its answer is sent.
fn asked(request: &HeaderMap) -> HeaderMap {
    let mut asked = HeaderMap::new();
    for name in [ACCEPT_ENCODING, IF_NONE_MATCH] {
        for value in request.get_all(&name) {
            asked.append(&name, value.clone());
        }
    }
    asked
}

/// Tags an answer that may be stored, leaves out the body of one that the client has, and compresses the others. The
/// tag is that of the body as it is with the coding's name, so that what need not be sent is not compressed either.
async fn finished(asked: &HeaderMap, mut response: Response) -> Result<Response, Problem> {
    let length = match response.body() {
        Content::Whole(body) => body.len(),
        // Nobody knows yet.
        Content::Streamed(_) => usize::MAX,
    };
    let mut coding = None;
    if compression::is_compressible(&response) {
        coding = Accepted::of(asked).choose(length).map_err(|NoneAccepted| {
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
        if etag::has(asked, &tag) {
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
            tracing::error!(%error, coding = coding.name(), "answer not compressed");
            Problem::internal()
        })?;
        set_header(&mut response, CONTENT_ENCODING, coding.name());
    }
    Ok(response)
}

/// The incoming request id if it is a sane one, else a new one that sorts by time.
fn request_id(request: &HeaderMap) -> String {
    let incoming = request.get(headers::REQUEST_ID).and_then(|value| value.to_str().ok());
    let sane = |id: &&str| {
        (1..=MAX_REQUEST_ID).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
    };
    let made = || {
        let mut text = Uuid::encode_buffer();
        Uuid::now_v7().hyphenated().encode_lower(&mut text).to_owned()
    };
    incoming.filter(sane).map_or_else(made, str::to_owned)
}
