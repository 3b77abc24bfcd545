//! The layers that every request passes, from the outside in, and every response from the inside
//! out.
//!
//! The layers of [`tower`] and [`tower_http`] stand here where they do the same. These are the
//! server's own:
//!
//! - Request ids: those of tower-http keep an id that is not usable, and count as a header for the
//!   limits.
//! - Spans: those of tower-http wrap a body, and the bodies here become bodies only in the
//!   outermost layer.
//! - Panics: the problem document needs the request id, which tower-http's handler of panics is not
//!   given.
//! - Compression: a tag names the coding and is compared before anything is compressed; tower-http
//!   compresses first, and sends a body of known length without its length.
//! - CORS: `OPTIONS` on an unknown path is 404, and only a list of origins adds `Vary`.
//! - Concurrency: tower's limit makes requests wait, and has no exception for probes.

use crate::dispatch::dispatch;
use crate::http::layers::access_log::{Body, access_log};
use crate::http::layers::auth::auth;
use crate::http::layers::catch_panic::catch_panic;
use crate::http::layers::cors::cors;
use crate::http::layers::encoding::encoding;
use crate::http::layers::headers::common_headers;
use crate::http::layers::limits::{body_limit, concurrency_limit, head_limits, rate_limit};
use crate::http::layers::problems::problems;
use crate::http::layers::trace::trace;
use crate::http::request::{Context, Request};
use crate::shared::Shared;
use hyper::body::Incoming;
use hyper::header::{HeaderValue, X_CONTENT_TYPE_OPTIONS};
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use tower::layer::layer_fn;
use tower::{BoxError, Service, ServiceBuilder, service_fn};
use tower_http::set_header::SetResponseHeaderLayer;

/// Returns the service of a connection from `peer`.
pub(super) fn stack(
    shared: Arc<Shared>,
    peer: IpAddr,
) -> impl Service<
    hyper::Request<Incoming>,
    Response = hyper::Response<Body>,
    Error = Infallible,
    Future: Send + 'static,
> + Clone
+ Send
+ 'static {
    let timeout = shared.app.settings.request_timeout;
    ServiceBuilder::new()
        // First: the time of the request, its id, its route and its caller are what all other
        // layers go by.
        .map_request(move |request| Context::attach(shared.clone(), peer, request))
        // Outside of all that makes a response, so that the log and the metrics have every one,
        // with all of its time.
        .layer(layer_fn(access_log))
        // Around everything that may refuse a request: a page has to be able to read a problem too.
        .layer(layer_fn(cors))
        .layer(SetResponseHeaderLayer::overriding(
            X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ))
        // Around the problems, as they have a request id, timings and a rate too.
        .layer(layer_fn(common_headers))
        // Outside of all that may take long or log something, so that it belongs to the span of the
        // request.
        .layer(layer_fn(trace))
        // From here on outwards there are responses only; from here on inwards a request may fail.
        .layer(layer_fn(problems))
        // Around all the work, the compression included.
        .timeout(timeout)
        // Inside the timeout, as a panic is the end of the work like any other.
        .layer(layer_fn(catch_panic))
        // Before everything else is looked at: a refusal has to cost less than a response.
        .filter(rate_limit)
        // Before the key is read, which may stand in a path or a header without end.
        .filter(head_limits)
        // Before anything that says what there is.
        .filter(auth)
        // After the key, as a client without one is to be told nothing else.
        .filter(body_limit)
        // Around the work alone: a request that is refused takes no permit.
        .layer(layer_fn(concurrency_limit))
        // Next to the handler, as the tag is that of the body which it makes.
        .layer(layer_fn(encoding))
        // Boxed once: the future is as large as that of the largest handler, and each layer moves
        // it.
        .service(service_fn(|request: Request| {
            Box::pin(async { dispatch(request).await.map_err(BoxError::from) })
        }))
}
