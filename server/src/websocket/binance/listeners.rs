//! The listeners of each stream.
//!
//! An event has two formats: raw, and combined with the name of its stream. Each format that has a
//! listener is written once, and the listeners share the frame.

use super::super::frame::Frame;
use super::super::mailbox::Mailbox;
use super::super::subscription::SeriesKey;
use super::kline;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tallow_model::EventTime;
use tallow_model::rows::LatestCandle;

/// The reason for a client to which an event is lost.
const LOST: &str = "updates were missed, read them with /api/v3/klines";

/// The clients of the market streams, by stream.
#[derive(Default)]
pub(crate) struct StreamListeners {
    streams: HashMap<SeriesKey, Vec<Arc<StreamListener>>>,
    clients: usize,
}

/// A client of the market streams.
pub(super) struct StreamListener {
    mailbox: Arc<Mailbox>,
    /// Whether each event comes with the name of its stream.
    ///
    /// Changes only while no update is delivered.
    combined: AtomicBool,
}

impl StreamListener {
    /// A listener with this mailbox and event format.
    pub(super) fn new(mailbox: Arc<Mailbox>, combined: bool) -> StreamListener {
        StreamListener { mailbox, combined: AtomicBool::new(combined) }
    }

    /// Adds a response to the mailbox.
    pub(super) fn respond(&self, response: Frame) {
        self.mailbox.keep(response);
    }

    /// Whether each event comes with the name of its stream.
    pub(super) fn is_combined(&self) -> bool {
        self.combined.load(Ordering::Relaxed)
    }

    /// Changes the format of later events.
    pub(super) fn set_combined(&self, combined: bool) {
        self.combined.store(combined, Ordering::Relaxed);
    }
}

impl StreamListeners {
    /// The number of clients, including clients without a stream.
    pub(crate) fn clients(&self) -> usize {
        self.clients
    }

    /// Adds a client without streams.
    pub(super) fn connect(&mut self) {
        self.clients += 1;
    }

    /// Removes a client, after its streams.
    pub(super) fn disconnect(&mut self) {
        self.clients -= 1;
    }

    /// Delivers a candle to the listeners of its stream. Returns the number of open candles
    /// replaced.
    pub(crate) fn deliver(&self, candle: &LatestCandle, now: EventTime) -> u64 {
        let Some(listeners) = self.streams.get(&(candle.symbol, candle.interval)) else { return 0 };
        let (mut raw, mut combined): (Option<Frame>, Option<Frame>) = (None, None);
        let mut replaced = 0;
        for listener in listeners {
            let raw = raw.get_or_insert_with(|| kline::event(candle, now));
            let frame = match listener.is_combined() {
                true => combined.get_or_insert_with(|| kline::combined(candle, raw)),
                false => raw,
            };
            replaced += u64::from(listener.mailbox.add_candle(candle, frame.clone()));
        }
        replaced
    }

    /// Ends the mailboxes of the listeners of this series: updates of it are lost.
    pub(crate) fn lose(&self, key: SeriesKey) {
        self.streams.get(&key).into_iter().flatten().for_each(|listener| listener.mailbox.lose(LOST));
    }

    /// Ends the mailboxes of all listeners: updates of any series may be lost.
    pub(crate) fn lose_all(&self) {
        self.streams.values().flatten().for_each(|listener| listener.mailbox.lose(LOST));
    }

    /// Adds a listener to a stream.
    pub(super) fn subscribe(&mut self, listener: &Arc<StreamListener>, key: SeriesKey) {
        self.streams.entry(key).or_default().push(listener.clone());
    }

    /// Removes a listener from a stream.
    pub(super) fn unsubscribe(&mut self, listener: &Arc<StreamListener>, key: SeriesKey) {
        if let Some(listeners) = self.streams.get_mut(&key) {
            listeners.retain(|other| !Arc::ptr_eq(other, listener));
            if listeners.is_empty() {
                self.streams.remove(&key);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::super::super::fixtures::candle;
    use super::*;
    use tallow_model::Interval;

    fn listen(listeners: &mut StreamListeners, key: SeriesKey, combined: bool) -> Arc<Mailbox> {
        let mailbox = Arc::new(Mailbox::new(8));
        listeners.subscribe(&Arc::new(StreamListener::new(mailbox.clone(), combined)), key);
        mailbox
    }

    #[test]
    fn listeners_share_one_frame_of_each_format() {
        let candle = LatestCandle {
            interval: Interval::FiveMinutes,
            window_end: 600,
            high: 2.5,
            low: 0.000_01,
            close: 2.0,
            volume_sum: 7.0,
            event_count: 3,
            ..candle("BTC", 300, 1, false)
        };
        let mut listeners = StreamListeners::default();
        let key = (candle.symbol, candle.interval);
        let mailboxes = [false, true, false, true].map(|combined| listen(&mut listeners, key, combined));
        let other = listen(&mut listeners, (candle.symbol, Interval::OneMinute), false);
        assert_eq!(listeners.deliver(&candle, EventTime(7)), 0);
        assert_eq!(listeners.deliver(&candle, EventTime(8)), 4, "all are conflated");
        let frames = mailboxes.map(|mailbox| mailbox.take().unwrap());
        let raw = r#"{"e":"kline","E":8,"s":"BTCUSD","k":{"t":300000,"T":599999,"s":"BTCUSD","i":"5m","f":-1,"L":-1,"o":"1","c":"2","h":"2.5","l":"0.00001","v":"0","n":3,"x":false,"q":"0","V":"0","Q":"0","B":"0"}}"#;
        assert_eq!(frames[0], raw);
        assert_eq!(frames[1], format!(r#"{{"stream":"btcusd@kline_5m","data":{raw}}}"#).as_str());
        for (one, same) in [(0, 2), (1, 3)] {
            assert_eq!(frames[one].as_ptr(), frames[same].as_ptr());
        }
        assert!(other.take().is_none());
    }
}
