//! The output of a worker: to the queues of the stores, to the cache and to the status. Nothing
//! here waits.

use super::checkpoints::PartSink;
use super::status::StatusBoard;
use crate::sinks::SinkQueue;
use std::collections::BTreeMap;
use std::sync::Arc;
use tallow_dataflow::{CheckpointPart, Output};
use tallow_model::Error;
use tallow_model::error::chain;
use tallow_model::store::Publish;
use tallow_model::{Interval, LiveCandle, PartitionProgress, Reject, SettledCandle, Step, Symbol};

/// The destinations of the results of all workers of this process.
#[derive(Clone)]
pub struct Destinations {
    /// The stores, each of which must store everything that it takes.
    pub stores: Vec<StoreOutput>,
    /// The cache, which shows the present.
    pub cache: Arc<dyn Publish>,
    /// The sink of checkpoints; `None` if none are taken.
    pub checkpoints: Option<PartSink>,
}

/// The queue of a store, and the kinds of results that it takes. Every step goes to every store, so
/// that each knows how far it is complete.
#[derive(Clone)]
pub struct StoreOutput {
    /// The queue before the store's sink.
    pub queue: Arc<SinkQueue>,
    /// Whether the store takes candles.
    pub candles: bool,
    /// Whether the store takes alerts.
    pub alerts: bool,
    /// Whether the store takes rejects.
    pub rejects: bool,
}

impl StoreOutput {
    /// Returns the step with the results that the store takes.
    fn share(&self, step: &Step) -> Step {
        Step {
            worker: step.worker,
            frontier: step.frontier,
            candles: if self.candles { step.candles.clone() } else { Vec::new() },
            alerts: if self.alerts { step.alerts.clone() } else { Vec::new() },
        }
    }
}

/// The output of one worker.
///
/// While the log of earlier hours is read again, nothing of it goes to the cache: it would be
/// thousands of closed candles that are no news, and open candles of windows long past. Once the
/// present is reached, the newest closed candle of each symbol and interval is published, and from
/// then on everything.
pub struct WorkerOutput {
    destinations: Destinations,
    board: Arc<StatusBoard>,
    catch_up: CatchUp,
}

/// The results of the past that the cache has yet to get.
enum CatchUp {
    /// The log has not been read up to the present.
    Reading(Newest),
    /// The log has been read, and not everything has settled. Open candles are those of the
    /// present.
    Settling(Newest),
    /// All results belong to the present.
    Over,
}

/// The newest closed candle of each series.
type Newest = BTreeMap<(Symbol, Interval), SettledCandle>;

impl WorkerOutput {
    /// Returns the output of a worker that is about to read its partitions from their beginning.
    pub fn new(destinations: Destinations, board: Arc<StatusBoard>) -> WorkerOutput {
        WorkerOutput { destinations, board, catch_up: CatchUp::Reading(Newest::new()) }
    }

    fn publish(&mut self, step: &Step) {
        if let CatchUp::Reading(newest) | CatchUp::Settling(newest) = &mut self.catch_up {
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
                self.catch_up = CatchUp::Over;
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

impl Output for WorkerOutput {
    fn settled(&mut self, step: Step) {
        self.board.settled(&step);
        self.publish(&step);
        for store in &self.destinations.stores {
            self.stored(store.queue.try_send(store.share(&step)));
        }
    }

    fn live(&mut self, candles: Vec<LiveCandle>) {
        if let CatchUp::Reading(newest) = &mut self.catch_up {
            if self.board.present().is_none() {
                return;
            }
            self.catch_up = CatchUp::Settling(std::mem::take(newest));
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
            // The queues hold everything by now that the part covers.
            let tickets = self.destinations.stores.iter().map(|store| store.queue.ticket()).collect();
            checkpoints.submit(part, tickets);
        }
    }

    fn is_full(&self) -> bool {
        self.destinations.stores.iter().any(|store| store.queue.is_full())
    }
}
