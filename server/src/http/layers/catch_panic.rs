//! Panics of handlers.

use super::Handler;
use crate::http::problem::Problem;
use crate::http::request::Request;
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use tower::{BoxError, service_fn};

/// Turns a panic into a problem, so that it costs no more than the response of its own request.
pub(crate) fn catch_panic(mut inner: impl Handler<BoxError>) -> impl Handler<BoxError> {
    service_fn(move |request: Request| {
        let response = AssertUnwindSafe(inner.call(request)).catch_unwind();
        async move { response.await.unwrap_or_else(|_| Err(Problem::internal().into())) }
    })
}
