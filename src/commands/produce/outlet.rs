//! The way to the topic: waits where it must, says when the broker is away and when it is back, and counts.

use anyhow::bail;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tallow_connectors::logs::kafka::{KafkaConfig, KafkaProducer, ProducerRecord};
use tallow_model::Error;
use tallow_model::Symbol;
use tallow_model::error::{Action, chain};

/// How often the stop signal and the broker are looked at.
const LOOK: Duration = Duration::from_millis(50);
/// How long one attempt to reach a broker takes.
const ATTEMPT: Duration = Duration::from_secs(1);
/// How long a stop waits for acknowledgements: a stop takes 5 s at most.
const STOP_LIMIT: Duration = Duration::from_millis(3_500);

/// Whether to go on: broken off by a signal.
pub(super) type Go = ControlFlow<()>;

/// A topic, and what has been sent to it.
pub(super) struct Outlet {
    producer: KafkaProducer,
    topic: String,
    stop: Arc<AtomicBool>,
    started: Instant,
    looked: Instant,
    /// Whether it has been said that the broker is away.
    away: bool,
    /// Records that Kafka can't take.
    left_out: u64,
}

impl Outlet {
    /// Needs no broker yet.
    pub(super) fn open(config: &KafkaConfig, stop: Arc<AtomicBool>) -> anyhow::Result<Outlet> {
        let now = Instant::now();
        Ok(Outlet {
            producer: KafkaProducer::open(config, "tallow-produce")?,
            topic: config.topic.clone(),
            stop,
            started: now,
            looked: now,
            away: false,
            left_out: 0,
        })
    }

    /// Waits for a broker that has the topic.
    ///
    /// # Errors
    /// When there is no such topic.
    pub(super) fn wait_for_topic(&mut self) -> anyhow::Result<Go> {
        while !self.is_stopped() {
            match self.producer.partitions(&self.topic, ATTEMPT) {
                Ok(_) => {
                    self.broker_is(None);
                    self.started = Instant::now();
                    return Ok(Go::Continue(()));
                }
                Err(error) if error.action() == Action::Retry => self.broker_is(Some(chain(&error))),
                Err(error @ Error::Invalid(_)) => bail!("{}; 'tallow migrate' makes it", chain(&error)),
                Err(error) => return Err(anyhow::Error::from(error)),
            }
            // A broker that answers that the topic has no leader yet does so at once.
            std::thread::sleep(LOOK);
        }
        Ok(Go::Break(()))
    }

    /// Whether the signal to stop has been given.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Sends a record, under the key of its symbol if it has one. While the queue is full it waits.
    ///
    /// # Errors
    /// When Kafka has refused a record, or the producer can't go on.
    pub(super) fn send(&mut self, symbol: Option<Symbol>, line: &[u8]) -> anyhow::Result<Go> {
        let key = symbol.map(|symbol| symbol.text());
        let record = ProducerRecord {
            topic: &self.topic,
            partition: None,
            key: key.as_ref().map(|key| key.as_bytes()),
            payload: Some(line),
            headers: &[],
            timestamp_ms: None,
        };
        loop {
            let sent = self.producer.send(&record, LOOK);
            match sent {
                Ok(()) => break,
                Err(error) => match error.action() {
                    Action::Retry => {}
                    Action::Skip => {
                        tracing::error!(problem = chain(&error), "record is left out");
                        self.left_out += 1;
                        break;
                    }
                    Action::Stop => return Err(anyhow::Error::from(error)),
                },
            }
            if self.is_stopped() {
                // It was not queued, so it is not counted there.
                self.left_out += 1;
                return Ok(Go::Break(()));
            }
            say_broker(&mut self.away, self.producer.problem());
        }
        Ok(self.look())
    }

    /// Waits so long, or until the signal to stop is given.
    pub(super) fn rest(&mut self, wait: Duration) -> Go {
        let until = Instant::now().checked_add(wait);
        loop {
            self.look()?;
            let left = until.map_or(LOOK, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Go::Continue(());
            }
            std::thread::sleep(left.min(LOOK));
        }
    }

    /// Looks at the broker, not too often, and at the stop signal.
    pub(super) fn look(&mut self) -> Go {
        if self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            self.broker_is(self.producer.problem());
        }
        if self.is_stopped() { Go::Break(()) } else { Go::Continue(()) }
    }

    /// Waits for all acknowledgements, after a stop only for a while, and reports.
    ///
    /// # Errors
    /// When not every record has been acknowledged.
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

    /// Waits until everything is acknowledged or refused, which is told at the end.
    fn flush(&mut self) -> anyhow::Result<()> {
        let (mut deadline, mut outcome) = (None, Ok(()));
        loop {
            match self.producer.flush(LOOK) {
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
                && Instant::now() >= *deadline.get_or_insert_with(|| Instant::now() + STOP_LIMIT)
            {
                return outcome;
            }
        }
    }

    /// Says once that the broker is away, and once that it is back.
    fn broker_is(&mut self, problem: Option<String>) {
        say_broker(&mut self.away, problem);
    }
}

fn say_broker(away: &mut bool, problem: Option<String>) {
    match problem {
        Some(problem) if !*away => {
            tracing::warn!(problem, "Kafka can't be reached, records wait");
            *away = true;
        }
        None if *away => {
            tracing::info!("Kafka can be reached again");
            *away = false;
        }
        _ => {}
    }
}
