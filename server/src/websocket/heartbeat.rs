//! Pings of the protocol, and which of them are still to be answered: a client that answers none is dead, whatever its
//! system still takes in for it.
//!
//! A ping carries its number. An answer to it counts for those before it too; a pong that answers none counts for
//! nothing.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::tungstenite::Message;

/// The pings of one client.
pub(super) struct Heartbeat {
    /// How long an answer may take.
    limit: Duration,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    /// The pings without an answer, oldest first, and when each was sent.
    pings: VecDeque<(u64, Instant)>,
}

impl Heartbeat {
    /// No ping yet. Answers must come within the limit.
    pub(super) fn new(limit: Duration) -> Heartbeat {
        Heartbeat { limit, waiting: Mutex::default() }
    }

    /// The next ping, from now on to be answered.
    pub(super) fn ping(&self) -> Message {
        let mut waiting = self.waiting();
        let number = waiting.next;
        waiting.next += 1;
        waiting.pings.push_back((number, Instant::now()));
        Message::Ping(number.to_be_bytes().to_vec().into())
    }

    /// Takes a pong. Says whether it is an answer.
    pub(super) fn pong(&self, payload: &[u8]) -> bool {
        let Ok(number) = payload.try_into().map(u64::from_be_bytes) else { return false };
        let mut waiting = self.waiting();
        let answered = waiting.pings.iter().position(|(ping, _)| *ping == number);
        if let Some(last) = answered {
            waiting.pings.drain(..=last);
        }
        answered.is_some()
    }

    /// Returns once a ping has not been answered in time.
    pub(super) async fn missed(&self) {
        loop {
            let oldest = self.waiting().pings.front().copied();
            // A ping that is sent later is due later than this.
            let due = oldest.map_or_else(Instant::now, |(_, sent)| sent) + self.limit;
            sleep_until(due).await;
            if oldest.is_some() && self.waiting().pings.front().copied() == oldest {
                return;
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{advance, timeout};

    const LIMIT: Duration = Duration::from_secs(60);

    fn payload(message: &Message) -> Vec<u8> {
        match message {
            Message::Ping(payload) => payload.to_vec(),
            other => panic!("no ping: {other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_ping_is_missed_when_its_time_is_over_and_not_before() {
        let heartbeat = Heartbeat::new(LIMIT);
        assert!(timeout(3 * LIMIT, heartbeat.missed()).await.is_err(), "nothing to answer");
        heartbeat.ping();
        advance(LIMIT / 2).await;
        heartbeat.ping();
        let sent = Instant::now();
        heartbeat.missed().await;
        assert_eq!(sent.elapsed().as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_counts_for_the_pings_before_it_and_nothing_else_does() {
        let heartbeat = Heartbeat::new(LIMIT);
        heartbeat.ping();
        let second = payload(&heartbeat.ping());
        advance(LIMIT / 2).await;
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
