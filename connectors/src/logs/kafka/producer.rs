//! A producer that writes each record once, in order within its partition, and drops none while it
//! lives.
//!
//! **Promise.** The producer is idempotent and waits for all replicas, so a broker that goes away
//! and comes back leaves neither a gap nor a repetition nor another order. A record is never
//! dropped for want of time: while no broker can be reached, records wait in the queue, and a full
//! queue makes [`KafkaProducer::send`] wait. A record that Kafka refuses for good (the topic is
//! gone, the record is too large) is counted, and reported by the next [`KafkaProducer::send`] or
//! [`KafkaProducer::flush`].
//!
//! **Partition.** By murmur2 of the key, as Java's default partitioner does: records of a symbol
//! that other clients write land in the same partition. A record without a key goes to a random
//! one.
//!
//! **State.** The records that are not yet acknowledged, at most [`QUEUE_RECORDS`] of them and
//! [`QUEUE_KBYTES`].
//!
//! **Cost.** A copy of key and payload per record; a thread that serves the acknowledgements.

mod deliveries;

use super::config::{KafkaConfig, unusable};
use super::errors::kafka;
use deliveries::{DeliveryReports, Refusal};
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use std::time::{Duration, Instant};
use tallow_model::error::Error;

pub use deliveries::Deliveries;

/// Records that may wait for their acknowledgement.
const QUEUE_RECORDS: &str = "200000";
/// Bytes that these may have together, in units of 1024.
const QUEUE_KBYTES: &str = "131072";
/// Time that a record waits to share a request with others, in milliseconds.
const LINGER_MS: &str = "2";
/// Longest pause between two attempts to reach a broker, in milliseconds.
const RECONNECT_MAX_MS: &str = "1000";
/// Time for which events are served before the condition is checked again.
const SERVE_INTERVAL: Duration = Duration::from_millis(2);
/// Time without any acknowledgement after which waiting records are a problem.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(5);

/// A record to be written.
#[derive(Clone, Copy, Debug)]
pub struct ProducerRecord<'a> {
    /// Name of the topic, which must exist.
    pub topic: &'a str,
    /// Number of the partition; `None` for that of the key.
    pub partition: Option<i32>,
    /// Key of the record.
    pub key: Option<&'a [u8]>,
    /// Value of the record; `None` for a tombstone.
    pub payload: Option<&'a [u8]>,
    /// Names and values of the headers, in order.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// Timestamp in milliseconds since the epoch; `None` for the time at which the record is
    /// queued.
    pub timestamp_ms: Option<i64>,
}

/// A producer of records. Its methods may be called from several threads.
pub struct KafkaProducer {
    inner: ThreadedProducer<DeliveryReports>,
    brokers: String,
}

impl KafkaProducer {
    /// Creates a producer. No broker needs to be reachable yet.
    ///
    /// # Errors
    /// When a property is invalid.
    pub fn open(config: &KafkaConfig, client_id: &str) -> Result<KafkaProducer, Error> {
        let mut client = config.client()?;
        client
            .set("client.id", client_id)
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", "0")
            .set("partitioner", "murmur2_random");
        for (names, value) in [
            (["compression.type", "compression.codec"], "lz4"),
            (["linger.ms", "queue.buffering.max.ms"], LINGER_MS),
            (["queue.buffering.max.messages", "queue.buffering.max.messages"], QUEUE_RECORDS),
            (["queue.buffering.max.kbytes", "queue.buffering.max.kbytes"], QUEUE_KBYTES),
            (["reconnect.backoff.max.ms", "reconnect.backoff.max.ms"], RECONNECT_MAX_MS),
        ] {
            set_unless_given(&mut client, &names, value);
        }
        let inner = client.create_with_context(DeliveryReports::new()).map_err(unusable)?;
        Ok(KafkaProducer { inner, brokers: config.bootstrap_servers.clone() })
    }

