//! The sinks of `tallow run`, each on a thread of its own.

use crate::config::Config;
use anyhow::anyhow;
use std::sync::Arc;
use std::time::Duration;
use tallow_connectors::caches::redis::RedisPublisher;
use tallow_connectors::logs::kafka::{KafkaAlerts, KafkaDeadLetters};
use tallow_connectors::stores::postgres::{PostgresSink, Share};
use tallow_model::coins::Coins;
use tallow_model::error::chain;
use tallow_model::store::{Publish, Sink, SinkStatus};
use tallow_runtime::cluster::Cluster;
use tallow_runtime::pipeline::{Destinations, StoreOutput};
use tallow_runtime::sinks::{SinkQueue, SinkRunner, SinkSettings};

/// The time that a stop waits for all sinks together. Changes that are not stored by then are read
/// again from the log at the next start.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// The running sinks.
pub(super) struct Sinks {
    postgres: SinkRunner,
    alerts: SinkRunner,
    dead_letters: SinkRunner,
    redis: Arc<RedisPublisher>,
}

impl Sinks {
    /// Connects to PostgreSQL and Kafka, and starts all sinks.
    ///
    /// # Errors
    /// If PostgreSQL or Kafka can't be reached or lacks its schema or topics.
    pub(super) fn start(
        config: &Config,
        cluster: &Cluster,
        former: std::ops::Range<usize>,
    ) -> anyhow::Result<Sinks> {
        let workers = cluster.workers();
        let share =
            Share { process: cluster.process, processes: cluster.processes(), workers: workers.clone() };
        let postgres = PostgresSink::open(&config.postgres, share)?;
        let postgres = postgres.with_coins(Coins::with(&config.coingecko.coins));
        let alerts = KafkaAlerts::open(&config.kafka, workers.clone(), former)?;
        let dead_letters = KafkaDeadLetters::open(&config.kafka, workers)?;
        let settings = SinkSettings { max_changes: config.store.queue_changes, ..SinkSettings::default() };
        let start = |sink: Box<dyn Sink>| SinkRunner::start(sink, settings).map_err(anyhow::Error::from);
        Ok(Sinks {
            postgres: start(Box::new(postgres))?,
            alerts: start(Box::new(alerts))?,
            dead_letters: start(Box::new(dead_letters))?,
            redis: Arc::new(RedisPublisher::start(&config.redis)?),
        })
    }

    /// The destinations of the workers' results.
    pub(super) fn destinations(&self) -> Destinations {
        let store = |runner: &SinkRunner, candles, alerts, rejects| StoreOutput {
            queue: runner.queue(),
            candles,
            alerts,
            rejects,
        };
        Destinations {
            stores: vec![
                store(&self.postgres, true, true, true),
                store(&self.alerts, false, true, false),
                store(&self.dead_letters, false, false, true),
            ],
            cache: self.redis.clone() as Arc<dyn Publish>,
            checkpoints: None,
        }
    }

    /// The queues of the stores that need every change.
    pub(super) fn queues(&self) -> Vec<Arc<SinkQueue>> {
        [&self.postgres, &self.alerts, &self.dead_letters].map(SinkRunner::queue).to_vec()
    }

    /// Returns a function that reads the status of the cache.
    pub(super) fn cache_status(&self) -> Box<dyn Fn() -> SinkStatus + Send + Sync> {
        let redis = self.redis.clone();
        Box::new(move || redis.status())
    }

    /// Writes the queues and ends the threads.
    ///
    /// # Errors
    /// If a sink had failed for good. A sink that is only late is logged, and is no error.
    pub(super) fn close(self) -> anyhow::Result<()> {
        let close = |runner: SinkRunner| {
            let queue = runner.queue();
            let failed = queue.failure().is_some();
            match runner.close(CLOSE_TIMEOUT) {
                Err(error) if !failed => {
                    let problem = chain(&error);
                    tracing::warn!(problem, "some changes were not stored, the next start reads them again");
                    Ok(())
                }
                closed => closed.map_err(anyhow::Error::from),
            }
        };
        let Sinks { postgres, alerts, dead_letters, redis } = self;
        std::thread::scope(|scope| {
            let stores = [postgres, alerts, dead_letters].map(|runner| scope.spawn(|| close(runner)));
            if let Err(error) = redis.close(CLOSE_TIMEOUT) {
                let problem = chain(&error);
                tracing::warn!(problem, "some updates were not published");
            }
            let join = |store: std::thread::ScopedJoinHandle<'_, anyhow::Result<()>>| {
                store.join().map_err(|_| anyhow!("a thread that closes a sink has panicked"))?
            };
            let closed: Vec<anyhow::Result<()>> = stores.into_iter().map(join).collect();
            closed.into_iter().collect()
        })
    }
}
