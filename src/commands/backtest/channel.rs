//! The channel from the workers to the collecting thread.

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tallow_dataflow::Output;
use tallow_model::{Counts, LiveCandle, PartitionProgress, Reject, Step};

/// The number of bytes in the channel from which the workers pause reading. Results of records that
/// are read by then may exceed it.
const MAX_CHANNEL_BYTES: usize = 64 << 20;

/// A message of a worker.
pub(super) enum Message {
    /// Settled candles and alerts.
    Settled(Step),
    /// Rejected records.
    Rejected(Vec<Reject>),
    /// A partition that can't be read further.
    Failed {
        /// The number of the partition.
        partition: u32,
        /// The action that failed, its object and the reason.
        message: String,
    },
}

impl Message {
    /// The approximate size of the message in memory.
    fn bytes(&self) -> usize {
        match self {
            Message::Settled(step) => size_of_val(&*step.candles) + size_of_val(&*step.alerts),
            Message::Rejected(rejects) => {
                size_of_val(&**rejects)
                    + rejects.iter().map(|reject| reject.raw.len() + reject.detail.len()).sum::<usize>()
            }
            Message::Failed { message, .. } => message.len(),
        }
    }
}

/// The state that both ends share.
struct Shared {
    bytes: AtomicUsize,
    /// The counts of each worker's records by bucket.
    counts: Vec<Mutex<Counts>>,
}

/// The sending end, from which each worker makes its output.
pub(super) struct Channel {
    sender: Sender<Message>,
    shared: Arc<Shared>,
}

/// The receiving end.
pub(super) struct Received {
    receiver: Receiver<Message>,
    shared: Arc<Shared>,
}

impl Channel {
    /// Opens a channel from `workers` workers.
    pub(super) fn open(workers: usize) -> (Channel, Received) {
        // Unbounded, because a worker must never block; `is_full` keeps the bound.
        let (sender, receiver) = unbounded();
        let counts = (0..workers).map(|_| Mutex::default()).collect();
        let shared = Arc::new(Shared { bytes: AtomicUsize::new(0), counts });
        (Channel { sender, shared: Arc::clone(&shared) }, Received { receiver, shared })
    }
}

impl Received {
    /// Returns the next message; `None` if there is none within `timeout`.
    ///
    /// # Errors
    /// If all workers have ended: no message will follow.
    pub(super) fn next(&self, timeout: Duration) -> Result<Option<Message>, AllEnded> {
        match self.receiver.recv_timeout(timeout) {
            Ok(message) => {
                self.shared.bytes.fetch_sub(message.bytes(), Ordering::Relaxed);
                Ok(Some(message))
            }
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(AllEnded),
        }
    }

    /// The counts of all records read so far, by bucket.
    pub(super) fn counts(&self) -> Counts {
        let mut all = Counts::default();
        for counts in &self.shared.counts {
            all.add(&counts.lock().unwrap_or_else(PoisonError::into_inner));
        }
        all
    }
}

/// The error of a channel whose workers have all ended.
pub(super) struct AllEnded;

/// The output of one worker.
pub(super) struct ChannelOutlet {
    worker: usize,
    sender: Sender<Message>,
    shared: Arc<Shared>,
}

impl ChannelOutlet {
    /// Creates the output of the worker with index `worker`.
    pub(super) fn new(channel: &Channel, worker: usize) -> ChannelOutlet {
        ChannelOutlet { worker, sender: channel.sender.clone(), shared: Arc::clone(&channel.shared) }
    }

    fn send(&self, message: Message) {
        self.shared.bytes.fetch_add(message.bytes(), Ordering::Relaxed);
        // A collector that is gone has failed and has stopped the run.
        let _ = self.sender.send(message);
    }
}

impl Output for ChannelOutlet {
    fn settled(&mut self, step: Step) {
        if !(step.candles.is_empty() && step.alerts.is_empty()) {
            self.send(Message::Settled(step));
        }
    }

    // A replay has no open candles.
    fn live(&mut self, _: Vec<LiveCandle>) {}

    fn rejected(&mut self, rejects: Vec<Reject>) {
        self.send(Message::Rejected(rejects));
    }

    fn progress(&mut self, partitions: &[PartitionProgress]) {
        let mut counts = Counts::default();
        partitions.iter().for_each(|partition| counts.add(&partition.counts));
        if let Some(mine) = self.shared.counts.get(self.worker) {
            *mine.lock().unwrap_or_else(PoisonError::into_inner) = counts;
        }
    }

    fn failed(&mut self, partition: u32, message: String) {
        self.send(Message::Failed { partition, message });
    }

    fn is_full(&self) -> bool {
        self.shared.bytes.load(Ordering::Relaxed) >= MAX_CHANNEL_BYTES
    }
}
