//! Idle reports: the state of each worker's partitions, broadcast so that a worker whose partitions
//! are all idle knows how much time it may give up.
//!
//! An idle worker must keep *some* capability, or it could not send the tick that ends the silence.
//! It must also advance that capability, or it would hold the frontier back for every worker. Only
//! the other workers know how far. So each worker broadcasts a short report through a dataflow of
//! its own, and keeps the newest report of each worker here.
//!
//! A report is old when it is read. That is harmless: the time that an idle worker gives up decides
//! only *when* a candle settles, since a tick that comes after its own logical time has been given
//! up takes the worker's (see `watermark.rs`).
//!
//! Tests: `tests/idle.rs`.

use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use tallow_model::Clock;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::InputHandle;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::vec::Broadcast;
use timely::worker::Worker;

/// The state of one worker's partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IdleReport {
    /// Index of the worker, counted over all processes.
    pub(crate) worker: usize,
    /// The least frontier of its partitions that are neither idle nor finished.
    pub(crate) live_frontier: Option<u64>,
    /// The largest event time that the worker has accepted.
    pub(crate) max_event_time: Option<u64>,
    /// Time without a tick in milliseconds; `None` once no tick will follow. A duration and not an
    /// instant, because the clocks of two machines differ.
    pub(crate) silent_ms: Option<u64>,
}

/// A report and the clock time of its arrival.
#[derive(Clone, Copy, Debug)]
struct PeerReport {
    report: IdleReport,
    arrived_ms: u64,
}

/// The bound up to which an idle worker may give up time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advance {
    /// No bound is known yet: some worker has not reported, or none has seen a tick.
    Unknown,
    /// The least frontier of all live partitions.
    Live(u64),
    /// All partitions are idle: the frontier of this watermark.
    Silent {
        /// The largest event time of all workers.
        max_event_time: u64,
        /// Time without a tick on any worker, in milliseconds.
        silent_ms: u64,
    },
}

/// The newest report of every worker, and the way to send this worker's.
pub(crate) struct IdleReports {
    received: Rc<RefCell<Vec<Option<PeerReport>>>>,
    input: Option<InputHandle<u64, CapacityContainerBuilder<Vec<IdleReport>>>>,
    last_sent: Option<(IdleReport, u64)>,
}

/// Least time in milliseconds between two reports that differ only in figures.
const REPORT_INTERVAL_MS: u64 = 100;

/// Upper bound of the age of a running worker's newest report in milliseconds, with ample room.
const MAX_REPORT_AGE_MS: u64 = 2_000;

impl IdleReports {
    /// Builds the dataflow of reports on this worker. Every worker must build it at the same point.
    pub(crate) fn connect(worker: &mut Worker, clock: Arc<dyn Clock>) -> IdleReports {
        let received = Rc::new(RefCell::new(vec![None; worker.peers()]));
        let write = Rc::clone(&received);
        let mut input = InputHandle::new();
        worker.dataflow_named("idle reports", |scope| {
            input.to_stream(scope).broadcast().sink(Pipeline, "receive", move |(reports, _)| {
                reports.for_each(|_, reports: &mut Vec<IdleReport>| {
                    let arrived_ms = clock.now_ms();
                    for report in reports.drain(..) {
                        write.borrow_mut()[report.worker] = Some(PeerReport { report, arrived_ms });
                    }
                });
            });
        });
        IdleReports { received, input: Some(input), last_sent: None }
    }

    /// Sends a report to all workers: at once if the worker has become live or idle, else at most
    /// every [`REPORT_INTERVAL_MS`].
    pub(crate) fn send(&mut self, report: IdleReport, now_ms: u64) {
        let due = match &self.last_sent {
            None => true,
            Some((last, sent_ms)) => {
                last.live_frontier.is_some() != report.live_frontier.is_some()
                    || (*last != report && now_ms.saturating_sub(*sent_ms) >= REPORT_INTERVAL_MS)
            }
        };
        if due {
            self.broadcast(report);
            self.last_sent = Some((report, now_ms));
        }
    }

    /// Sends the last report: this worker's partitions are finished.
    pub(crate) fn finish(&mut self, report: IdleReport) {
        self.broadcast(IdleReport { live_frontier: None, silent_ms: None, ..report });
        self.input = None;
    }

    fn broadcast(&mut self, report: IdleReport) {
        if let Some(input) = &mut self.input {
            input.send(report);
            let next = input.time() + 1;
            input.advance_to(next);
            input.flush();
        }
    }

    /// Returns the bound up to which an idle worker may give up time, by the newest reports.
    pub(crate) fn advance(&self, now_ms: u64) -> Advance {
        let received = self.received.borrow();
        let mut live: Option<u64> = None;
        let mut newest: Option<u64> = None;
        let mut silent: Option<u64> = None;
        for entry in received.iter() {
            let Some(PeerReport { report, arrived_ms }) = entry else { return Advance::Unknown };
            if let Some(frontier) = report.live_frontier {
                live = Some(live.map_or(frontier, |live| live.min(frontier)));
            }
            newest = newest.max(report.max_event_time);
            if let Some(silent_ms) = report.silent_ms {
                // A report older than that means that this machine has slept, not that the market
                // is silent.
                let since = silent_ms + now_ms.saturating_sub(*arrived_ms).min(MAX_REPORT_AGE_MS);
                silent = Some(silent.map_or(since, |silent| silent.min(since)));
            }
        }
        match (live, newest, silent) {
            (Some(frontier), ..) => Advance::Live(frontier),
            (None, Some(max_event_time), Some(silent_ms)) => Advance::Silent { max_event_time, silent_ms },
            _ => Advance::Unknown,
        }
    }
}
