//! A request on its way through the layers, with everything that is known about it from its head.

use crate::http::caller::Caller;
use crate::http::rate_limit::Allowance;
use crate::http::{headers, proxies};
use crate::routes::{self, Found};
use crate::shared::Shared;
use hyper::Method;
use hyper::body::{Body, Incoming};
use hyper::header::HeaderMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;
use tracing::Span;
use uuid::Uuid;

/// The longest request id that is taken over from a client, in characters.
const MAX_REQUEST_ID: usize = 128;

/// A request as the layers see it. The context travels in the place of the body, so that each layer
/// finds it without a lookup by type, as it would need in the extensions of the request.
pub(crate) type Request = hyper::Request<Received>;

/// The body of a request and the context of the request.
pub(crate) struct Received {
    pub(crate) body: Incoming,
    pub(crate) context: Arc<Context>,
}

/// Everything that is known about a request before it is answered.
pub(crate) struct Context {
    pub(crate) shared: Arc<Shared>,
    pub(crate) started: Instant,
    /// The id of the request: its own `X-Request-ID`, or a new one.
    pub(crate) id: String,
    /// The address of the client, as the trusted proxies report it.
    pub(crate) client: IpAddr,
    pub(crate) caller: Caller,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) found: Option<Found>,
    /// The rate that the address has left; `None` without a limit, and for a probe.
    pub(crate) allowance: Option<Allowance>,
    /// Whether the request has a body. Nobody reads it, so the connection has to be closed after
    /// the response.
    pub(crate) has_body: bool,
    /// The span of the request, which is made only if spans are exported.
    pub(crate) span: Span,
}

impl Context {
    /// Attaches the context to a request that came from `peer`.
    pub(crate) fn attach(shared: Arc<Shared>, peer: IpAddr, request: hyper::Request<Incoming>) -> Request {
        let started = Instant::now();
        let id = request_id(request.headers());
        let client = proxies::client(&shared.app.settings.trusted_proxies, peer, request.headers());
        let caller = Caller::of(client.into(), request.headers());
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let found = routes::find(&path);
        let allowance = match &shared.rate_limit {
            Some(rate_limit) if !found.is_some_and(Found::is_probe) => Some(rate_limit.take(caller.address)),
            _ => None,
        };
        let template = template(found);
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
        let has_body = !request.body().is_end_stream();
        let context =
            Context { shared, started, id, client, caller, method, path, found, allowance, has_body, span };
        let context = Arc::new(context);
        request.map(|body| Received { body, context })
    }

    /// The path of the route, as the API contract writes it.
    pub(crate) fn template(&self) -> &'static str {
        template(self.found)
    }

    /// Whether the request is a probe, which is answered however busy the server is and whoever
    /// asks.
    pub(crate) fn is_probe(&self) -> bool {
        self.found.is_some_and(Found::is_probe)
    }
}

/// All paths without a route share one name in the metrics: callers make up paths without end.
fn template(found: Option<Found>) -> &'static str {
    found.map_or("none", |found| found.template)
}

/// Returns the request id of the client if it is usable, else a new one; new ones sort by time.
fn request_id(request: &HeaderMap) -> String {
    let incoming = request.get(headers::REQUEST_ID).and_then(|value| value.to_str().ok());
    let is_usable = |id: &&str| {
        (1..=MAX_REQUEST_ID).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
    };
    let new = || {
        let mut text = Uuid::encode_buffer();
        Uuid::now_v7().hyphenated().encode_lower(&mut text).to_owned()
    };
    incoming.filter(is_usable).map_or_else(new, str::to_owned)
}
