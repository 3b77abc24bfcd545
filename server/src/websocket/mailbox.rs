//! The frames that wait for one client, in the order in which they came.
//!
//! - **Conflation.** Of the open candles of a symbol and interval only the newest waits; a closed candle takes the
//!   place of the open one of its window. So what open candles need is bounded by the number of symbols.
//! - **Bound.** Closed candles, alerts and replies are never dropped. Once more of them wait than the limit, the
//!   mailbox ends: it is emptied for good and the client must be closed. So it does where something is lost before it has
//!   come here, and the client speaks a dialect that has no words for that.

use super::frame::Frame;
use super::subscription::Key;
use std::collections::{BTreeMap, HashMap};
use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use tallow_model::rows::LatestCandle;
use tokio::sync::Notify;

/// The mailbox of one client: filled by the hub and the client's reader, emptied by its writer.
pub(crate) struct Mailbox {
    /// How many frames that must not be dropped may wait.
    limit: usize,
    waiting: Mutex<Waiting>,
    /// The mailbox has ended.
    over: Notify,
}

/// Why a mailbox takes nothing any more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum End {
    /// It was full.
    Overflow,
    /// Something that belongs in it will never come: what the client is told.
    Gap(&'static str),
}

#[derive(Default)]
struct Waiting {
    /// By number of arrival.
    frames: BTreeMap<u64, Letter>,
    next: u64,
    /// The number and window of the open candle that waits.
    open: HashMap<Key, (u64, u64)>,
    /// How many of the frames must not be dropped.
    kept: usize,
    /// The candle up to whose sequence number the client has been told everything by its snapshot.
    told: HashMap<Key, LatestCandle>,
    /// The one writer, while it waits for a frame. Not a `Notify`: that has a lock of its own, to be taken twice a frame.
    writer: Option<Waker>,
    end: Option<End>,
}

struct Letter {
    frame: Frame,
    /// Whose candle it is, and its sequence number.
    candle: Option<(Key, u64)>,
    is_open: bool,
}

impl Mailbox {
    /// An empty mailbox.
    pub(crate) fn new(limit: usize) -> Mailbox {
        Mailbox { limit, waiting: Mutex::default(), over: Notify::new() }
    }

    /// Adds the frame of a candle that the client wants. Says whether it has taken the place of an open one that waited.
    pub(crate) fn candle(&self, candle: &LatestCandle, frame: Frame) -> bool {
        let key = (candle.symbol, candle.interval);
        let mut waiting = self.waiting();
        if let Some(told) = waiting.told.get(&key) {
            // A lower number of a newer candle: the numbers have begun anew.
            if candle.seq <= told.seq && !candle.is_newer_than(told) {
                return false;
            }
            waiting.told.remove(&key);
        }
        let mut replaced = false;
        if let Some(&(number, window_start)) = waiting.open.get(&key)
            && (!candle.is_closed || window_start == candle.window_start)
        {
            waiting.open.remove(&key);
            replaced = waiting.frames.remove(&number).is_some();
        }
        if !candle.is_closed {
            let number = waiting.next;
            waiting.open.insert(key, (number, candle.window_start));
        }
        let letter = Letter { frame, candle: Some((key, candle.seq)), is_open: !candle.is_closed };
        self.add(waiting, letter);
        replaced
    }

    /// Adds a frame that must not be dropped.
    pub(crate) fn keep(&self, frame: Frame) {
        self.add(self.waiting(), Letter { frame, candle: None, is_open: false });
    }

    /// The client has been given this candle by its snapshot: leaves out updates that are not newer.
    pub(crate) fn told(&self, candle: &LatestCandle) {
        let (key, seq) = ((candle.symbol, candle.interval), candle.seq);
        let mut waiting = self.waiting();
        let waiting = &mut *waiting;
        let mut newer = false;
        waiting.frames.retain(|number, letter| match letter.candle {
            Some((other, letter_seq)) if other == key && letter_seq <= seq => {
                waiting.kept -= usize::from(!letter.is_open);
                if waiting.open.get(&key).is_some_and(|(open, _)| open == number) {
                    waiting.open.remove(&key);
                }
                false
            }
            Some((other, _)) => {
                newer |= other == key;
                true
            }
            None => true,
        });
        if !newer {
            waiting.told.insert(key, candle.clone());
        }
    }

