//! The pings of one client that have not been answered yet.
//!
//! A client that answers no ping is dead, even if its system still accepts bytes for it. Each ping
//! carries a number. A pong with that number answers the ping and all pings before it; a pong that
//! answers no ping is ignored.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::tungstenite::Message;

/// The pings of one client, and the time within which each must be answered.
pub(super) struct Heartbeat {
    pong_timeout: Duration,
    pending: Mutex<PendingPings>,
}

#[derive(Default)]
struct PendingPings {
    next: u64,
    /// The number and the sending time of each unanswered ping, oldest first.
    pings: VecDeque<(u64, Instant)>,
}

impl Heartbeat {
    /// A heartbeat without pings.
    pub(super) fn new(pong_timeout: Duration) -> Heartbeat {
        Heartbeat { pong_timeout, pending: Mutex::default() }
    }

    /// Returns the next ping, which must be answered from now on.
    pub(super) fn ping(&self) -> Message {
        let mut pending = self.pending();
        let number = pending.next;
        pending.next += 1;
        pending.pings.push_back((number, Instant::now()));
        Message::Ping(number.to_be_bytes().to_vec().into())
    }

    /// Takes a pong. Returns whether it answers a ping.
    pub(super) fn pong(&self, payload: &[u8]) -> bool {
        let Ok(number) = payload.try_into().map(u64::from_be_bytes) else { return false };
        let mut pending = self.pending();
        let answered = pending.pings.iter().position(|(ping, _)| *ping == number);
        if let Some(last) = answered {
            pending.pings.drain(..=last);
        }
        answered.is_some()
    }

    /// Returns once a ping has not been answered within the timeout.
    pub(super) async fn missed(&self) {
        loop {
            let oldest = self.pending().pings.front().copied();
            // A ping that is sent meanwhile is due later.
            let due = oldest.map_or_else(Instant::now, |(_, sent)| sent) + self.pong_timeout;
            sleep_until(due).await;
            if oldest.is_some() && self.pending().pings.front().copied() == oldest {
                return;
            }
        }
    }

    fn pending(&self) -> MutexGuard<'_, PendingPings> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{advance, timeout};

    const TIMEOUT: Duration = Duration::from_secs(60);

    fn payload(message: &Message) -> Vec<u8> {
        match message {
            Message::Ping(payload) => payload.to_vec(),
            other => panic!("not a ping: {other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_ping_is_missed_when_its_timeout_is_over() {
        let heartbeat = Heartbeat::new(TIMEOUT);
        assert!(timeout(3 * TIMEOUT, heartbeat.missed()).await.is_err(), "no ping to answer");
        heartbeat.ping();
        advance(TIMEOUT / 2).await;
        heartbeat.ping();
        let sent = Instant::now();
        heartbeat.missed().await;
        assert_eq!(sent.elapsed().as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pong_answers_its_ping_and_those_before_it() {
        let heartbeat = Heartbeat::new(TIMEOUT);
        heartbeat.ping();
        let second = payload(&heartbeat.ping());
        advance(TIMEOUT / 2).await;
        let third = payload(&heartbeat.ping());
        for stray in [&b""[..], b"abc", &99u64.to_be_bytes()] {
            assert!(!heartbeat.pong(stray));
        }
        assert!(heartbeat.pong(&second));
        assert!(!heartbeat.pong(&second), "answered already");
        let from = Instant::now();
        heartbeat.missed().await;
        assert_eq!(from.elapsed().as_secs(), 60, "the third is due by itself");
        assert!(heartbeat.pong(&third));
    }
}
