//! The limits that a request must keep: of its address, its size, and how many are answered at the
//! same time.

use super::Handler;
use crate::http::problem::Problem;
use crate::http::request::Request;
use crate::settings::{MAX_HEADER_BYTES, MAX_HEADERS, MAX_URI_BYTES};
use futures_util::future::{Either, ready};
use hyper::body::Body;
use hyper::{Method, StatusCode};
use tower::{BoxError, service_fn};

/// Lets a request pass if its address has not used up its rate.
pub(crate) fn rate_limit(request: Request) -> Result<Request, Problem> {
    if let Some(allowance) = &request.body().context.allowance {
        allowance.check()?;
    }
    Ok(request)
}

/// Lets a request pass whose URI and headers are not too long.
pub(crate) fn head_limits(request: Request) -> Result<Request, Problem> {
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
    Ok(request)
}

fn headers_too_long(detail: String) -> Problem {
    Problem::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_long", detail)
}

/// Lets a request pass that has no body. Another method than those of the routes is refused later,
/// by its name.
pub(crate) fn body_limit(request: Request) -> Result<Request, Problem> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if is_read && !request.body().body.is_end_stream() {
        let detail = "nothing here is answered to the body of a request; it must have none";
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail));
    }
    Ok(request)
}

/// Refuses a request while as many are being answered as there may be. A probe needs no permit.
pub(crate) fn concurrency_limit(mut inner: impl Handler<BoxError>) -> impl Handler<BoxError> {
    service_fn(move |request: Request| {
        let context = request.body().context.clone();
        if context.is_probe() {
            return Either::Left(inner.call(request));
        }
        let Ok(permit) = context.shared.requests.clone().try_acquire_owned() else {
            let most = context.shared.app.settings.max_requests;
            let detail = format!("{most} requests are being answered, the most there may be");
            return Either::Right(Either::Left(ready(Err(Problem::unavailable(detail).into()))));
        };
        let response = inner.call(request);
        Either::Right(Either::Right(async move {
            let response = response.await;
            drop(permit);
            response
        }))
    })
}
