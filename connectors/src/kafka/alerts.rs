//! The topic of alerts: each version of an alert as the JSON of [`AlertMessage`], keyed by its symbol.
//!
//! - **Promise.** An alert is written when all replicas have it, and each version once: what is in the topic already is
//!   left out. That is found out when the sink is opened, by reading the topic back, and kept up as it writes. So a log that
//!   is replayed repeats no alert. With several processes each reads back the whole topic, since a restart may give it
//!   other symbols.
//! - **Order.** Versions of an alert are ordered by the logical time of the change, `settled_at`. One that is not newer
//!   than the newest known is left out, also one that came in between while this process was away.
//! - **Retry.** What has been queued counts as known, so writing the same steps again only waits for what is queued.
//! - **State.** The newest version of each alert that may still come again: of those in the topic until the log has been
//!   replayed past them.
//! - **Limit.** What the topic's retention has deleted, or lies further back than is read, and a replay settles again, is
//!   written again.

use super::KafkaConfig;
use super::producer::{KafkaProducer, Outgoing};
use super::readback::read_back;
use crate::error::Error;
use crate::model::{AlertMessage, rfc3339};
use crate::sinks::Progress;
use crate::store::Sink;
use hashbrown::HashMap;
use rdkafka::Message;
use serde::Deserialize;
use std::ops::Range;
use std::time::{Duration, Instant};
use tallow_dataflow::{EventTime, Reject, SettledAlert, Step};

/// How long one attempt to write may take. It is tried again; a stop must not wait for longer.
const WITHIN: Duration = Duration::from_secs(3);
/// From so many alerts on those that can't come again are forgotten.
const FORGET_FROM: usize = 10_000;

/// Writes alerts to their topic.
#[derive(Debug)]
pub struct KafkaAlerts {
    producer: KafkaProducer,
    topic: String,
    known: Known,
    progress: Progress,
}

impl KafkaAlerts {
    /// Reads back what the topic has, and is ready to write. The steps of these workers will be written to it.
    ///
    /// # Errors
    /// When the brokers can't be reached, or don't have the topic.
    pub fn open(config: &KafkaConfig, workers: Range<usize>) -> Result<KafkaAlerts, Error> {
        let mut known = Known::default();
        let mut others = 0u64;
        read_back(config, &config.alerts_topic, &mut |message| match message
            .payload()
            .map(serde_json::from_slice::<Version>)
        {
            Some(Ok(version)) => known.note(version.alert_id, version.settled_at),
            _ => others += 1,
        })?;
        if others > 0 {
            let topic = &config.alerts_topic;
            tracing::warn!(
                topic,
                records = others,
                "some records in the topic of alerts are no alerts of this version"
            );
        }
        tracing::info!(topic = config.alerts_topic, alerts = known.len(), "read back the alerts");
        Ok(KafkaAlerts {
            producer: KafkaProducer::open(config, "tallow-alerts")?,
            topic: config.alerts_topic.clone(),
            known,
            progress: Progress::new(workers),
        })
    }

    fn send(&mut self, settled: &SettledAlert, deadline: Instant) -> Result<(), Error> {
        let id = settled.alert.id();
        if !self.known.is_new(&id, settled.settled_at) {
            return Ok(());
        }
        let json = serde_json::to_vec(&AlertMessage::from(settled))
            .map_err(|error| Error::Damaged { what: format!("alert {id}"), detail: error.to_string() })?;
        let symbol = settled.alert.symbol.text();
        let record = Outgoing {
            topic: &self.topic,
            partition: None,
            key: Some(symbol.as_bytes()),
            payload: Some(&json),
            headers: &[],
            timestamp_ms: None,
        };
        self.producer.send(&record, deadline.saturating_duration_since(Instant::now()))?;
        self.known.note(id, settled.settled_at);
        Ok(())
    }
}

impl Sink for KafkaAlerts {
    fn name(&self) -> &'static str {
        "kafka-alerts"
    }

    fn write(&mut self, steps: &[Step]) -> Result<(), Error> {
        let deadline = Instant::now() + WITHIN;
        for settled in steps.iter().flat_map(|step| &step.alerts) {
            self.send(settled, deadline)?;
        }
        self.producer.flush(deadline.saturating_duration_since(Instant::now()))?;
        steps.iter().for_each(|step| self.progress.observe(step));
        if let Some(through) = self.progress.through() {
            self.known.forget_before(through);
        }
        Ok(())
    }

    /// Alerts only.
    fn write_rejects(&mut self, _: &[Reject]) -> Result<(), Error> {
        Ok(())
    }

    /// Of this run alone: the topic does not tell how far the runs before have come.
    fn stored_through(&self) -> Option<EventTime> {
        self.progress.through()
    }
}

/// What of an alert's JSON tells its version.
#[derive(Deserialize)]
struct Version {
    alert_id: String,
    #[serde(with = "rfc3339")]
    settled_at: EventTime,
}

/// The newest version of each alert that is in the topic or on its way there.
#[derive(Debug, Default)]
struct Known {
    newest: HashMap<String, EventTime>,
    /// How many there were when the last were forgotten.
    kept: usize,
}

impl Known {
    fn is_new(&self, id: &str, settled_at: EventTime) -> bool {
        self.newest.get(id).is_none_or(|newest| *newest < settled_at)
    }

    /// Takes note of a version, unless there is a newer one.
    fn note(&mut self, id: String, settled_at: EventTime) {
        if self.is_new(&id, settled_at) {
            self.newest.insert(id, settled_at);
        }
    }

    /// Forgets versions before this time, below which everything has been given and nothing can come again.
    fn forget_before(&mut self, through: EventTime) {
        if self.newest.len() >= FORGET_FROM.max(2 * self.kept) {
            self.newest.retain(|_, settled_at| *settled_at >= through);
            self.kept = self.newest.len();
        }
    }

    fn len(&self) -> usize {
        self.newest.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_newer_version_is_new_and_what_can_not_come_again_is_forgotten() {
        let mut known = Known::default();
        let given = [5, 5, 3, 6].map(|time| {
            let new = known.is_new("BTC", EventTime(time));
            known.note("BTC".to_owned(), EventTime(time));
            new
        });
        assert_eq!(given, [true, false, false, true]);
        let most = FORGET_FROM as u64;
        for i in 0..most {
            known.note(i.to_string(), EventTime(10 + i));
        }
        known.forget_before(EventTime(10 + most - 3));
        assert_eq!(known.len(), 3);
        known.forget_before(EventTime(u64::MAX));
        assert_eq!(known.len(), 3, "a few are no matter");
    }
}