    /// Gives what waits, so many frames at most, once there is one. For one writer at a time.
    pub(crate) async fn next(&self, most: usize, mut give: impl FnMut(Frame)) {
        poll_fn(|context| {
            let mut waiting = self.waiting();
            if waiting.frames.is_empty() {
                waiting.writer = Some(context.waker().clone());
                return Poll::Pending;
            }
            std::iter::from_fn(|| waiting.take()).take(most).for_each(&mut give);
            Poll::Ready(())
        })
        .await;
    }

    /// Says why, once the mailbox has ended.
    pub(crate) async fn ended(&self) -> End {
        loop {
            if let Some(end) = self.waiting().end {
                return end;
            }
            self.over.notified().await;
        }
    }

    /// Something that belongs in here will never come. The client is told so in these words, 123 bytes at most.
    pub(crate) fn lose(&self, reason: &'static str) {
        self.end(&mut self.waiting(), End::Gap(reason));
    }

    fn end(&self, waiting: &mut Waiting, end: End) {
        if waiting.end.is_none() {
            *waiting = Waiting { end: Some(end), ..Waiting::default() };
            self.over.notify_one();
        }
    }

    fn add(&self, mut waiting: MutexGuard<'_, Waiting>, letter: Letter) {
        if waiting.end.is_some() {
            return;
        }
        waiting.kept += usize::from(!letter.is_open);
        if waiting.kept > self.limit {
            return self.end(&mut waiting, End::Overflow);
        }
        let number = waiting.next;
        waiting.frames.insert(number, letter);
        waiting.next += 1;
        let writer = waiting.writer.take();
        // A writer that is woken before would wait for the lock.
        drop(waiting);
        if let Some(writer) = writer {
            writer.wake();
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// The next frame, if there is one.
    fn take(&mut self) -> Option<Frame> {
        let (_, letter) = self.frames.pop_first()?;
        match letter.candle {
            Some((key, _)) if letter.is_open => {
                self.open.remove(&key);
            }
            _ => self.kept -= 1,
        }
        Some(letter.frame)
    }
}

#[cfg(test)]
impl Mailbox {
    /// The next frame, if there is one.
    pub(crate) fn take(&self) -> Option<Frame> {
        self.waiting().take()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;
    use tallow_model::{EventTime, Interval};

    fn candle(symbol: &str, window_start: u64, seq: u64, is_closed: bool) -> LatestCandle {
        LatestCandle {
            symbol: symbol.parse().unwrap(),
            interval: Interval::OneMinute,
            window_start,
            window_end: window_start + 60,
            open: 1.0,
            high: 1.0,
            low: 1.0,
            close: 1.0,
            volume_sum: 0.0,
            quote_volume: None,
            event_count: 1,
            is_closed,
            revision: 0,
            seq,
            event_time: EventTime(window_start * 1000),
        }
    }

    fn put(mailbox: &Mailbox, candle: &LatestCandle) {
        mailbox.candle(candle, format!("{} {}", candle.symbol, candle.seq).into());
    }

    fn contents(mailbox: &Mailbox) -> Vec<String> {
        std::iter::from_fn(|| mailbox.take()).map(|frame| frame.to_string()).collect()
    }

    #[test]
    fn of_open_candles_only_the_newest_waits() {
        let mailbox = Mailbox::new(8);
        for seq in 1..=100 {
            put(&mailbox, &candle("BTC", 0, seq, false));
            put(&mailbox, &candle("ETH", 0, seq, false));
        }
        assert_eq!(contents(&mailbox), ["BTC 100", "ETH 100"]);
    }

    #[test]
    fn closed_candles_all_wait_and_the_order_is_kept() {
        let mailbox = Mailbox::new(8);
        put(&mailbox, &candle("BTC", 0, 1, false));
        put(&mailbox, &candle("BTC", 0, 2, true));
        put(&mailbox, &candle("BTC", 60, 3, false));
        put(&mailbox, &candle("BTC", 0, 4, true));
        put(&mailbox, &candle("BTC", 60, 5, false));
        put(&mailbox, &candle("BTC", 60, 6, true));
        assert_eq!(contents(&mailbox), ["BTC 2", "BTC 4", "BTC 6"]);
    }

    #[test]
    fn a_correction_of_an_older_window_leaves_the_open_candle_waiting() {
        let mailbox = Mailbox::new(8);
        put(&mailbox, &candle("BTC", 60, 1, false));
        put(&mailbox, &candle("BTC", 0, 2, true));
        assert_eq!(contents(&mailbox), ["BTC 1", "BTC 2"]);
    }

    #[test]
    fn what_the_snapshot_has_told_is_left_out_before_and_after() {
        let mailbox = Mailbox::new(8);
        put(&mailbox, &candle("BTC", 0, 1, true));
        put(&mailbox, &candle("ETH", 0, 1, true));
        put(&mailbox, &candle("BTC", 60, 2, false));
        mailbox.told(&candle("BTC", 60, 3, false));
        put(&mailbox, &candle("BTC", 60, 3, false));
        put(&mailbox, &candle("BTC", 60, 4, true));
        assert_eq!(contents(&mailbox), ["ETH 1", "BTC 4"]);
    }

    #[test]
    fn numbers_that_begin_anew_are_taken_from_the_first_newer_candle() {
        let mailbox = Mailbox::new(8);
        mailbox.told(&candle("BTC", 120, 4711, true));
        put(&mailbox, &candle("BTC", 60, 1, true));
        put(&mailbox, &candle("BTC", 120, 2, true));
        put(&mailbox, &candle("BTC", 180, 3, true));
        put(&mailbox, &candle("BTC", 60, 4, true));
        assert_eq!(contents(&mailbox), ["BTC 3", "BTC 4"]);
    }

    #[test]
    fn only_frames_that_must_not_be_dropped_fill_it() {
        let mailbox = Mailbox::new(2);
        for minute in 0..50 {
            put(&mailbox, &candle(&format!("S{minute}"), 0, 1, false));
        }
        put(&mailbox, &candle("BTC", 0, 1, true));
        mailbox.keep("alert".into());
        assert_eq!(contents(&mailbox).len(), 52);
        for seq in 2..=4 {
            put(&mailbox, &candle("BTC", seq * 60, seq, true));
        }
        assert_eq!(contents(&mailbox), Vec::<String>::new());
        assert_eq!(mailbox.waiting().end, Some(End::Overflow));
    }

    #[tokio::test]
    async fn what_is_lost_before_it_comes_ends_the_mailbox() {
        let mailbox = Mailbox::new(8);
        put(&mailbox, &candle("BTC", 0, 1, true));
        mailbox.lose("too late");
        put(&mailbox, &candle("BTC", 60, 2, true));
        assert_eq!(mailbox.ended().await, End::Gap("too late"));
        assert_eq!(contents(&mailbox), Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_writer_is_woken_by_a_frame_and_given_all_that_waits_up_to_its_limit() {
        let mailbox = Mailbox::new(8);
        let mut batches = Vec::new();
        let mut batch = Vec::new();
        let first = async { mailbox.next(2, |frame| batch.push(frame.to_string())).await };
        // The writer is polled first, and waits.
        tokio::join!(biased; first, async { mailbox.keep("1".into()) });
        batches.push(std::mem::take(&mut batch));
        for number in 2..=4 {
            mailbox.keep(number.to_string().into());
        }
        for _ in 0..2 {
            mailbox.next(2, |frame| batch.push(frame.to_string())).await;
            batches.push(std::mem::take(&mut batch));
        }
        assert_eq!(batches, [vec!["1"], vec!["2", "3"], vec!["4"]]);
    }
}
