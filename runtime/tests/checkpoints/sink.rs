//! A durable sink that stores when the test lets it.

use crossbeam_channel::{Receiver, Sender, unbounded};
use std::sync::Arc;
use tallow_model::Error;
use tallow_model::store::Sink;
use tallow_model::{EventTime, Reject, RejectReason, Step};
use tallow_runtime::sinks::{SinkQueue, SinkRunner, SinkSettings};

struct Gated {
    /// One message a write; a sink of which the other end is gone fails for good.
    turns: Receiver<()>,
}

impl Sink for Gated {
    fn name(&self) -> &'static str {
        "gated"
    }

    fn write(&mut self, _steps: &[Step]) -> Result<(), Error> {
        Ok(())
    }

    fn write_rejects(&mut self, _rejects: &[Reject]) -> Result<(), Error> {
        self.turns.recv().map_err(|_| Error::Invalid("told to fail".to_owned()))
    }

    fn stored_through(&self) -> Option<EventTime> {
        None
    }
}

/// The sink, its queue, and what lets it store one thing.
pub(crate) fn gated() -> (SinkRunner, Arc<SinkQueue>, Sender<()>) {
    let (go_on, turns) = unbounded();
    let settings = SinkSettings { batch_changes: 1, ..SinkSettings::default() };
    let runner = SinkRunner::start(Box::new(Gated { turns }), settings).unwrap();
    let queue = runner.queue();
    (runner, queue, go_on)
}

/// Gives the sink one thing to store.
pub(crate) fn give(queue: &SinkQueue) {
    let reason = RejectReason::Malformed;
    let reject =
        Reject { partition: 0, offset: 0, log_time: None, reason, detail: String::new(), raw: Vec::new() };
    queue.try_send_rejects(vec![reject]).unwrap();
}
