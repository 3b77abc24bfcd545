//! The headers that every response has, problem documents included.

use super::Handler;
use crate::http::headers::{PROCESS_TIME, REQUEST_ID, SERVER_TIMING, millis};
use crate::http::request::{Context, Request};
use crate::http::response::{Response, set_header};
use hyper::header::{CONNECTION, HeaderValue};
use std::convert::Infallible;
use tower::service_fn;

/// Adds the rate that is left, the time that the response took and the request id.
pub(crate) fn common_headers(mut inner: impl Handler<Infallible>) -> impl Handler<Infallible> {
    service_fn(move |request: Request| {
        let context = request.body().context.clone();
        let response = inner.call(request);
        async move {
            let mut response = response.await?;
            add(&context, &mut response);
            Ok(response)
        }
    })
}

fn add(context: &Context, response: &mut Response) {
    if let Some(allowance) = context.allowance {
        allowance.show(response);
    }
    if context.has_body {
        // Nobody reads the body, so nobody finds the next request behind it.
        set_header(response, CONNECTION, HeaderValue::from_static("close"));
    }
    let elapsed = millis(context.started.elapsed());
    set_header(response, SERVER_TIMING, format!("app;dur={elapsed}"));
    set_header(response, PROCESS_TIME, elapsed);
    set_header(response, REQUEST_ID, &context.id);
}
