//! CORS, after the Fetch standard: which pages of other origins may read responses.

use super::Handler;
use crate::http::caller::Caller;
use crate::http::request::Request;
use crate::http::response::{self, Response, set_header};
use hyper::StatusCode;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, HeaderValue, VARY,
};
use std::convert::Infallible;
use tower::service_fn;

/// The methods of every route, for `Allow` and preflights.
pub(crate) const METHODS: &str = "GET, HEAD, OPTIONS";

/// Headers that a page of another origin may read.
static EXPOSED: HeaderValue = HeaderValue::from_static(
    "Content-Disposition, ETag, Link, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After, \
    Server-Timing, X-Cache-Hit, X-Data-Age-Seconds, X-Data-Source, X-Has-More, X-Next-Cursor, X-Process-Time-Ms, \
    X-Request-ID, X-Returned-Count, X-Total-Count",
);

/// Adds to every response the headers that the browser of its caller needs to see.
pub(crate) fn cors(mut inner: impl Handler<Infallible>) -> impl Handler<Infallible> {
    service_fn(move |request: Request| {
        let context = request.body().context.clone();
        let response = inner.call(request);
        async move {
            let mut response = response.await?;
            admit(&context.caller, &context.shared.app.settings.allowed_origins, &mut response);
            Ok(response)
        }
    })
}

fn admit(caller: &Caller, allowed_origins: &[String], response: &mut Response) {
    if allowed_origins.iter().any(|entry| entry == "*") {
        set_header(response, ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    } else {
        response.headers_mut().append(VARY, HeaderValue::from_static("Origin"));
        match &caller.origin {
            Some(origin) if caller.is_allowed(allowed_origins) => {
                set_header(response, ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            }
            _ => return,
        }
    }
    set_header(response, ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED.clone());
}

/// The response to `OPTIONS`: also to the preflight of a request with headers of its own.
pub(crate) fn options() -> Response {
    let mut response = response::empty(StatusCode::NO_CONTENT);
    set_header(&mut response, ALLOW, METHODS);
    set_header(&mut response, ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    set_header(
        &mut response,
        ACCESS_CONTROL_ALLOW_HEADERS,
        "Authorization, Content-Type, If-None-Match, X-API-Key, X-Request-ID",
    );
    set_header(&mut response, ACCESS_CONTROL_MAX_AGE, 86_400);
    response
}
