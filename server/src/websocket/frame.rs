//! The frames that a client is sent, one JSON object each, told apart by `type`.
//!
//! Frames about candles and alerts are put together around the JSON that came with the update: nothing is serialised
//! again, neither for each client nor for the frame.

use serde::Serialize;
use std::sync::Arc;
use tallow_model::{EventTime, Interval, Symbol};
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// A text frame. Its clones share the text.
pub(crate) type Frame = Utf8Bytes;

/// What the frames of one moment have in common.
#[derive(Clone)]
pub(crate) struct Stamp {
    /// Now.
    pub(crate) time: EventTime,
    /// Where the ticks come from, as a JSON string with its quotes.
    pub(crate) source: Arc<str>,
}

impl Stamp {
    /// A candle as it stood when the client came, or came back to the present after a gap.
    pub(crate) fn initial_data(&self, symbol: Symbol, json: &str) -> Frame {
        self.around("initial_data", symbol, json)
    }

    /// A candle that moved, closed or was corrected.
    pub(crate) fn price_update(&self, symbol: Symbol, json: &str) -> Frame {
        self.around("price_update", symbol, json)
    }

    /// An alert raised or retracted.
    pub(crate) fn alert(&self, symbol: Symbol, json: &str) -> Frame {
        self.around("alert", symbol, json)
    }

    /// The characters of a symbol need no escaping.
    fn around(&self, kind: &str, symbol: Symbol, json: &str) -> Frame {
        let (timestamp, source) = (self.time.rfc3339(), &self.source);
        format!(
            r#"{{"type":"{kind}","symbol":"{symbol}","data":{json},"timestamp":"{timestamp}","source":{source}}}"#
        )
        .into()
    }

    /// The first frame.
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
    /// Strings and numbers only: writing them does not fail, and an empty object would be no frame of ours.
    fn frame(&self) -> Frame {
        serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned()).into()
    }
}

/// Says that the connection is alive, and how many there are.
pub(crate) fn keepalive(time: EventTime, connections: usize) -> Frame {
    Notice::Keepalive { timestamp: time.rfc3339(), connections }.frame()
}

/// Answers the client's `{"type":"ping"}`.
pub(crate) fn pong(time: EventTime) -> Frame {
    Notice::Pong { timestamp: time.rfc3339() }.frame()
}

/// Says that updates of this symbol and interval from this sequence number on have not been sent and won't be. Without
/// an interval: of whatever the client has subscribed to, alerts included.
pub(crate) fn resync_required(
    time: EventTime,
    symbol: &str,
    interval: Option<Interval>,
    from_seq: u64,
) -> Frame {
    Notice::ResyncRequired { symbol, interval, from_seq, timestamp: time.rfc3339() }.frame()
}

/// Says what was wrong with a message of the client's.
pub(crate) fn error(time: EventTime, message: &str) -> Frame {
    Notice::Error { message, timestamp: time.rfc3339() }.frame()
}
