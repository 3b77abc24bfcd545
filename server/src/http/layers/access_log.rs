//! The access log: a line in the log and a duration in the metrics for each response, once its body
//! has ended.
//!
//! The layer also makes the body of the connection out of the content of the response. Hyper asks
//! for a chunk once the one before is in the buffer of the connection. So at most one chunk is made
//! ahead of a slow client, and none for a client that has left: the connection drops the body, and
//! with it the work. A chunk that can't be made ends the connection before the mark of the end, so
//! that no client takes a part for the whole.

use super::Handler;
use crate::http::headers::millis;
use crate::http::request::{Context, Request};
use crate::http::response::{Broken, Chunks, Content};
use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Frame;
use hyper::{Method, StatusCode};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, ready};
use std::time::Duration;
use tower::{Service, service_fn};

/// The body of a response as the connection sends it.
pub(crate) type Body = Either<Full<Bytes>, Streamed>;

/// Logs each response once its body has ended.
pub(crate) fn access_log(
    mut inner: impl Handler<Infallible>,
) -> impl Service<Request, Response = hyper::Response<Body>, Error = Infallible, Future: Send + 'static>
+ Clone
+ Send
+ 'static {
    service_fn(move |request: Request| {
        let context = request.body().context.clone();
        let response = inner.call(request);
        async move {
            let response = response.await?;
            let log = AccessLog { status: response.status(), context };
            Ok(response.map(|content| match content {
                Content::Whole(bytes) => {
                    log.completed(log.context.started.elapsed());
                    Either::Left(Full::new(bytes))
                }
                Content::Streamed(chunks) => Either::Right(Streamed::new(chunks, log)),
            }))
        }
    })
}

/// A response that is on its way.
struct AccessLog {
    context: Arc<Context>,
    status: StatusCode,
}

/// The end of a body that was made while it was sent.
#[derive(Debug)]
enum End {
    /// All of the body is on its way.
    Whole,
    /// The connection was gone before: the client left, or the server lost its patience with it.
    Left,
    /// The body could not be continued, for this reason.
    Broken(String),
}

impl AccessLog {
    /// Records a response that was complete after this time.
    fn completed(&self, took: Duration) {
        self.observe(self.status, took);
        let Context { id, client, method, path, .. } = &*self.context;
        let status = self.status.as_u16();
        if self.status == StatusCode::INTERNAL_SERVER_ERROR {
            let elapsed = millis(took);
            tracing::error!(request_id = id, %client, %method, path, status, elapsed, "request failed");
        } else {
            // The text is made only if the line is logged.
            tracing::debug!(request_id = id, %client, %method, path, status, elapsed = millis(took), "request answered");
        }
    }

    /// Records a response whose body has ended now. A body that broke off counts as 500 in the
    /// metrics, so that it is seen there: its client was told 200, and then lost the connection.
    fn ended(&self, end: &End) {
        let took = self.context.started.elapsed();
        let Context { id, client, method, path, .. } = &*self.context;
        let elapsed = millis(took);
        let status = match end {
            End::Whole => return self.completed(took),
            End::Left => {
                tracing::debug!(request_id = id, %client, %method, path, elapsed, "client left its response");
                self.status
            }
            End::Broken(error) => {
                tracing::warn!(request_id = id, %client, %method, path, elapsed, error, "response broken off");
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        self.observe(status, took);
    }

    fn observe(&self, status: StatusCode, took: Duration) {
        self.context.shared.timings.observe((self.context.template(), status.as_u16()), took);
    }
}

/// A body that is made while it is sent. Its end is logged when the body is dropped.
pub(crate) struct Streamed {
    chunks: Chunks,
    log: AccessLog,
    end: End,
}

impl Streamed {
    /// The body of a response; to `HEAD` nothing of it is sent.
    fn new(chunks: Chunks, log: AccessLog) -> Streamed {
        let end = if log.context.method == Method::HEAD { End::Whole } else { End::Left };
        Streamed { chunks, log, end }
    }
}

impl hyper::body::Body for Streamed {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let span = self.log.context.span.clone();
        let _entered = span.enter();
        let next = ready!(self.chunks.as_mut().poll_next(context));
        match &next {
            None => self.end = End::Whole,
            Some(Ok(_)) => {}
            Some(Err(broken)) => self.end = End::Broken(broken.to_string()),
        }
        Poll::Ready(next.map(|chunk| chunk.map(Frame::data)))
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.end = End::Broken("panicked".to_owned());
        }
        self.log.ended(&self.end);
    }
}
