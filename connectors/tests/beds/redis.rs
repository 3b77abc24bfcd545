//! The publisher and the cache over Redis, watched so that a test knows when everything has arrived.

use super::{Bed, CacheBed};
use crate::services;
use ::redis::{Client, Connection, PushInfo, PushKind, cmd};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};
use tallow_connectors::caches::redis::{RedisCache, RedisConfig, RedisPublisher};
use tallow_model::store::{Cache, Publish, Update};
use tallow_model::{LiveCandle, Step};
use tokio::runtime::Handle;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

const PATIENCE: Duration = Duration::from_secs(30);

/// Keys and channels of its own on the server; the keys are removed with it.
pub(crate) struct RedisBed {
    publisher: RedisPublisher,
    cache: Arc<RedisCache>,
    runtime: Handle,
    witness: Mutex<Witness>,
    prefix: String,
}

/// Counts what goes over the channels, and what of it the cache has forwarded.
struct Witness {
    connection: Connection,
    messages: mpsc::Receiver<PushInfo>,
    published: u64,
    updates: Receiver<Update>,
    forwarded: u64,
}

/// Asks until it is so.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::yield_now();
    }
}

impl Bed for RedisBed {
    fn is_there() -> bool {
        services::redis().is_some()
    }
}

impl CacheBed for RedisBed {
    fn fresh(capacity: usize) -> RedisBed {
        let url = services::redis().expect("a server");
        let prefix = services::unique("cache");
        let channels = [format!("{prefix}:updates"), format!("{prefix}:alerts")];
        let client = Client::open(format!("{url}?protocol=resp3")).expect("a URL");
        let mut connection = client.get_connection().expect("a connection");
        let (sender, messages) = mpsc::channel();
        connection.set_push_sender(sender);
        connection.subscribe_resp3(&channels).expect("a subscription");
        let config = RedisConfig { url: url.into(), prefix: prefix.clone(), ttl_seconds: 300 };
        let cache = RedisCache::start(&config, capacity).expect("a cache");
        let updates = cache.subscribe();
        wait_until("the cache subscribes", || {
            let counts = cmd("PUBSUB").arg("NUMSUB").arg(&channels).query(&mut connection);
            let counts: Vec<(String, usize)> = counts.expect("counts of subscribers");
            counts.iter().all(|(_, subscribers)| *subscribers == 2)
        });
        RedisBed {
            publisher: RedisPublisher::start(&config).expect("a publisher"),
            cache: Arc::new(cache),
            runtime: Handle::current(),
            witness: Mutex::new(Witness { connection, messages, published: 0, updates, forwarded: 0 }),
            prefix,
        }
    }

    fn publish_live(&self, candles: &[LiveCandle]) {
        self.publisher.publish_live(candles);
    }

    fn publish_settled(&self, step: &Step) {
        self.publisher.publish_settled(step);
    }

    fn settle(&self) {
        let mut witness = self.witness.lock().expect("a lock");
        tokio::task::block_in_place(|| {
            wait_until("everything is published", || self.publisher.status().queue == 0);
            self.runtime.block_on(witness.catch_up());
        });
    }

    fn cache(&self) -> &dyn Cache {
        &*self.cache
    }

    fn shared(&self) -> Arc<dyn Cache> {
        self.cache.clone()
    }
}

impl Drop for RedisBed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let connection = &mut self.witness.get_mut().expect("a lock").connection;
        let keys = cmd("KEYS").arg(format!("{}:*", self.prefix)).query(connection);
        let keys: Vec<String> = keys.expect("the keys");
        for key in keys {
            cmd("DEL").arg(key).exec(connection).expect("the key is removed");
        }
    }
}

impl Witness {
    async fn catch_up(&mut self) {
        // The answer comes after all messages that were published before.
        cmd("PING").exec(&mut self.connection).expect("an answer");
        let messages = self.messages.try_iter().filter(|push| push.kind == PushKind::Message);
        self.published += messages.count() as u64;
        while self.forwarded < self.published {
            let update = tokio::time::timeout(PATIENCE, self.updates.recv()).await;
            match update.expect("what is published is forwarded") {
                Ok(_) => self.forwarded += 1,
                Err(RecvError::Lagged(missed)) => self.forwarded += missed,
                Err(RecvError::Closed) => panic!("the cache has ended"),
            }
        }
        assert_eq!(self.forwarded, self.published);
    }
}
