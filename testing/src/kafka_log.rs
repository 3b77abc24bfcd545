//! Topics with records as any client may write them, and readers that are read to their end.

use crate::services;
use crate::topic::Topic;
use crate::wait::LIMIT;
use rdkafka::ClientConfig;
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tallow_connectors::logs::kafka::{KafkaConfig, Reader};
use tallow_model::{EventTime, ReadStatus};

/// The time of the first record that a test writes: 2025-11-16T05:30:00Z.
pub const START_MS: i64 = 1_763_271_000_000;

/// Creates a topic and the settings that lead to it, or returns `None` after saying that the test
/// is skipped.
pub fn topic(what: &str, partitions: i32) -> Option<(Topic, KafkaConfig)> {
    let brokers = services::kafka()?;
    let name = services::unique(what);
    let topic = Topic::make(&brokers, name.clone(), partitions, &[]);
    Some((topic, config(&brokers, &name)))
}

/// Settings for a topic.
pub fn config(brokers: &str, topic: &str) -> KafkaConfig {
    KafkaConfig {
        bootstrap_servers: brokers.to_owned(),
        topic: topic.to_owned(),
        alerts_topic: format!("{topic}_alerts"),
        dead_letters_topic: format!("{topic}_dead_letters"),
        partitions: 3,
        replication_factor: 1,
        group: format!("{topic}_group"),
        options: Vec::new(),
    }
}

/// A producer that is not under test.
pub struct Writer {
    /// The client of librdkafka.
    pub producer: BaseProducer,
    topic: String,
}

impl Writer {
    /// Connects with further properties of librdkafka.
    pub fn new(config: &KafkaConfig, properties: &[(&str, &str)]) -> Writer {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &config.bootstrap_servers);
        for (name, value) in properties {
            client.set(*name, *value);
        }
        Writer { producer: client.create().unwrap(), topic: config.topic.clone() }
    }

    /// Writes a record with a header and without a key.
    pub fn write(&self, partition: i32, payload: Option<&str>, timestamp: i64) {
        let headers =
            OwnedHeaders::new().insert(rdkafka::message::Header { key: "from", value: Some("a test") });
        let mut record: BaseRecord<'_, str, str> =
            BaseRecord::to(&self.topic).partition(partition).timestamp(timestamp).headers(headers);
        record.payload = payload;
        while let Err((_, back)) = self.producer.send(record) {
            self.producer.poll(Duration::from_millis(10));
            record = back;
        }
    }

    /// Writes `count` records into each of the partitions, a second apart, and waits until the
    /// broker has them.
    pub fn write_many(&self, partitions: i32, count: i64, name: &str) {
        for i in 0..count {
            for partition in 0..partitions {
                self.write(partition, Some(&format!("{name} {i}")), START_MS + i * 1_000);
            }
        }
        self.flush();
    }

    /// Waits until the broker has all records.
    pub fn flush(&self) {
        self.producer.flush(LIMIT).unwrap();
    }
}

/// The records that were read from a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// The offsets that were read.
    pub offsets: Vec<u64>,
    /// The payloads as text; `None` for a tombstone.
    pub payloads: Vec<Option<String>>,
    /// The times of the records.
    pub times: Vec<Option<EventTime>>,
    /// The message of the failure that ended the reading.
    pub failure: Option<String>,
}

/// The records by their partition.
pub type All = BTreeMap<u32, Records>;

/// Reads once and returns the status.
pub fn read(reader: &mut Reader, limit: usize, into: &mut All) -> ReadStatus {
    let records = into.entry(reader.partition()).or_default();
    let status = reader.read(limit, &mut |record| {
        records.offsets.push(record.offset);
        records.times.push(record.log_time);
        let payload = record.payload.map(|payload| String::from_utf8(payload.to_vec()).unwrap());
        records.payloads.push(payload);
    });
    if let ReadStatus::Failed(problem) = &status {
        records.failure = Some(problem.clone());
    }
    status
}

/// Reads until every reader has caught up or come to its end.
pub fn read_all(readers: &mut [Reader]) -> All {
    let mut all = All::new();
    let deadline = Instant::now() + LIMIT;
    for reader in readers {
        loop {
            assert!(Instant::now() < deadline, "not read to the end: {all:?}");
            match read(reader, 1_000, &mut all) {
                ReadStatus::CaughtUp | ReadStatus::Finished | ReadStatus::Failed(_) => break,
                ReadStatus::More => {}
                ReadStatus::Pending => std::thread::yield_now(),
            }
        }
    }
    all
}
