//! Failed requests, as the problem documents that their clients get.

use super::Handler;
use crate::http::problem::Problem;
use crate::http::request::Request;
use std::convert::Infallible;
use tower::timeout::error::Elapsed;
use tower::{BoxError, service_fn};

/// Turns every failure of the service into a response.
pub(crate) fn problems(mut inner: impl Handler<BoxError>) -> impl Handler<Infallible> {
    service_fn(move |request: Request| {
        let context = request.body().context.clone();
        let response = inner.call(request);
        async move {
            let problem = match response.await {
                Ok(response) => return Ok(response),
                Err(error) => error.downcast::<Problem>().map_or_else(
                    |error| unforeseen(&error, context.shared.app.settings.request_timeout.as_secs_f64()),
                    |problem| *problem,
                ),
            };
            Ok(problem.response(&context.id))
        }
    })
}

/// The problem of an error that is none: the request has run out of time, or the server is at
/// fault.
fn unforeseen(error: &BoxError, timeout_seconds: f64) -> Problem {
    if error.is::<Elapsed>() {
        return Problem::unavailable(format!("no answer within {timeout_seconds} s"));
    }
    tracing::error!(%error, "request failed in a layer");
    Problem::internal()
}