    /// Returns the number of partitions of the topic, once a broker has answered.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the topic does not exist; to be retried when no broker answers in
    /// time, not so when they refuse the login.
    pub fn partitions(&self, topic: &str, within: Duration) -> Result<usize, Error> {
        let asked = kafka("look up topic", format!("{topic} at {}", self.brokers));
        let metadata = match self.inner.client().fetch_metadata(Some(topic), within) {
            Ok(metadata) => metadata,
            Err(source) => match self.reports().turned_away() {
                Some(reason) => return Err(stop(format!("connect to {}: {reason}", self.brokers))),
                None => return Err(asked(source)),
            },
        };
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
            return Err(asked(KafkaError::MetadataFetch(Code::UnknownTopic)));
        };
        match found.error().map(Code::from) {
            None => Ok(found.partitions().len()),
            Some(Code::UnknownTopicOrPartition | Code::UnknownTopic) => {
                Err(Error::Invalid(format!("topic {topic} does not exist at {}", self.brokers)))
            }
            Some(code) => Err(asked(KafkaError::MetadataFetch(code))),
        }
    }

    /// Queues a record. While the queue is full it waits, at most as long as given.
    ///
    /// # Errors
    /// The record has then not been queued. To be retried when the queue was full all the time; to
    /// be skipped when the record is larger than any may be; otherwise Kafka has refused this
    /// record or one before it, which is reported once, or the producer can't continue.
    pub fn send(&self, record: &ProducerRecord<'_>, within: Duration) -> Result<(), Error> {
        self.check()?;
        let started = Instant::now();
        let mut attempt = base_record(record);
        self.reports().queue();
        loop {
            let Err((error, back)) = self.inner.send(attempt) else { return Ok(()) };
            let full = error.rdkafka_error_code() == Some(Code::QueueFull);
            if !full || started.elapsed() >= within || self.fatal().is_some() {
                self.reports().take_back();
                self.check()?;
                return Err(self.not_queued(record, error));
            }
            self.inner.poll(SERVE_INTERVAL);
            attempt = back;
        }
    }

    /// Waits until every queued record has been acknowledged. Drops nothing when that takes too
    /// long.
    ///
    /// # Errors
    /// To be retried when it took longer than the time limit; otherwise Kafka has refused a record,
    /// which is reported once, or the producer can't continue.
    pub fn flush(&self, within: Duration) -> Result<(), Error> {
        let started = Instant::now();
        loop {
            self.check()?;
            let waiting = self.counts().waiting();
            if waiting == 0 {
                // The last record may have been refused.
                return self.check();
            }
            if started.elapsed() >= within {
                let on = format!("{waiting} records to {}", self.brokers);
                return Err(kafka("flush", on)(KafkaError::Flush(Code::OperationTimedOut)));
            }
            self.inner.poll(SERVE_INTERVAL);
        }
    }

    /// Returns whether the producer can continue; after a fatal error it can't, and waiting records
    /// will not arrive.
    pub fn is_usable(&self) -> bool {
        self.fatal().is_none()
    }

    /// Returns the outcomes of the records so far.
    pub fn counts(&self) -> Deliveries {
        self.reports().counts()
    }

    /// Returns the numbers of failed records, by reason.
    pub fn failures(&self) -> Vec<(String, u64)> {
        self.reports().failures()
    }

    /// Returns why waiting records don't get through at the moment; `None` once they do again, or
    /// if none waits.
    pub fn problem(&self) -> Option<String> {
        self.reports().problem(SILENCE_TIMEOUT)
    }

    fn reports(&self) -> &DeliveryReports {
        self.inner.context()
    }

    /// Fails for good after a fatal error, and once after a refusal.
    fn check(&self) -> Result<(), Error> {
        if let Some((code, reason)) = self.fatal() {
            return Err(stop(format!("{} can't go on: {code}: {reason}", self.brokers)));
        }
        match self.reports().take_refusal() {
            Some(Refusal { topic, reason }) => {
                Err(stop(format!("a record was refused by topic {topic}: {reason}")))
            }
            None => Ok(()),
        }
    }

    /// Returns the fatal error. The failures that it causes may be reported first, so it is looked
    /// up after any.
    fn fatal(&self) -> Option<(Code, String)> {
        if self.reports().may_be_fatal() { self.inner.client().fatal_error() } else { None }
    }

    fn not_queued(&self, record: &ProducerRecord<'_>, error: KafkaError) -> Error {
        match error.rdkafka_error_code() {
            Some(Code::QueueFull) => {
                let on = format!("{} at {}", record.topic, self.brokers);
                kafka("queue a record for topic", on)(error)
            }
            Some(Code::MessageSizeTooLarge) => Error::Damaged {
                what: format!("a record for topic {}", record.topic),
                detail: format!("{} bytes are more than one may have", record.payload.map_or(0, <[u8]>::len)),
            },
            Some(code) => stop(format!("a record was refused by topic {}: {code}", record.topic)),
            None => stop(format!("a record was refused by topic {}: {error}", record.topic)),
        }
    }
}

impl std::fmt::Debug for KafkaProducer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaProducer")
            .field("brokers", &self.brokers)
            .field("counts", &self.counts())
            .finish()
    }
}

fn base_record<'a>(record: &ProducerRecord<'a>) -> BaseRecord<'a, [u8], [u8]> {
    let headers = (!record.headers.is_empty()).then(|| {
        let headers = OwnedHeaders::new_with_capacity(record.headers.len());
        record
            .headers
            .iter()
            .fold(headers, |headers, (key, value)| headers.insert(Header { key, value: Some(*value) }))
    });
    BaseRecord {
        topic: record.topic,
        partition: record.partition,
        payload: record.payload,
        key: record.key,
        timestamp: record.timestamp_ms,
        headers,
        delivery_opaque: (),
    }
}

/// Sets a property that has two names, unless the settings have one of them.
fn set_unless_given(client: &mut ClientConfig, names: &[&str; 2], value: &str) {
    if names.iter().all(|name| client.get(name).is_none()) {
        client.set(names[0], value);
    }
}

fn stop(problem: String) -> Error {
    Error::Sink { sink: "kafka", problem }
}
