//! The membership of a client of the market streams at the hub.

use super::super::frame::Frame;
use super::super::hub::Hub;
use super::super::mailbox::Mailbox;
use super::super::subscription::SeriesKey;
use super::listeners::{StreamListener, StreamListeners};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The membership of a client of the market streams at the hub, which ends when this is dropped.
///
/// Each change happens between two events, and its response is queued between the same two.
pub(super) struct StreamMembership {
    hub: Arc<Hub>,
    listener: Arc<StreamListener>,
    streams: BTreeSet<SeriesKey>,
}

impl StreamMembership {
    /// Adds a client without streams to the hub.
    pub(super) fn join(hub: Arc<Hub>, mailbox: Arc<Mailbox>, combined: bool) -> StreamMembership {
        let listener = Arc::new(StreamListener::new(mailbox, combined));
        hub.change_listeners(StreamListeners::connect);
        StreamMembership { hub, listener, streams: BTreeSet::new() }
    }

    /// The streams of the client.
    pub(super) fn streams(&self) -> &BTreeSet<SeriesKey> {
        &self.streams
    }

    /// Responds to a request that changes nothing.
    pub(super) fn respond(&self, response: Frame) {
        self.listener.respond(response);
    }

    /// Adds streams. Their events follow the response.
    pub(super) fn subscribe(&mut self, streams: &BTreeSet<SeriesKey>, response: Option<Frame>) {
        self.hub.change_listeners(|listeners| {
            response.into_iter().for_each(|response| self.listener.respond(response));
            for &key in streams {
                if self.streams.insert(key) {
                    listeners.subscribe(&self.listener, key);
                }
            }
        });
    }

    /// Removes streams. No event of theirs follows the response.
    pub(super) fn unsubscribe(&mut self, streams: &BTreeSet<SeriesKey>, response: Frame) {
        self.hub.change_listeners(|listeners| {
            for &key in streams {
                if self.streams.remove(&key) {
                    listeners.unsubscribe(&self.listener, key);
                }
            }
            self.listener.respond(response);
        });
    }

    /// Whether each event comes with the name of its stream.
    pub(super) fn is_combined(&self) -> bool {
        self.listener.is_combined()
    }

    /// Changes the format of the events that follow the response.
    pub(super) fn set_combined(&mut self, combined: bool, response: Frame) {
        self.hub.change_listeners(|_| {
            self.listener.set_combined(combined);
            self.listener.respond(response);
        });
    }
}

impl Drop for StreamMembership {
    fn drop(&mut self) {
        self.hub.change_listeners(|listeners| {
            self.streams.iter().for_each(|key| listeners.unsubscribe(&self.listener, *key));
            listeners.disconnect();
        });
    }
}
