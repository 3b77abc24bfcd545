//! The frames that wait for one client, in the order of their arrival.
//!
//! - **Conflation.** Of the open candles of a series only the newest waits; a closed candle
//!   replaces the open candle of its window. The number of series therefore bounds the open
//!   candles.
//! - **Bound.** Closed candles, alerts and replies are never dropped. Once more of them wait than
//!   the limit, the mailbox ends: it is emptied for good, and the client must be disconnected. A
//!   mailbox also ends if a frame is lost before it gets here and the client's protocol cannot
//!   report a loss.

use super::frame::Frame;
use super::subscription::SeriesKey;
use std::collections::{BTreeMap, HashMap};
use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use tallow_model::rows::LatestCandle;
use tallow_model::version::{Arrival, Sequence, Version};
use tokio::sync::Notify;

/// The mailbox of one client: the hub and the client's reader fill it, the client's writer empties
/// it.
pub(crate) struct Mailbox {
    /// The maximum number of waiting frames that must not be dropped.
    max_kept: usize,
    queue: Mutex<FrameQueue>,
    has_ended: Notify,
}

/// The reason why a mailbox has ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum MailboxEnd {
    /// More frames waited than the limit.
    Overflow,
    /// A frame has been lost on its way here; the text is the reason for the client.
    Gap(&'static str),
}

#[derive(Default)]
struct FrameQueue {
    /// The frames by their number of arrival.
    frames: BTreeMap<u64, QueuedFrame>,
    next: u64,
    /// The number of arrival and the window of each open candle that waits.
    open: HashMap<SeriesKey, (u64, u64)>,
    /// The number of frames that must not be dropped.
    kept: usize,
    /// The point of each series that the client has reached with its snapshot.
    ///
    /// The first update after that point removes its entry.
    snapshots: HashMap<SeriesKey, Sequence>,
    /// The waker of the one writer while it waits for a frame.
    ///
    /// A `Notify` would take a second lock with each frame.
    writer: Option<Waker>,
    end: Option<MailboxEnd>,
}

struct QueuedFrame {
    frame: Frame,
    /// The series, sequence number and version of a candle.
    candle: Option<(SeriesKey, u64, Version)>,
    is_open: bool,
}

impl Mailbox {
    /// An empty mailbox for at most `max_kept` frames that must not be dropped.
    pub(crate) fn new(max_kept: usize) -> Mailbox {
        Mailbox { max_kept, queue: Mutex::default(), has_ended: Notify::new() }
    }

    /// Adds the frame of a candle. Returns whether it has replaced an open candle that waited.
    ///
    /// A candle that the client has with its snapshot is left out.
    pub(crate) fn add_candle(&self, candle: &LatestCandle, frame: Frame) -> bool {
        let (key, version) = ((candle.symbol, candle.interval), candle.version());
        let mut queue = self.queue();
        if let Some(snapshot) = queue.snapshots.get(&key) {
            if snapshot.judge(candle.seq, version) == Arrival::Duplicate {
                return false;
            }
            queue.snapshots.remove(&key);
        }
        let mut replaced = false;
        if let Some(&(number, window_start)) = queue.open.get(&key)
            && (!candle.is_closed || window_start == candle.window_start)
        {
            queue.open.remove(&key);
            replaced = queue.frames.remove(&number).is_some();
        }
        if !candle.is_closed {
            let number = queue.next;
            queue.open.insert(key, (number, candle.window_start));
        }
        let queued =
            QueuedFrame { frame, candle: Some((key, candle.seq, version)), is_open: !candle.is_closed };
        self.add(queue, queued);
        replaced
    }

    /// Adds a frame that must not be dropped.
    pub(crate) fn keep(&self, frame: Frame) {
        self.add(self.queue(), QueuedFrame { frame, candle: None, is_open: false });
    }

    /// Leaves out updates up to this candle, which the client gets with its snapshot.
    pub(crate) fn skip_through(&self, snapshot: &LatestCandle) {
        let key = (snapshot.symbol, snapshot.interval);
        let snapshot = Sequence::resume(snapshot.seq, Some(snapshot.version()));
        let mut queue = self.queue();
        let queue = &mut *queue;
        let mut has_newer = false;
        queue.frames.retain(|number, queued| match queued.candle {
            Some((other, seq, version))
                if other == key && snapshot.judge(seq, version) == Arrival::Duplicate =>
            {
                queue.kept -= usize::from(!queued.is_open);
                if queue.open.get(&key).is_some_and(|(open, _)| open == number) {
                    queue.open.remove(&key);
                }
                false
            }
            Some((other, ..)) => {
                has_newer |= other == key;
                true
            }
            None => true,
        });
        if !has_newer {
            queue.snapshots.insert(key, snapshot);
        }
    }

    /// Waits for a frame, then calls `give` with each waiting frame, at most `max` of them.
    ///
    /// Only one task at a time may wait here.
    pub(crate) async fn next(&self, max: usize, mut give: impl FnMut(Frame)) {
        poll_fn(|context| {
            let mut queue = self.queue();
            if queue.frames.is_empty() {
                queue.writer = Some(context.waker().clone());
                return Poll::Pending;
            }
            std::iter::from_fn(|| queue.take()).take(max).for_each(&mut give);
            Poll::Ready(())
        })
        .await;
    }

