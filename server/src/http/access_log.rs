//! What is kept of an exchange once its answer has ended: how long it took, in the metrics, and a line in the log.

use crate::http::headers::millis;
use crate::http::timings::Timings;
use hyper::{Method, StatusCode};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::Span;

/// An exchange from its request on.
pub(crate) struct AccessLog {
    pub(crate) timings: Arc<Timings>,
    pub(crate) started: Instant,
    pub(crate) id: String,
    pub(crate) client: IpAddr,
    pub(crate) method: Method,
    pub(crate) path: String,
    /// The route, as the contract writes it.
    pub(crate) template: &'static str,
    pub(crate) span: Span,
    pub(crate) status: StatusCode,
}

/// How a body that was made while it was sent has ended.
#[derive(Debug)]
pub(crate) enum End {
    /// All of it is on its way.
    Whole,
    /// The connection is gone before that: the client, or the server's patience with it.
    Left,
    /// It could not be made any further, for this reason.
    Broken(String),
}

impl AccessLog {
    /// Whether the answer goes without its body.
    pub(crate) fn is_head(&self) -> bool {
        self.method == Method::HEAD
    }

    /// An answer that was complete after this time.
    pub(crate) fn answered(&self, took: Duration) {
        self.timings.observe((self.template, self.status.as_u16()), took);
        let AccessLog { id, client, method, path, .. } = self;
        let (status, elapsed) = (self.status.as_u16(), millis(took));
        if self.status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(request_id = id, %client, %method, path, status, elapsed, "request failed");
        } else {
            tracing::debug!(request_id = id, %client, %method, path, status, elapsed, "request answered");
        }
    }

    /// An answer whose body has ended now. One that broke off counts as 500 in the metrics, so that it is seen there: its
    /// client was told 200, and then lost the connection.
    pub(crate) fn ended(&self, end: &End) {
        let took = self.started.elapsed();
        let AccessLog { id, client, method, path, .. } = self;
        let elapsed = millis(took);
        let status = match end {
            End::Whole => return self.answered(took),
            End::Left => {
                tracing::debug!(request_id = id, %client, %method, path, elapsed, "client left its answer");
                self.status
            }
            End::Broken(error) => {
                tracing::warn!(request_id = id, %client, %method, path, elapsed, error, "answer broken off");
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        self.timings.observe((self.template, status.as_u16()), took);
    }
}
