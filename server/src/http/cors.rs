//! Which pages of other origins may read the answers, after the Fetch standard.

use crate::http::per_address::Address;
use crate::http::response::{self, Response, set_header};
use hyper::StatusCode;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, HOST, HeaderMap, HeaderValue, ORIGIN, VARY,
};

/// The methods of every route, for `Allow` and preflights.
pub(crate) const METHODS: &str = "GET, HEAD, OPTIONS";

/// Headers that a page of another origin may read.
static EXPOSED: HeaderValue = HeaderValue::from_static(
    "Content-Disposition, ETag, Link, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After, \
    Server-Timing, X-Cache-Hit, X-Data-Age-Seconds, X-Data-Source, X-Has-More, X-Next-Cursor, X-Process-Time-Ms, \
    X-Request-ID, X-Returned-Count, X-Total-Count",
);

/// Who makes a request, and what it says of the page that makes it.
pub(crate) struct Caller {
    /// Where the request comes from.
    pub(crate) address: Address,
    origin: Option<String>,
    /// Whether the page came from this server.
    same: bool,
}

impl Caller {
    /// Reads the headers of a request from this address.
    pub(crate) fn of(address: Address, headers: &HeaderMap) -> Caller {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let origin = text(ORIGIN);
        let host = origin.and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
        Caller { address, origin: origin.map(str::to_owned), same: host.is_some() && host == text(HOST) }
    }

    /// Whether this caller may read the answers. One that is no page of another origin always may.
    pub(crate) fn is_allowed(&self, allowed: &[String]) -> bool {
        let Some(origin) = &self.origin else { return true };
        self.same || allowed.iter().any(|entry| entry == "*" || entry.eq_ignore_ascii_case(origin))
    }

    /// Adds to an answer what the browser of this caller needs to see.
    pub(crate) fn admit(&self, allowed: &[String], response: &mut Response) {
        let everyone = allowed.iter().any(|entry| entry == "*");
        if everyone {
            set_header(response, ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        } else {
            response.headers_mut().append(VARY, HeaderValue::from_static("Origin"));
            match &self.origin {
                Some(origin) if self.is_allowed(allowed) => {
                    set_header(response, ACCESS_CONTROL_ALLOW_ORIGIN, origin);
                }
                _ => return,
            }
        }
        set_header(response, ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED.clone());
    }
}

/// The answer to `OPTIONS`: also the preflight of a request with headers of its own.
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
