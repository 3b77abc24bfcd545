//! Where a worker's results go: to the store's queue, to the cache, and on the board. Nothing here waits.

use super::board::Board;
use std::collections::BTreeMap;
use std::sync::Arc;
use tallow_connectors::Error;
use tallow_connectors::error::chain;
use tallow_connectors::memory::MemoryCache;
use tallow_connectors::sinks::SinkQueue;
use tallow_dataflow::{Interval, LiveCandle, Outlet, PartitionProgress, Reject, SettledCandle, Step, Symbol};

/// The outlet of one worker.
///
/// While the log of earlier hours is read again, nothing of it goes to the cache: it would be thousands of closed
/// candles that are no news, and open ones of windows long past. Once the present is reached, the newest closed candle of
/// each symbol and interval is published, and from then on everything.
pub(super) struct WorkerOutlet {
    store: Arc<SinkQueue>,
    cache: Arc<MemoryCache>,
    board: Arc<Board>,
    past: Past,
}

/// What the cache gets of the past.
enum Past {
    /// The log has not been read up to the present.
    Reading(Newest),
    /// It has, and not everything has settled. Open candles are those of the present.
    Settling(Newest),
    /// Everything is of the present.
    Over,
}

/// The newest closed candles.
type Newest = BTreeMap<(Symbol, Interval), SettledCandle>;

impl WorkerOutlet {
    /// An outlet of a worker that is about to read its partitions from their beginning.
    pub(super) fn new(store: Arc<SinkQueue>, cache: Arc<MemoryCache>, board: Arc<Board>) -> WorkerOutlet {
        WorkerOutlet { store, cache, board, past: Past::Reading(Newest::new()) }
    }

    fn publish(&mut self, step: &Step) {
        if let Past::Reading(newest) | Past::Settling(newest) = &mut self.past {
            for settled in &step.candles {
                let newest = newest.entry((settled.symbol, settled.interval)).or_insert(*settled);
                if newest.candle.window_start <= settled.candle.window_start {
                    *newest = *settled;
                }
            }
            if let Some(present) = self.board.present()
                && step.frontier.is_none_or(|frontier| frontier >= present)
            {
                let candles = std::mem::take(newest).into_values().collect();
                self.cache.publish_settled(&Step { candles, ..Step::default() });
                self.past = Past::Over;
            }
        } else {
            self.cache.publish_settled(step);
        }
    }

    fn stored(&self, queued: Result<(), Error>) {
        if let Err(error) = queued {
            self.board.fail(chain(&error));
        }
    }
}

impl Outlet for WorkerOutlet {
    fn settled(&mut self, step: Step) {
        self.board.settled(&step);
        self.publish(&step);
        self.stored(self.store.try_send(step));
    }

    fn live(&mut self, candles: Vec<LiveCandle>) {
        if let Past::Reading(newest) = &mut self.past {
            if self.board.present().is_none() {
                return;
            }
            self.past = Past::Settling(std::mem::take(newest));
        }
        self.cache.publish_live(&candles);
    }

    fn rejected(&mut self, rejects: Vec<Reject>) {
        self.stored(self.store.try_send_rejects(rejects));
    }

    fn progress(&mut self, partitions: &[PartitionProgress]) {
        self.board.read(partitions);
    }

    fn failed(&mut self, partition: u32, message: String) {
        tracing::error!(partition, message, "partition can't be read on");
        self.board.fail(message);
    }

    fn is_full(&self) -> bool {
        self.store.is_full()
    }
}
