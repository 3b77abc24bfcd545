//! A topic of a test's own: created, read to its end by a client that is not under test, and
//! deleted.

use crate::wait::LIMIT;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::time::{Duration, Instant};

/// A topic, deleted when dropped unless it existed before.
pub struct Topic {
    brokers: String,
    /// The name of the topic.
    pub name: String,
    partitions: i32,
    /// Whether it is to be deleted.
    own: bool,
}

/// A record as a client reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The partition of the record.
    pub partition: i32,
    /// The key as bytes.
    pub key: Option<Vec<u8>>,
    /// The payload; `None` for a tombstone.
    pub payload: Option<Vec<u8>>,
    /// The headers in the order of the record.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
}

impl Topic {
    /// Creates the topic and waits until its partitions can be written.
    pub fn make(brokers: &str, name: String, partitions: i32, settings: &[(&str, &str)]) -> Topic {
        let topic = Topic::adopt(brokers, name, partitions);
        let mut new = NewTopic::new(&topic.name, partitions, TopicReplication::Fixed(1));
        for (name, value) in settings {
            new = new.set(name, value);
        }
        let options = AdminOptions::new().operation_timeout(Some(LIMIT));
        let made = block_on(topic.admin().create_topics([&new], &options)).expect("an answer");
        made.into_iter().next().expect("a result").expect("made");
        let consumer = topic.consumer();
        let deadline = Instant::now() + LIMIT;
        while (0..partitions).any(|it| consumer.fetch_watermarks(&topic.name, it, LIMIT).is_err()) {
            assert!(Instant::now() < deadline, "{} has no leaders", topic.name);
            std::thread::sleep(Duration::from_millis(20));
        }
        topic
    }

    /// A topic that another client creates, deleted when dropped.
    pub fn adopt(brokers: &str, name: String, partitions: i32) -> Topic {
        Topic { brokers: brokers.to_owned(), name, partitions, own: true }
    }

    /// An existing topic, which is not deleted.
    pub fn existing(brokers: &str, name: String, partitions: i32) -> Topic {
        Topic { brokers: brokers.to_owned(), name, partitions, own: false }
    }

    /// Whether no broker knows a topic of this name, which takes a moment after it was deleted.
    pub fn is_gone(brokers: &str, name: &str) -> bool {
        let consumer = Topic::existing(brokers, name.to_owned(), 0).consumer();
        let known = consumer.fetch_metadata(None, LIMIT).expect("metadata");
        known.topics().iter().all(|topic| topic.name() != name)
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        ClientConfig::new().set("bootstrap.servers", &self.brokers).create().expect("a client")
    }

    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", &self.brokers)
            .set("group.id", "tallow-tests")
            .set("enable.auto.commit", "false");
        client
    }

    fn consumer(&self) -> BaseConsumer {
        self.client().create().expect("a consumer")
    }

    /// Raises the number of partitions.
    pub fn grow(&self, partitions: usize) {
        let more = [NewPartitions::new(&self.name, partitions)];
        let grown = block_on(self.admin().create_partitions(&more, &AdminOptions::new())).expect("an answer");
        grown.into_iter().next().expect("a result").expect("grown");
    }

    /// Deletes the records of a partition before an offset.
    pub fn delete_records(&self, partition: i32, before: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.name, partition, Offset::Offset(before)).expect("an offset");
        block_on(self.admin().delete_records(&list, &AdminOptions::new())).expect("deleted");
    }

    /// Returns the number of used offsets: records and, in a topic of transactions, their markers.
    pub fn count(&self) -> i64 {
        let consumer = self.consumer();
        let end = |it| consumer.fetch_watermarks(&self.name, it, LIMIT).expect("watermarks").1;
        (0..self.partitions).map(end).sum()
    }

    /// Returns all committed records, those of a partition in order.
    pub fn read(&self) -> Vec<Read> {
        self.read_as("read_committed")
    }

    /// Returns all records, also those of aborted and open transactions.
    pub fn read_uncommitted(&self) -> Vec<Read> {
        self.read_as("read_uncommitted")
    }

    fn read_as(&self, isolation: &str) -> Vec<Read> {
        let consumer: BaseConsumer = self
            .client()
            .set("enable.partition.eof", "true")
            .set("isolation.level", isolation)
            .create()
            .expect("a consumer");
        let mut list = TopicPartitionList::new();
        for partition in 0..self.partitions {
            list.add_partition_offset(&self.name, partition, Offset::Beginning).expect("an offset");
        }
        consumer.assign(&list).expect("assigned");
        let deadline = Instant::now() + LIMIT;
        let mut records = Vec::new();
        let mut ended = std::collections::BTreeSet::new();
        while ended.len() < usize::try_from(self.partitions).expect("a count") {
            assert!(Instant::now() < deadline, "{} of {} after {LIMIT:?}", records.len(), self.name);
            let message = match consumer.poll(Duration::from_millis(100)) {
                None => continue,
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    ended.insert(partition);
                    continue;
                }
                Some(message) => message.expect("a record"),
            };
            let headers = message.headers().into_iter().flat_map(Headers::iter);
            records.push(Read {
                partition: message.partition(),
                key: message.key().map(<[u8]>::to_vec),
                payload: message.payload().map(<[u8]>::to_vec),
                headers: headers
                    .map(|it| (it.key.to_owned(), it.value.unwrap_or_default().to_vec()))
                    .collect(),
                timestamp: message.timestamp().to_millis().expect("a timestamp"),
            });
        }
        records
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        if !self.own {
            return;
        }
        // A broker of the test's own may be gone by now, and its topics with it.
        let options = AdminOptions::new().request_timeout(Some(Duration::from_secs(5)));
        let _ = block_on(self.admin().delete_topics(&[&self.name], &options));
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}
