//! The link between the dataflow, which must never block, and a sink, which may: a thread and a
//! queue for each sink.
//!
//! Steps are written in the order of their arrival, many at a time if many wait. A failure that may
//! pass is retried, with growing waits, until it has passed; nothing is left out and nothing
//! overtakes. A failure that can't pass is recorded, and from then on the sink takes nothing more.

mod queue;
mod settings;
mod writer;

pub use queue::{DurabilityTicket, SinkQueue};
pub use settings::SinkSettings;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tallow_model::error::Error;
use tallow_model::store::Sink;

/// A sink on its own thread. Dropping the runner without [`SinkRunner::close`] gives up what has
/// not been written.
#[derive(Debug)]
pub struct SinkRunner {
    queue: Arc<SinkQueue>,
    thread: Option<JoinHandle<()>>,
}

impl SinkRunner {
    /// Starts the thread, named after the sink.
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub fn start(sink: Box<dyn Sink>, settings: SinkSettings) -> Result<SinkRunner, Error> {
        let queue = Arc::new(SinkQueue::new(&*sink, settings));
        let name = format!("sink-{}", sink.name());
        let thread = std::thread::Builder::new()
            .name(name.clone())
            .spawn({
                let queue = Arc::clone(&queue);
                move || writer::run(sink, &queue)
            })
            .map_err(|source| Error::Thread { name, source })?;
        Ok(SinkRunner { queue, thread: Some(thread) })
    }

    /// Returns the queue, which takes steps and rejects from any thread.
    pub fn queue(&self) -> Arc<SinkQueue> {
        Arc::clone(&self.queue)
    }

    /// Takes nothing more, writes what waits, and ends the thread.
    ///
    /// # Errors
    /// If the sink has failed for good, or not everything was stored in time. The rest is given up.
    pub fn close(mut self, within: Duration) -> Result<(), Error> {
        self.queue.refuse();
        let stored = self.queue.wait_stored(within);
        self.queue.give_up();
        if stored.is_ok() {
            self.join();
        } else {
            // The sink may hang in a write for longer than the caller may wait; the thread ends
            // after it.
            self.thread = None;
        }
        stored
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of a sink panicked outside its sink");
        }
    }
}

impl Drop for SinkRunner {
    fn drop(&mut self) {
        self.queue.refuse();
        self.queue.give_up();
        self.join();
    }
}
