//! The frames that the server sends: one JSON object each, with a `type`.
//!
//! A frame of a candle or an alert is a string around the JSON that came with the update. Nothing
//! is serialised a second time, neither for each client nor for the frame.

use serde::Serialize;
use std::sync::Arc;
use tallow_model::{EventTime, Interval, Symbol};
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// A text frame. Clones share the text.
pub(crate) type Frame = Utf8Bytes;

/// The time and source of the frames that are written at one moment.
#[derive(Clone)]
pub(crate) struct Stamp {
    pub(crate) time: EventTime,
    /// The source of the ticks: a JSON string with its quotes.
    pub(crate) source: Arc<str>,
}

impl Stamp {
    /// The newest candle of a series, sent on connection and after a gap.
    pub(crate) fn initial_data(&self, symbol: Symbol, json: &str) -> Frame {
        self.around("initial_data", symbol, json)
    }

    /// A candle that has changed, closed or been corrected.
    pub(crate) fn price_update(&self, symbol: Symbol, json: &str) -> Frame {
        self.around("price_update", symbol, json)
    }

    /// An alert that has been raised or retracted.
    pub(crate) fn alert(&self, symbol: Symbol, json: &str) -> Frame {
        self.around("alert", symbol, json)
    }

    // The characters of a symbol need no escaping.
    fn around(&self, kind: &str, symbol: Symbol, json: &str) -> Frame {
        let (timestamp, source) = (self.time.rfc3339(), &self.source);
        format!(
            r#"{{"type":"{kind}","symbol":"{symbol}","data":{json},"timestamp":"{timestamp}","source":{source}}}"#
        )
        .into()
    }

    /// The first frame of a connection.
    pub(crate) fn connection(&self, symbol: &str) -> Frame {
        let (timestamp, source) = (self.time.rfc3339(), &self.source);
        format!(
            r#"{{"type":"connection","message":"connected to {symbol}","symbol":"{symbol}","timestamp":"{timestamp}","mode":"live","source":{source}}}"#
        )
        .into()
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Notice<'a> {
    Keepalive {
        timestamp: String,
        connections: usize,
    },
    Pong {
        timestamp: String,
    },
    ResyncRequired {
        symbol: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        interval: Option<Interval>,
        from_seq: u64,
        timestamp: String,
    },
    Error {
        message: &'a str,
        timestamp: String,
    },
}

impl Notice<'_> {
    // A notice has strings and numbers only, so that serialising it cannot fail.
    fn frame(&self) -> Frame {
        serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned()).into()
    }
}

/// Reports that the connection is alive, with the number of connected clients.
pub(crate) fn keepalive(time: EventTime, connections: usize) -> Frame {
    Notice::Keepalive { timestamp: time.rfc3339(), connections }.frame()
}

/// Answers a client's `{"type":"ping"}`.
pub(crate) fn pong(time: EventTime) -> Frame {
    Notice::Pong { timestamp: time.rfc3339() }.frame()
}

/// Reports that updates from `from_seq` on are missing and will not be sent.
///
/// Without an interval, the updates of every series of the subscription and its alerts are meant.
pub(crate) fn resync_required(
    time: EventTime,
    symbol: &str,
    interval: Option<Interval>,
    from_seq: u64,
) -> Frame {
    Notice::ResyncRequired { symbol, interval, from_seq, timestamp: time.rfc3339() }.frame()
}

/// Reports the error in a message of the client.
pub(crate) fn error(time: EventTime, message: &str) -> Frame {
    Notice::Error { message, timestamp: time.rfc3339() }.frame()
}
