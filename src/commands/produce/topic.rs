//! The topic that a feed is written to: retries while no broker is reachable, and counts the
//! records.

use anyhow::bail;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tallow_connectors::logs::kafka::{KafkaConfig, KafkaProducer, ProducerRecord};
use tallow_model::Error;
use tallow_model::Symbol;
use tallow_model::error::{Action, chain};

/// The interval at which the stop signal and the broker are polled.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// The time that one attempt to reach a broker takes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// The time that a stop waits for acknowledgements; the whole stop takes 5 s at most.
const STOP_TIMEOUT: Duration = Duration::from_millis(3_500);

/// Whether the feed continues; `Break` after the stop signal.
pub(super) type Go = ControlFlow<()>;

/// The topic, and the producer that writes to it.
pub(super) struct Topic {
    producer: KafkaProducer,
    name: String,
    stop: Arc<AtomicBool>,
    started: Instant,
    polled: Instant,
    /// Whether the loss of the broker has been logged.
    unreachable: bool,
    /// The number of records that were never queued: Kafka can't take them, or the command was
    /// stopped.
    left_out: u64,
}

impl Topic {
    /// Opens the producer, without a connection to a broker.
    pub(super) fn open(config: &KafkaConfig, stop: Arc<AtomicBool>) -> anyhow::Result<Topic> {
        let now = Instant::now();
        Ok(Topic {
            producer: KafkaProducer::open(config, "tallow-produce")?,
            name: config.topic.clone(),
            stop,
            started: now,
            polled: now,
            unreachable: false,
            left_out: 0,
        })
    }

    /// Waits for a broker that has the topic.
    ///
    /// # Errors
    /// If the topic does not exist, or the producer has failed for good.
    pub(super) fn wait_for_topic(&mut self) -> anyhow::Result<Go> {
        while !self.is_stopped() {
            match self.producer.partitions(&self.name, CONNECT_TIMEOUT) {
                Ok(_) => {
                    self.broker_is(None);
                    self.started = Instant::now();
                    return Ok(Go::Continue(()));
                }
                Err(error) if error.action() == Action::Retry => self.broker_is(Some(chain(&error))),
                Err(error @ Error::Invalid(_)) => bail!("{}; 'tallow migrate' creates it", chain(&error)),
                Err(error) => return Err(anyhow::Error::from(error)),
            }
            // A broker returns at once if the topic has no leader yet.
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(Go::Break(()))
    }

    /// Whether the stop signal has been given.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Sends a record with its symbol, if it has one, as the key. Waits while the queue is full.
    ///
    /// # Errors
    /// If Kafka has refused a record, or the producer has failed for good.
    pub(super) fn send(&mut self, symbol: Option<Symbol>, line: &[u8]) -> anyhow::Result<Go> {
        let key = symbol.map(|symbol| symbol.text());
        let record = ProducerRecord {
            topic: &self.name,
            partition: None,
            key: key.as_ref().map(|key| key.as_bytes()),
            payload: Some(line),
            headers: &[],
            timestamp_ms: None,
        };
        loop {
            let sent = self.producer.send(&record, POLL_INTERVAL);
            match sent {
                Ok(()) => break,
                Err(error) => match error.action() {
                    Action::Retry => {}
                    Action::Skip => {
                        tracing::error!(problem = chain(&error), "record not sent");
                        self.left_out += 1;
                        break;
                    }
                    Action::Stop => return Err(anyhow::Error::from(error)),
                },
            }
            if self.is_stopped() {
                // The record was not queued, so the producer does not count it.
                self.left_out += 1;
                return Ok(Go::Break(()));
            }
            log_broker(&mut self.unreachable, self.producer.problem());
        }
        Ok(self.poll())
    }

    /// Waits for `wait`, or until the stop signal.
    pub(super) fn rest(&mut self, wait: Duration) -> Go {
        let until = Instant::now().checked_add(wait);
        loop {
            self.poll()?;
            let left = until.map_or(POLL_INTERVAL, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Go::Continue(());
            }
            std::thread::sleep(left.min(POLL_INTERVAL));
        }
    }

    /// Polls the stop signal, and at intervals the state of the broker.
    pub(super) fn poll(&mut self) -> Go {
        if self.polled.elapsed() >= POLL_INTERVAL {
            self.polled = Instant::now();
            self.broker_is(self.producer.problem());
        }
        if self.is_stopped() { Go::Break(()) } else { Go::Continue(()) }
    }

    /// Waits for all acknowledgements, after the stop signal for [`STOP_TIMEOUT`] at most, and logs
    /// the counts.
    ///
    /// # Errors
    /// If a record has not been acknowledged.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        let flushed = self.flush();
        let counts = self.producer.counts();
        let elapsed = self.started.elapsed().as_secs_f64();
        for (reason, records) in self.producer.failures() {
            tracing::error!(reason, records, "records were refused");
        }
        tracing::info!(
            queued = counts.queued,
            acknowledged = counts.acknowledged,
            failed = counts.failed,
            left_out = self.left_out,
            elapsed_seconds = (elapsed * 1e3).round() / 1e3,
            records_per_second = (counts.acknowledged as f64 / elapsed.max(1e-3)).round(),
            "stopped"
        );
        flushed?;
        let missing = counts.queued + self.left_out - counts.acknowledged;
        if missing > 0 {
            bail!("{missing} of {} records were not acknowledged by Kafka", counts.queued + self.left_out);
        }
        Ok(())
    }

    /// Waits until all records are acknowledged or refused. The errors are returned at the end.
    fn flush(&mut self) -> anyhow::Result<()> {
        let (mut deadline, mut outcome) = (None, Ok(()));
        loop {
            match self.producer.flush(POLL_INTERVAL) {
                Ok(()) => return outcome,
                Err(error) if error.action() == Action::Retry => {}
                Err(error) => {
                    outcome = outcome.and(Err(anyhow::Error::from(error)));
                    if !self.producer.is_usable() {
                        return outcome;
                    }
                }
            }
            self.broker_is(self.producer.problem());
            if self.is_stopped()
                && Instant::now() >= *deadline.get_or_insert_with(|| Instant::now() + STOP_TIMEOUT)
            {
                return outcome;
            }
        }
    }

    /// Logs the loss of the broker once, and its return once.
    fn broker_is(&mut self, problem: Option<String>) {
        log_broker(&mut self.unreachable, problem);
    }
}

fn log_broker(unreachable: &mut bool, problem: Option<String>) {
    match problem {
        Some(problem) if !*unreachable => {
            tracing::warn!(problem, "Kafka is unreachable, records wait");
            *unreachable = true;
        }
        None if *unreachable => {
            tracing::info!("Kafka is reachable again");
            *unreachable = false;
        }
        _ => {}
    }
}
