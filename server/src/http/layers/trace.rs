//! The span of a request.

use super::Handler;
use crate::http::request::Request;
use std::convert::Infallible;
use tower::service_fn;
use tracing::Instrument;

/// Runs the service inside the span of the request, and records the status of the response.
pub(crate) fn trace(mut inner: impl Handler<Infallible>) -> impl Handler<Infallible> {
    service_fn(move |request: Request| {
        let span = request.body().context.span.clone();
        let response = inner.call(request).instrument(span.clone());
        async move {
            let response = response.await?;
            span.record("http.response.status_code", response.status().as_u16());
            Ok(response)
        }
    })
}
