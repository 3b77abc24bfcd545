//! What workers tell each other about their partitions, for one question: how far may a worker whose partitions are
//! all idle give up time?
//!
//! An idle worker must keep *some* capability, or it could not send the tick that ends the silence; and it must move
//! that capability along, or it would hold the frontier back for everybody. How far, only the others know. So each
//! worker broadcasts a short report through a dataflow of its own, and keeps the newest report of each worker here.
//!
//! Reports are old by the time they are read. That is harmless: whatever an idle worker gives up decides only *when*
//! something settles, since a tick that comes too late for its own time takes the worker's (see `watermark.rs`).

use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::rc::Rc;
use timely::dataflow::InputHandle;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::vec::Broadcast;
use timely::worker::Worker;

/// What a worker says of its partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Which worker.
    pub(crate) worker: usize,
    /// The least frontier of its partitions that are neither idle nor finished.
    pub(crate) live_frontier: Option<u64>,
    /// The largest event time that it has accepted.
    pub(crate) max_event_time: Option<u64>,
    /// For how long it has read no tick, in milliseconds; none once it will never read one again. A duration and not an
    /// instant, because the clocks of two machines differ.
    pub(crate) silent_ms: Option<u64>,
}

/// A report and when it came.
#[derive(Clone, Copy, Debug)]
struct Heard {
    report: Report,
    at_ms: u64,
}

/// How far the idle workers may give up time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advance {
    /// Not all workers have reported, or none has seen a tick.
    Unknown,
    /// Some partition somewhere is live: up to the least of their frontiers.
    Live(u64),
    /// All partitions are idle: up to the frontier of this watermark.
    Silent {
        /// The largest event time of all.
        max_event_time: u64,
        /// For how long no worker has read a tick.
        silent_ms: u64,
    },
}

/// The newest report of every worker.
pub(crate) struct Peers {
    heard: Rc<RefCell<Vec<Option<Heard>>>>,
    input: Option<InputHandle<u64, timely::container::CapacityContainerBuilder<Vec<Report>>>>,
    last: Option<(Report, u64)>,
}

/// How often at most a worker repeats a report in which only figures have moved, in milliseconds.
const REPORT_INTERVAL_MS: u64 = 100;

/// The age that a report of a worker that is there can have, in milliseconds, with ample room.
const MAX_REPORT_AGE_MS: u64 = 2_000;

impl Peers {
    /// Builds the dataflow of reports on this worker. Every worker must build it at the same point.
    pub(crate) fn connect(worker: &mut Worker, clock: std::sync::Arc<dyn tallow_model::Clock>) -> Peers {
        let heard = Rc::new(RefCell::new(vec![None; worker.peers()]));
        let write = Rc::clone(&heard);
        let mut input = InputHandle::new();
        worker.dataflow_named("peers", |scope| {
            input.to_stream(scope).broadcast().sink(Pipeline, "hear", move |(reports, _)| {
                reports.for_each(|_, reports: &mut Vec<Report>| {
                    let at_ms = clock.now_ms();
                    for report in reports.drain(..) {
                        write.borrow_mut()[report.worker] = Some(Heard { report, at_ms });
                    }
                });
            });
        });
        Peers { heard, input: Some(input), last: None }
    }

    /// Tells the others, at once if what they need to know has changed in kind, else now and then.
    pub(crate) fn report(&mut self, report: Report, now_ms: u64) {
        let due = match &self.last {
            None => true,
            Some((last, at_ms)) => {
                last.live_frontier.is_some() != report.live_frontier.is_some()
                    || (*last != report && now_ms.saturating_sub(*at_ms) >= REPORT_INTERVAL_MS)
            }
        };
        if due {
            self.send(report);
            self.last = Some((report, now_ms));
        }
    }

    /// Tells the others for the last time: this worker's partitions are finished.
    pub(crate) fn finish(&mut self, report: Report) {
        self.send(Report { live_frontier: None, silent_ms: None, ..report });
        self.input = None;
    }

    fn send(&mut self, report: Report) {
        if let Some(input) = &mut self.input {
            input.send(report);
            let next = input.time() + 1;
            input.advance_to(next);
            input.flush();
        }
    }

    /// How far an idle worker may give up time, by what has been heard.
    pub(crate) fn advance(&self, now_ms: u64) -> Advance {
        let heard = self.heard.borrow();
        let mut live: Option<u64> = None;
        let mut newest: Option<u64> = None;
        let mut silent: Option<u64> = None;
        for entry in heard.iter() {
            let Some(Heard { report, at_ms }) = entry else { return Advance::Unknown };
            if let Some(frontier) = report.live_frontier {
                live = Some(live.map_or(frontier, |live| live.min(frontier)));
            }
            newest = newest.max(report.max_event_time);
            if let Some(silent_ms) = report.silent_ms {
                // A report that is older than reports get was followed by our own sleep, not by silence.
                let since = silent_ms + now_ms.saturating_sub(*at_ms).min(MAX_REPORT_AGE_MS);
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
