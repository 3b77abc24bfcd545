//! The topic of dead letters: the bytes of each rejected record, with headers that say what is
//! wrong.
//!
//! - **Headers.** `reason`; `topic`, `partition` and `offset`, where the record was read;
//!   `timestamp`, its log time in milliseconds if the log has one; `detail`, in words. The key is
//!   the partition.
//! - **Promise.** A dead letter counts as stored when all replicas have it, and is stored once: the
//!   topic is read back when the sink is opened, and a record that has its letter is left out. A
//!   record is identified by topic, partition, offset, timestamp and bytes, not by a highest offset
//!   below which everything would be present: the offsets of a recreated topic begin again, and a
//!   replay under other settings rejects records that were accepted before. A letter without
//!   `topic`, as they were once written, counts for the configured topic, and one without
//!   `timestamp` for any time.
//! - **State.** 16 bytes for each of the newest letters of a partition, as many as are read back. A
//!   replay that goes back further writes letters again: no letter is ever missing.
//! - **Limit.** Of a record that exceeds the topic's record size, the first [`MAX_RAW_BYTES`] are
//!   kept; the header `length` then has its size.

mod known;

use super::KafkaConfig;
use super::producer::{KafkaProducer, ProducerRecord};
use super::readback::read_back;
use known::{Identity, KnownLetters};
use rdkafka::Message;
use rdkafka::message::{BorrowedMessage, Headers};
use std::ops::Range;
use std::time::{Duration, Instant};
use tallow_model::error::Error;
use tallow_model::progress::Progress;
use tallow_model::store::Sink;
use tallow_model::{EventTime, Reject, Step};

/// Bytes that are kept of a record: below the default limits of brokers and clients.
pub const MAX_RAW_BYTES: usize = 900_000;

/// Time limit of one attempt to write. A failed attempt is retried; a stop must not wait longer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(3);

/// Writes dead letters to their topic.
#[derive(Debug)]
pub struct KafkaDeadLetters {
    producer: KafkaProducer,
    topic: String,
    source: String,
    known: KnownLetters,
    progress: Progress,
}

impl KafkaDeadLetters {
    /// Reads the topic back, to be ready to write. The steps of these workers will be written to
    /// the sink.
    ///
    /// # Errors
    /// When the brokers can't be reached, or don't have the topic.
    pub fn open(config: &KafkaConfig, workers: Range<usize>) -> Result<KafkaDeadLetters, Error> {
        let mut known = KnownLetters::default();
        read_back(config, &config.dead_letters_topic, &mut |message| {
            if let Some(record) = record_of(message, &config.topic) {
                known.note(&record);
            }
        })?;
        let letters = known.count();
        tracing::info!(topic = config.dead_letters_topic, letters, "read back the dead letters");
        Ok(KafkaDeadLetters {
            producer: KafkaProducer::open(config, "tallow-dead-letters")?,
            topic: config.dead_letters_topic.clone(),
            source: config.topic.clone(),
            known,
            progress: Progress::new(workers),
        })
    }

    fn send(&mut self, reject: &Reject, deadline: Instant) -> Result<(), Error> {
        let raw = &reject.raw[..reject.raw.len().min(MAX_RAW_BYTES)];
        let record = Identity {
            partition: reject.partition,
            offset: reject.offset,
            log_time: reject.log_time,
            length: reject.raw.len() as u64,
            raw,
        };
        if self.known.has(&record) {
            return Ok(());
        }
        let partition = reject.partition.to_string();
        let offset = reject.offset.to_string();
        let timestamp = reject.log_time.map(|time| time.millis().to_string());
        let length = reject.raw.len().to_string();
        let mut headers = vec![
            ("reason", reject.reason.name().as_bytes()),
            ("topic", self.source.as_bytes()),
            ("partition", partition.as_bytes()),
            ("offset", offset.as_bytes()),
            ("detail", reject.detail.as_bytes()),
        ];
        if let Some(timestamp) = &timestamp {
            headers.push(("timestamp", timestamp.as_bytes()));
        }
        if raw.len() < reject.raw.len() {
            headers.push(("length", length.as_bytes()));
        }
        let letter = ProducerRecord {
            topic: &self.topic,
            partition: None,
            key: Some(partition.as_bytes()),
            payload: Some(raw),
            headers: &headers,
            timestamp_ms: None,
        };
        self.producer.send(&letter, deadline.saturating_duration_since(Instant::now()))?;
        self.known.note(&record);
        Ok(())
    }
}

impl Sink for KafkaDeadLetters {
    fn name(&self) -> &'static str {
        "kafka-dead-letters"
    }

    /// Notes the progress of the steps: none of their changes is stored here.
    fn write(&mut self, steps: &[Step]) -> Result<(), Error> {
        steps.iter().for_each(|step| self.progress.observe(step));
        Ok(())
    }

    fn write_rejects(&mut self, rejects: &[Reject]) -> Result<(), Error> {
        let deadline = Instant::now() + WRITE_TIMEOUT;
        for reject in rejects {
            self.send(reject, deadline)?;
        }
        self.producer.flush(deadline.saturating_duration_since(Instant::now()))
    }

    fn stored_through(&self) -> Option<EventTime> {
        self.progress.through()
    }
}

/// Returns the record of a dead letter, if the record is of this topic.
fn record_of<'a>(letter: &'a BorrowedMessage<'_>, topic: &str) -> Option<Identity<'a>> {
    if header(letter, "topic").is_some_and(|of: String| of != topic) {
        return None;
    }
    let raw = letter.payload().unwrap_or_default();
    Some(Identity {
        partition: header(letter, "partition")?,
        offset: header(letter, "offset")?,
        log_time: header(letter, "timestamp").map(EventTime),
        length: header(letter, "length").unwrap_or(raw.len() as u64),
        raw,
    })
}

/// Parses the value of a header.
fn header<T: std::str::FromStr>(message: &BorrowedMessage<'_>, name: &str) -> Option<T> {
    let header = message.headers()?.iter().find(|header| header.key == name)?;
    std::str::from_utf8(header.value?).ok()?.parse().ok()
}
