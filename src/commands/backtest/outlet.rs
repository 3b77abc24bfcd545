//! What the workers settle, on its way to the one thread that writes it.

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tallow_dataflow::Output;
use tallow_model::{Counts, LiveCandle, PartitionProgress, Reject, Step};

/// The bytes under way from which on the workers stop reading. What they have read by then still comes on top.
const MAX_UNDER_WAY: usize = 64 << 20;

/// What a worker has to say.
pub(super) enum Message {
    /// It has settled this.
    Settled(Step),
    /// It has not accepted these records.
    Rejected(Vec<Reject>),
    /// A partition can't be read on.
    Failed {
        /// Which one.
        partition: u32,
        /// What was tried on what.
        message: String,
    },
}

impl Message {
    /// About how much memory it holds.
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

/// What both ends share.
struct Shared {
    under_way: AtomicUsize,
    /// The buckets of each worker's records.
    counts: Vec<Mutex<Counts>>,
}

/// The workers' end, of which each takes its own.
pub(super) struct Channel {
    sender: Sender<Message>,
    shared: Arc<Shared>,
}

/// The collector's end.
pub(super) struct Received {
    receiver: Receiver<Message>,
    shared: Arc<Shared>,
}

impl Channel {
    /// A channel from so many workers.
    pub(super) fn open(workers: usize) -> (Channel, Received) {
        // Unbounded, because a worker must never block: `is_full` keeps the bound.
        let (sender, receiver) = unbounded();
        let counts = (0..workers).map(|_| Mutex::default()).collect();
        let shared = Arc::new(Shared { under_way: AtomicUsize::new(0), counts });
        (Channel { sender, shared: Arc::clone(&shared) }, Received { receiver, shared })
    }
}

impl Received {
    /// The next message; none within `patience`, or, as an error, none ever again because all workers have ended.
    pub(super) fn next(&self, patience: Duration) -> Result<Option<Message>, AllEnded> {
        match self.receiver.recv_timeout(patience) {
            Ok(message) => {
                self.shared.under_way.fetch_sub(message.bytes(), Ordering::Relaxed);
                Ok(Some(message))
            }
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(AllEnded),
        }
    }

    /// The buckets of all records read so far.
    pub(super) fn counts(&self) -> Counts {
        let mut all = Counts::default();
        for counts in &self.shared.counts {
            all.add(&counts.lock().unwrap_or_else(PoisonError::into_inner));
        }
        all
    }
}

/// No worker is left to send anything.
pub(super) struct AllEnded;

/// The outlet of one worker.
pub(super) struct ChannelOutlet {
    worker: usize,
    sender: Sender<Message>,
    shared: Arc<Shared>,
}

impl ChannelOutlet {
    /// The end of the worker with this index.
    pub(super) fn new(channel: &Channel, worker: usize) -> ChannelOutlet {
        ChannelOutlet { worker, sender: channel.sender.clone(), shared: Arc::clone(&channel.shared) }
    }

    fn send(&self, message: Message) {
        self.shared.under_way.fetch_add(message.bytes(), Ordering::Relaxed);
        // A collector that has gone has failed, and has stopped the run.
        let _ = self.sender.send(message);
    }
}

impl Output for ChannelOutlet {
    fn settled(&mut self, step: Step) {
        if !(step.candles.is_empty() && step.alerts.is_empty()) {
            self.send(Message::Settled(step));
        }
    }

    // A replay shows no open candles.
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
        self.shared.under_way.load(Ordering::Relaxed) >= MAX_UNDER_WAY
    }
}
