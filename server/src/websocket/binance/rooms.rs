//! Who listens to which stream.
//!
//! An event is written once in each shape that somebody listens to, by itself and with the name of its stream, and shared
//! by all who do.

use super::super::frame::Frame;
use super::super::hub::Hub;
use super::super::mailbox::Mailbox;
use super::super::subscription::Key;
use super::kline;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tallow_model::EventTime;
use tallow_model::rows::LatestCandle;

/// What a client is told that has not been sent everything.
const LOST: &str = "updates were missed, read them with /api/v3/klines";

/// The clients of all streams.
#[derive(Default)]
pub(crate) struct Rooms {
    rooms: HashMap<Key, Vec<Arc<Listener>>>,
    clients: usize,
}

/// One client, as the hub sees it.
struct Listener {
    mailbox: Arc<Mailbox>,
    /// Whether it wants to know of which stream an event is. Changed only while nothing is delivered.
    combined: AtomicBool,
}

impl Rooms {
    /// How many clients there are, those without a stream too.
    pub(crate) fn clients(&self) -> usize {
        self.clients
    }

    /// Hands a candle to all who listen to its series. Says how many open ones it has taken the place of.
    pub(crate) fn deliver(&self, candle: &LatestCandle, now: EventTime) -> u64 {
        let Some(room) = self.rooms.get(&(candle.symbol, candle.interval)) else { return 0 };
        let (mut raw, mut combined): (Option<Frame>, Option<Frame>) = (None, None);
        let mut replaced = 0;
        for listener in room {
            let raw = raw.get_or_insert_with(|| kline::event(candle, now));
            let frame = match listener.combined.load(Ordering::Relaxed) {
                true => combined.get_or_insert_with(|| kline::combined(candle, raw)),
                false => raw,
            };
            replaced += u64::from(listener.mailbox.candle(candle, frame.clone()));
        }
        replaced
    }

    /// Updates of this series are lost to all who listen to it.
    pub(crate) fn lose(&self, key: Key) {
        self.rooms.get(&key).into_iter().flatten().for_each(|listener| listener.mailbox.lose(LOST));
    }

    /// Updates of any series may be lost.
    pub(crate) fn lose_all(&self) {
        self.rooms.values().flatten().for_each(|listener| listener.mailbox.lose(LOST));
    }

    fn leave(&mut self, listener: &Arc<Listener>, key: Key) {
        if let Some(room) = self.rooms.get_mut(&key) {
            room.retain(|other| !Arc::ptr_eq(other, listener));
            if room.is_empty() {
                self.rooms.remove(&key);
            }
        }
    }
}

/// A client's place at the hub, given up when dropped. What is changed here is changed between two events, and the
/// answer to the client has its place between them too.
pub(super) struct Seat {
    hub: Arc<Hub>,
    listener: Arc<Listener>,
    streams: BTreeSet<Key>,
}

impl Seat {
    /// A place without streams.
    pub(super) fn take(hub: Arc<Hub>, mailbox: Arc<Mailbox>, combined: bool) -> Seat {
        let listener = Arc::new(Listener { mailbox, combined: AtomicBool::new(combined) });
        hub.streams(|rooms| rooms.clients += 1);
        Seat { hub, listener, streams: BTreeSet::new() }
    }

    /// What is listened to.
    pub(super) fn streams(&self) -> &BTreeSet<Key> {
        &self.streams
    }

    /// Answers where nothing is changed.
    pub(super) fn tell(&self, answer: Frame) {
        self.listener.mailbox.keep(answer);
    }

    /// Listens to these as well, their events after the answer.
    pub(super) fn subscribe(&mut self, streams: &BTreeSet<Key>, answer: Option<Frame>) {
        self.hub.streams(|rooms| {
            answer.into_iter().for_each(|answer| self.listener.mailbox.keep(answer));
            for &key in streams {
                if self.streams.insert(key) {
                    rooms.rooms.entry(key).or_default().push(self.listener.clone());
                }
            }
        });
    }

    /// Listens to these no more, no event of theirs after the answer.
    pub(super) fn unsubscribe(&mut self, streams: &BTreeSet<Key>, answer: Frame) {
        self.hub.streams(|rooms| {
            for &key in streams {
                if self.streams.remove(&key) {
                    rooms.leave(&self.listener, key);
                }
            }
            self.listener.mailbox.keep(answer);
        });
    }

    /// Whether events say of which stream they are.
    pub(super) fn combined(&self) -> bool {
        self.listener.combined.load(Ordering::Relaxed)
    }

    /// Changes that, for the events after the answer.
    pub(super) fn combine(&mut self, combined: bool, answer: Frame) {
        self.hub.streams(|_| {
            self.listener.combined.store(combined, Ordering::Relaxed);
            self.listener.mailbox.keep(answer);
        });
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.hub.streams(|rooms| {
            rooms.clients -= 1;
            self.streams.iter().for_each(|key| rooms.leave(&self.listener, *key));
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use tallow_model::Interval;

    fn listener(rooms: &mut Rooms, key: Key, combined: bool) -> Arc<Mailbox> {
        let mailbox = Arc::new(Mailbox::new(8));
        let listener = Arc::new(Listener { mailbox: mailbox.clone(), combined: AtomicBool::new(combined) });
        rooms.rooms.entry(key).or_default().push(listener);
        mailbox
    }

    #[test]
    fn an_event_is_written_once_in_each_shape_and_shared() {
        let candle = LatestCandle {
            symbol: "BTC".parse().unwrap(),
            interval: Interval::FiveMinutes,
            window_start: 300,
            window_end: 600,
            open: 1.0,
            high: 2.5,
            low: 0.000_01,
            close: 2.0,
            volume_sum: 7.0,
            quote_volume: None,
            event_count: 3,
            is_closed: false,
            revision: 0,
            seq: 1,
            event_time: EventTime(600_000),
        };
        let mut rooms = Rooms::default();
        let key = (candle.symbol, candle.interval);
        let mailboxes = [false, true, false, true].map(|combined| listener(&mut rooms, key, combined));
        let other = listener(&mut rooms, (candle.symbol, Interval::OneMinute), false);
        assert_eq!(rooms.deliver(&candle, EventTime(7)), 0);
        assert_eq!(rooms.deliver(&candle, EventTime(8)), 4, "all are conflated");
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
