//! The sink: takes what the dataflow puts out, and publishes it from a thread of its own.

use super::RedisConfig;
use super::keys::Keys;
use super::queue::{NAME, Queue};
use super::server::Server;
use super::writer::Writer;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tallow_model::error::Error;
use tallow_model::store::{Publish, SinkStatus};
use tallow_model::{LiveCandle, Step};

/// Publishes candles and alerts to Redis, best effort: it never blocks its callers, whatever Redis does, and has no
/// bound that could hold them back. See the [module](super) for what is written where.
///
/// To be shared by all workers of a process. Dropping it without [`RedisPublisher::close`] gives up what waits.
#[derive(Debug)]
pub struct RedisPublisher {
    queue: Arc<Queue>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl RedisPublisher {
    /// Starts the thread, which connects, and connects again, whenever it is not connected.
    ///
    /// # Errors
    /// When the URL is none, or the system has no thread to give. That the server can't be reached is none.
    pub fn start(config: &RedisConfig) -> Result<RedisPublisher, Error> {
        let queue = Arc::new(Queue::default());
        let writer = Writer::new(Server::new(config)?, Keys::new(config), Arc::clone(&queue));
        let name = format!("sink-{NAME}");
        let thread = std::thread::Builder::new()
            .name(name.clone())
            .spawn(move || writer.run())
            .map_err(|source| Error::Thread { name, source })?;
        Ok(RedisPublisher { queue, thread: Mutex::new(Some(thread)) })
    }

    /// Where the publisher stands. It stores nothing through: it is a cache.
    pub fn status(&self) -> SinkStatus {
        self.queue.status()
    }

    /// Takes nothing more, publishes what waits, and ends the thread.
    ///
    /// # Errors
    /// When not everything was published within the time given. What was not is given up.
    pub fn close(&self, within: Duration) -> Result<(), Error> {
        let published = self.queue.drain(within);
        self.queue.give_up();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Where Redis does not answer the thread may be in the middle of a command for longer than we may wait.
        if published.is_ok() {
            join(thread);
        }
        published
    }
}

impl Publish for RedisPublisher {
    /// Publishes open candles, where they are newer than what has been published. While Redis is away or slow only
    /// the newest of each symbol and interval is kept.
    fn publish_live(&self, candles: &[LiveCandle]) {
        self.queue.push_live(candles);
    }

    /// Publishes what has settled: every candle, corrections of old windows too, then every alert. While Redis is
    /// away they are kept, up to a bound; of more the oldest are dropped.
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
