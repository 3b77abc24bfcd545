//! The thread of a sink: takes batches from the queue and writes each until it is stored.

use super::queue::SinkQueue;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;
use tallow_model::error::{Action, Error, chain};
use tallow_model::retry::Backoff;
use tallow_model::store::Sink;

/// The reason why the writer stops before its queue is empty.
enum Stop {
    /// The queue was given up.
    GivenUp,
    /// The sink has failed for good.
    Failed(String),
}

/// Writes until the queue ends or the sink fails for good.
pub(super) fn run(mut sink: Box<dyn Sink>, queue: &SinkQueue) {
    let name = sink.name();
    // A sink that panicked is never used again, so nobody sees what it may have left unfinished.
    let end = catch_unwind(AssertUnwindSafe(|| write_all(&mut *sink, queue)));
    let failure = match end {
        Ok(Stop::GivenUp) => return,
        Ok(Stop::Failed(failure)) => failure,
        Err(_) => "its thread panicked".to_owned(),
    };
    tracing::error!(sink = name, failure, "sink has failed");
    queue.fail(failure);
}

fn write_all(sink: &mut dyn Sink, queue: &SinkQueue) -> Stop {
    while let Some(batch) = queue.next_batch() {
        let (steps, rejects) = (batch.steps.len(), batch.rejects.len());
        let _span =
            tracing::info_span!(target: "spans", "write batch", sink = sink.name(), steps, rejects).entered();
        let began = Instant::now();
        let mut stored = Ok(());
        if !batch.steps.is_empty() {
            stored = until_stored(sink, queue, &mut |sink| sink.write(&batch.steps));
        }
        if stored.is_ok() && !batch.rejects.is_empty() {
            stored = until_stored(sink, queue, &mut |sink| sink.write_rejects(&batch.rejects));
        }
        match stored {
            Ok(()) => queue.acknowledge(&batch, sink.stored_through(), began.elapsed()),
            Err(stop) => return stop,
        }
    }
    Stop::GivenUp
}

/// Writes a batch until it is stored. A sink can leave nothing out, so [`Action::Skip`] is a
/// failure too.
fn until_stored(
    sink: &mut dyn Sink,
    queue: &SinkQueue,
    write: &mut dyn FnMut(&mut dyn Sink) -> Result<(), Error>,
) -> Result<(), Stop> {
    let mut backoff = Backoff::new(queue.settings.backoff);
    let mut failures = 0u64;
    loop {
        let Err(error) = write(sink) else {
            if failures > 0 {
                tracing::info!(sink = sink.name(), failures, "sink writes again");
            }
            return Ok(());
        };
        let problem = chain(&error);
        match error.action() {
            Action::Stop | Action::Skip => return Err(Stop::Failed(problem)),
            Action::Retry if failures == 0 => {
                tracing::warn!(sink = sink.name(), problem, "sink can't write, trying again");
            }
            Action::Retry => {}
        }
        failures += 1;
        if !queue.wait_to_retry(problem, backoff.next_wait()) {
            return Err(Stop::GivenUp);
        }
    }
}
