//! A body that is made while it is sent: at the pace of its reader, and with a proper end only if it is whole.
//!
//! Hyper asks for a chunk once the one before is in the buffer of the connection. So at most one is made ahead of a slow
//! client, and none for a client that has left: the connection drops the body, and with it the work. A chunk that can't be
//! made ends the connection before the mark of the end, so that nobody takes a part for the whole.

use crate::http::access_log::{AccessLog, End};
use bytes::Bytes;
use futures_util::Stream;
use hyper::body::{Body, Frame};
use std::fmt::Display;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The chunks of a body, none of them empty.
pub(crate) type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, Broken>> + Send>>;

/// Why a body can't be continued, for the log.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Broken(String);

impl Broken {
    /// For this reason.
    pub(crate) fn of(reason: impl Display) -> Broken {
        Broken(reason.to_string())
    }
}

/// A body on its way. What became of it is recorded when it is dropped.
pub(crate) struct Streamed {
    chunks: Chunks,
    record: AccessLog,
    end: End,
}

impl Streamed {
    /// The body of an exchange; to `HEAD` nothing of it is sent.
    pub(crate) fn new(chunks: Chunks, record: AccessLog) -> Streamed {
        let end = if record.is_head() { End::Whole } else { End::Left };
        Streamed { chunks, record, end }
    }
}

impl Body for Streamed {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let span = self.record.span.clone();
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
        self.record.ended(&self.end);
    }
}
