//! Where a worker's results go: to the queues of the stores, to the cache, and on the board. Nothing here waits.

use super::board::Board;
use super::checkpoints::PartSink;
use crate::sinks::SinkQueue;
use std::collections::BTreeMap;
use std::sync::Arc;
use tallow_dataflow::{CheckpointPart, Output};
use tallow_model::Error;
use tallow_model::error::chain;
use tallow_model::store::Publish;
use tallow_model::{Interval, LiveCandle, PartitionProgress, Reject, SettledCandle, Step, Symbol};

/// Where the results of all workers of this process go.
#[derive(Clone)]
pub struct Destinations {
    /// The stores, which must have everything that is theirs.
    pub stores: Vec<Store>,
    /// The cache, which shows the present.
    pub cache: Arc<dyn Publish>,
    /// Where checkpoints go; none where none are taken.
    pub checkpoints: Option<PartSink>,
}

/// The queue of a store, and what is its own. It is told of every step, for that is how it knows how far it is complete.
#[derive(Clone)]
pub struct Store {
    /// Where to put it.
    pub queue: Arc<SinkQueue>,
    /// Whether candles are.
    pub candles: bool,
    /// Whether alerts are.
    pub alerts: bool,
    /// Whether rejects are.
    pub rejects: bool,
}

impl Store {
    /// What of a step is the store's own.
    fn share(&self, step: &Step) -> Step {
        Step {
            worker: step.worker,
            frontier: step.frontier,
            candles: if self.candles { step.candles.clone() } else { Vec::new() },
            alerts: if self.alerts { step.alerts.clone() } else { Vec::new() },
        }
    }
}

/// The outlet of one worker.
///
/// While the log of earlier hours is read again, nothing of it goes to the cache: it would be thousands of closed
/// candles that are no news, and open ones of windows long past. Once the present is reached, the newest closed candle of
/// each symbol and interval is published, and from then on everything.
pub struct WorkerOutlet {
    destinations: Destinations,
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
    pub fn new(destinations: Destinations, board: Arc<Board>) -> WorkerOutlet {
        WorkerOutlet { destinations, board, past: Past::Reading(Newest::new()) }
    }

    fn publish(&mut self, step: &Step) {
        if let Past::Reading(newest) | Past::Settling(newest) = &mut self.past {
            for settled in &step.candles {
                let newest = newest.entry((settled.symbol, settled.interval)).or_insert(*settled);
                if newest.version() <= settled.version() {
                    *newest = *settled;
                }
            }
            if let Some(present) = self.board.present()
                && step.frontier.is_none_or(|frontier| frontier >= present)
            {
                let candles = std::mem::take(newest).into_values().collect();
                self.destinations.cache.publish_settled(&Step { candles, ..Step::default() });
                self.past = Past::Over;
            }
        } else {
            self.destinations.cache.publish_settled(step);
        }
    }

    fn stored(&self, queued: Result<(), Error>) {
        if let Err(error) = queued {
            self.board.fail(chain(&error));
        }
    }
}

impl Output for WorkerOutlet {
    fn settled(&mut self, step: Step) {
        self.board.settled(&step);
        self.publish(&step);
        for store in &self.destinations.stores {
            self.stored(store.queue.try_send(store.share(&step)));
        }
    }

    fn live(&mut self, candles: Vec<LiveCandle>) {
        if let Past::Reading(newest) = &mut self.past {
            if self.board.present().is_none() {
                return;
            }
            self.past = Past::Settling(std::mem::take(newest));
        }
        self.destinations.cache.publish_live(&candles);
    }

    fn rejected(&mut self, rejects: Vec<Reject>) {
        for store in self.destinations.stores.iter().filter(|store| store.rejects) {
            self.stored(store.queue.try_send_rejects(rejects.clone()));
        }
    }

    fn progress(&mut self, partitions: &[PartitionProgress]) {
        self.board.read(partitions);
    }

    fn failed(&mut self, partition: u32, message: String) {
        tracing::error!(partition, message, "partition can't be read on");
        self.board.fail(message);
    }

    fn checkpoint(&mut self, part: CheckpointPart) {
        if let Some(checkpoints) = &self.destinations.checkpoints {
            // Whatever any store is to have of what the part holds is in its queue by now.
            let tickets = self.destinations.stores.iter().map(|store| store.queue.ticket()).collect();
            checkpoints.submit(part, tickets);
        }
    }

    fn is_full(&self) -> bool {
        self.destinations.stores.iter().any(|store| store.queue.is_full())
    }
}