    /// Waits until the mailbox has ended, and returns the reason.
    pub(crate) async fn ended(&self) -> MailboxEnd {
        loop {
            if let Some(end) = self.queue().end {
                return end;
            }
            self.has_ended.notified().await;
        }
    }

    /// Ends the mailbox because a frame is lost. The client gets the reason, at most 123 bytes.
    pub(crate) fn lose(&self, reason: &'static str) {
        self.end(&mut self.queue(), MailboxEnd::Gap(reason));
    }

    fn end(&self, queue: &mut FrameQueue, end: MailboxEnd) {
        if queue.end.is_none() {
            *queue = FrameQueue { end: Some(end), ..FrameQueue::default() };
            self.has_ended.notify_one();
        }
    }

    fn add(&self, mut queue: MutexGuard<'_, FrameQueue>, queued: QueuedFrame) {
        if queue.end.is_some() {
            return;
        }
        queue.kept += usize::from(!queued.is_open);
        if queue.kept > self.max_kept {
            return self.end(&mut queue, MailboxEnd::Overflow);
        }
        let number = queue.next;
        queue.frames.insert(number, queued);
        queue.next += 1;
        let writer = queue.writer.take();
        // A writer that is woken before the lock is released would wait for it.
        drop(queue);
        if let Some(writer) = writer {
            writer.wake();
        }
    }

    fn queue(&self) -> MutexGuard<'_, FrameQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FrameQueue {
    fn take(&mut self) -> Option<Frame> {
        let (_, queued) = self.frames.pop_first()?;
        match queued.candle {
            Some((key, ..)) if queued.is_open => {
                self.open.remove(&key);
            }
            _ => self.kept -= 1,
        }
        Some(queued.frame)
    }
}

#[cfg(test)]
impl Mailbox {
    /// The next frame, if there is one.
    pub(crate) fn take(&self) -> Option<Frame> {
        self.queue().take()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::candle;
    use super::*;

    fn put(mailbox: &Mailbox, candle: &LatestCandle) {
        mailbox.add_candle(candle, format!("{} {}", candle.symbol, candle.seq).into());
    }

    fn contents(mailbox: &Mailbox) -> Vec<String> {
        std::iter::from_fn(|| mailbox.take()).map(|frame| frame.to_string()).collect()
    }

    #[test]
    fn only_the_newest_open_candle_waits() {
        let mailbox = Mailbox::new(8);
        for seq in 1..=100 {
            put(&mailbox, &candle("BTC", 0, seq, false));
            put(&mailbox, &candle("ETH", 0, seq, false));
        }
        assert_eq!(contents(&mailbox), ["BTC 100", "ETH 100"]);
    }

    #[test]
    fn closed_candles_all_wait_in_order() {
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
    fn updates_up_to_the_snapshot_are_left_out() {
        let mailbox = Mailbox::new(8);
        put(&mailbox, &candle("BTC", 0, 1, true));
        put(&mailbox, &candle("ETH", 0, 1, true));
        put(&mailbox, &candle("BTC", 60, 2, false));
        mailbox.skip_through(&candle("BTC", 60, 3, false));
        put(&mailbox, &candle("BTC", 60, 3, false));
        put(&mailbox, &candle("BTC", 60, 4, true));
        assert_eq!(contents(&mailbox), ["ETH 1", "BTC 4"]);
    }

    #[test]
    fn restarted_numbers_count_from_the_first_newer_candle() {
        let mailbox = Mailbox::new(8);
        mailbox.skip_through(&candle("BTC", 120, 4711, true));
        put(&mailbox, &candle("BTC", 60, 1, true));
        put(&mailbox, &candle("BTC", 120, 2, true));
        put(&mailbox, &candle("BTC", 180, 3, true));
        put(&mailbox, &candle("BTC", 60, 4, true));
        assert_eq!(contents(&mailbox), ["BTC 3", "BTC 4"]);
    }

    #[test]
    fn only_frames_that_must_not_be_dropped_count_to_the_limit() {
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
        assert_eq!(mailbox.queue().end, Some(MailboxEnd::Overflow));
    }

    #[tokio::test]
    async fn a_lost_frame_ends_the_mailbox() {
        let mailbox = Mailbox::new(8);
        put(&mailbox, &candle("BTC", 0, 1, true));
        mailbox.lose("too late");
        put(&mailbox, &candle("BTC", 60, 2, true));
        assert_eq!(mailbox.ended().await, MailboxEnd::Gap("too late"));
        assert_eq!(contents(&mailbox), Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_writer_takes_the_waiting_frames_up_to_its_limit() {
        let mailbox = Mailbox::new(8);
        let mut batches = Vec::new();
        let mut batch = Vec::new();
        let first = async { mailbox.next(2, |frame| batch.push(frame.to_string())).await };
        // The writer is polled first and waits for the frame.
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
