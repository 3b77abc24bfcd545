//! The topic of dead letters: the bytes of each record that was not accepted, with headers that say what is wrong.
//!
//! - **Headers.** `reason`, `partition` and `offset` (where the record was read), `detail` (in words).
//! - **Promise.** A dead letter is kept when all replicas have it, and once: those of a partition come in the order of their
//!   offsets, so whatever lies at or below the highest offset in the topic is there. That offset is found out when the
//!   sink is opened, by reading the topic back, and kept up as it writes. The key is the partition, so that this order
//!   holds in a topic of several partitions too.
//! - **Limit.** Of a record that is larger than a record of the topic may be, the first [`MAX_RAW_BYTES`] are kept; the
//!   header `length` then says how long it is.

use super::KafkaConfig;
use super::producer::{KafkaProducer, Outgoing};
use super::readback::read_back;
use crate::error::Error;
use crate::sinks::Progress;
use crate::store::Sink;
use rdkafka::Message;
use rdkafka::message::{BorrowedMessage, Headers};
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};
use tallow_dataflow::{EventTime, Reject, Step};

/// How many bytes of a record are kept, below what brokers and clients accept unless told otherwise.
pub const MAX_RAW_BYTES: usize = 900_000;

/// How long one attempt to write may take. It is tried again; a stop must not wait for longer.
const WITHIN: Duration = Duration::from_secs(3);

/// Writes dead letters to their topic.
#[derive(Debug)]
pub struct KafkaDeadLetters {
    producer: KafkaProducer,
    topic: String,
    /// The highest offset of each partition that is in the topic or on its way there.
    highest: BTreeMap<u32, u64>,
    progress: Progress,
}

impl KafkaDeadLetters {
    /// Reads back what the topic has, and is ready to write. The steps of these workers will be given to it.
    ///
    /// # Errors
    /// When the brokers can't be reached, or don't have the topic.
    pub fn open(config: &KafkaConfig, workers: Range<usize>) -> Result<KafkaDeadLetters, Error> {
        let mut highest: BTreeMap<u32, u64> = BTreeMap::new();
        let mut letters = 0u64;
        read_back(config, &config.dead_letters_topic, &mut |message| {
            if let (Some(partition), Some(offset)) = (header(message, "partition"), header(message, "offset"))
            {
                letters += 1;
                let highest = highest.entry(partition).or_insert(offset);
                *highest = offset.max(*highest);
            }
        })?;
        tracing::info!(topic = config.dead_letters_topic, letters, "read back the dead letters");
        Ok(KafkaDeadLetters {
            producer: KafkaProducer::open(config, "tallow-dead-letters")?,
            topic: config.dead_letters_topic.clone(),
            highest,
            progress: Progress::new(workers),
        })
    }

    fn send(&mut self, reject: &Reject, deadline: Instant) -> Result<(), Error> {
        if self.highest.get(&reject.partition).is_some_and(|highest| *highest >= reject.offset) {
            return Ok(());
        }
        let partition = reject.partition.to_string();
        let offset = reject.offset.to_string();
        let length = reject.raw.len().to_string();
        let mut headers = vec![
            ("reason", reject.reason.name().as_bytes()),
            ("partition", partition.as_bytes()),
            ("offset", offset.as_bytes()),
            ("detail", reject.detail.as_bytes()),
        ];
        if reject.raw.len() > MAX_RAW_BYTES {
            headers.push(("length", length.as_bytes()));
        }
        let record = Outgoing {
            topic: &self.topic,
            partition: None,
            key: Some(partition.as_bytes()),
            payload: Some(&reject.raw[..reject.raw.len().min(MAX_RAW_BYTES)]),
            headers: &headers,
            timestamp_ms: None,
        };
        self.producer.send(&record, deadline.saturating_duration_since(Instant::now()))?;
        self.highest.insert(reject.partition, reject.offset);
        Ok(())
    }
}

impl Sink for KafkaDeadLetters {
    fn name(&self) -> &'static str {
        "kafka-dead-letters"
    }

    /// Nothing of a step goes here.
    fn write(&mut self, steps: &[Step]) -> Result<(), Error> {
        steps.iter().for_each(|step| self.progress.observe(step));
        Ok(())
    }

    fn write_rejects(&mut self, rejects: &[Reject]) -> Result<(), Error> {
        let deadline = Instant::now() + WITHIN;
        for reject in rejects {
            self.send(reject, deadline)?;
        }
        self.producer.flush(deadline.saturating_duration_since(Instant::now()))
    }

    fn stored_through(&self) -> Option<EventTime> {
        self.progress.through()
    }
}

/// A number in a header.
fn header<T: std::str::FromStr>(message: &BorrowedMessage<'_>, name: &str) -> Option<T> {
    let header = message.headers()?.iter().find(|header| header.key == name)?;
    std::str::from_utf8(header.value?).ok()?.parse().ok()
}
