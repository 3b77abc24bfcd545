//! The sink: takes the dataflow's output and publishes it from a thread of its own.

use super::RedisConfig;
use super::keys::Keys;
use super::queue::{NAME, PublishQueue};
use super::server::Server;
use super::writer::Writer;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tallow_model::error::Error;
use tallow_model::store::{Publish, SinkStatus};
use tallow_model::{LiveCandle, Step};

/// Publishes candles and alerts to Redis, best effort: it never blocks its callers, whatever Redis
/// does. See the [module](super) for what is written where.
///
/// All workers of a process share one. Dropping it without [`RedisPublisher::close`] discards what
/// waits.
#[derive(Debug)]
pub struct RedisPublisher {
    queue: Arc<PublishQueue>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl RedisPublisher {
    /// Starts the thread, which connects whenever it is not connected.
    ///
    /// # Errors
    /// When the URL is malformed, or the system has no thread to give. An unreachable server is no
    /// error.
    pub fn start(config: &RedisConfig) -> Result<RedisPublisher, Error> {
        let queue = Arc::new(PublishQueue::default());
        let writer = Writer::new(Server::new(config)?, Keys::new(config), Arc::clone(&queue));
        let name = format!("sink-{NAME}");
        let thread = std::thread::Builder::new()
            .name(name.clone())
            .spawn(move || writer.run())
            .map_err(|source| Error::Thread { name, source })?;
        Ok(RedisPublisher { queue, thread: Mutex::new(Some(thread)) })
    }

    /// Returns the state of the publisher. Its `stored_through` is always empty: it is a cache.
    pub fn status(&self) -> SinkStatus {
        self.queue.status()
    }

    /// Refuses further changes, publishes what waits, and ends the thread.
    ///
    /// # Errors
    /// When not everything was published within the time limit; the rest is discarded.
    pub fn close(&self, within: Duration) -> Result<(), Error> {
        let published = self.queue.drain(within);
        self.queue.give_up();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // If Redis does not answer, the thread may be inside a command for longer than the caller
        // may wait.
        if published.is_ok() {
            join(thread);
        }
        published
    }
}

impl Publish for RedisPublisher {
    /// Publishes open candles that are newer than what has been published. While Redis is away or
    /// slow, only the newest of each series is kept.
    fn publish_live(&self, candles: &[LiveCandle]) {
        self.queue.push_live(candles);
    }

    /// Publishes settled changes: every candle, corrections of old windows too, then every alert.
    /// While Redis is away they are kept up to a bound; beyond it the oldest are dropped.
    fn publish_settled(&self, step: &Step) {
        self.queue.push_settled(step);
    }
}

impl Drop for RedisPublisher {
    fn drop(&mut self) {
        self.queue.give_up();
        join(self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take());
    }
}

fn join(thread: Option<JoinHandle<()>>) {
    if let Some(thread) = thread
        && thread.join().is_err()
    {
        tracing::error!("the thread that publishes to Redis panicked");
    }
}
