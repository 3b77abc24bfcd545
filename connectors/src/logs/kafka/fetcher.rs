//! A consumer of partitions that are assigned by hand.
//!
//! **Back-pressure.** librdkafka fetches a partition only while its queue has fewer messages and
//! bytes than `queued.min.messages` and `queued.max.messages.kbytes`; with separate queues these
//! bounds hold for each partition. They are set here to a share of a budget, so memory does not
//! grow with the number of partitions, nor with the time for which a partition is not read. At most
//! one more fetch comes on top (`fetch.message.max.bytes`, compressed). Nothing needs to be paused:
//! a full partition is left out of the requests while the others continue. It is checked again
//! after `fetch.queue.backoff.ms`: 2 ms here, because in librdkafka's default of a second a worker
//! would empty its queue many times.

use super::KafkaConfig;
use super::errors::kafka;
use super::listener::Listener;
use super::queue::PartitionQueue;
use super::topic::{client, partition_list, set_unless_given};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::topic_partition_list::Offset;
use std::sync::Arc;
use tallow_model::error::Error;

/// Bytes that the queues of all partitions may hold together, in units of 1024.
const QUEUED_KBYTES: u32 = 64 << 10;
/// Messages that they may hold together: each costs some hundred bytes besides its own.
const QUEUED_MESSAGES: u32 = 120_000;
/// Bytes that one fetch may bring of all partitions together, unless single batches are larger.
const FETCH_BYTES: u32 = 16 << 20;

/// A consumer, and the topic that it reads.
pub(super) struct Fetcher {
    consumer: Arc<BaseConsumer<Listener>>,
    topic: String,
    brokers: String,
}

impl Fetcher {
    /// Creates a consumer of a topic with this number of partitions, with further properties.
    pub(super) fn new(
        config: &KafkaConfig,
        topic: &str,
        group: &str,
        partitions: u32,
        listener: Listener,
        further: &[(&str, &str)],
    ) -> Result<Fetcher, Error> {
        let mut client = client(config, group)?;
        let share = |of: u32, least: u32, most: u32| (of / partitions.max(1)).clamp(least, most).to_string();
        for (name, value) in [
            ("queued.max.messages.kbytes", share(QUEUED_KBYTES, 512, 16 << 10)),
            ("queued.min.messages", share(QUEUED_MESSAGES, 1_000, 20_000)),
            ("fetch.message.max.bytes", share(FETCH_BYTES, 64 << 10, 1 << 20)),
            ("fetch.max.bytes", FETCH_BYTES.to_string()),
        ] {
            set_unless_given(&mut client, name, &value);
        }
        client.set("fetch.queue.backoff.ms", "2");
        for (name, value) in further {
            client.set(*name, *value);
        }
        let consumer = client
            .create_with_context(listener)
            .map_err(kafka("make a consumer for", &config.bootstrap_servers))?;
        Ok(Fetcher {
            consumer: Arc::new(consumer),
            topic: topic.to_owned(),
            brokers: config.bootstrap_servers.clone(),
        })
    }

    pub(super) fn consumer(&self) -> &Arc<BaseConsumer<Listener>> {
        &self.consumer
    }

    /// Starts to fetch these partitions from these offsets, each into a queue of its own.
    pub(super) fn take(&self, partitions: &[(u32, Offset)]) -> Result<Vec<PartitionQueue>, Error> {
        // Queues first, so that no message can bypass them.
        let queues = partitions
            .iter()
            .map(|(partition, _)| {
                PartitionQueue::split(&self.consumer, &self.topic, *partition)
                    .ok_or_else(|| self.failed(KafkaError::SetPartitionOffset(Code::UnknownPartition)))
            })
            .collect::<Result<Vec<PartitionQueue>, Error>>()?;
        self.start(partitions)?;
        Ok(queues)
    }

    /// Starts to fetch these partitions from these offsets, into the consumer's own queue.
    pub(super) fn start(&self, partitions: &[(u32, Offset)]) -> Result<(), Error> {
        if partitions.is_empty() {
            return Ok(());
        }
        let list =
            partition_list(&self.topic, partitions.iter().copied()).map_err(|source| self.failed(source))?;
        // Not `assign`, which would end the queues of the partitions that are read already.
        self.consumer.incremental_assign(&list).map_err(|source| self.failed(source))
    }

    fn failed(&self, source: KafkaError) -> Error {
        kafka("read topic", self.label())(source)
    }

    /// Returns `TOPIC at BROKERS`.
    pub(super) fn label(&self) -> String {
        format!("{} at {}", self.topic, self.brokers)
    }
}

/// Stops fetching a partition, and frees its queue.
pub(super) fn leave(
    consumer: &BaseConsumer<Listener>,
    topic: &str,
    partition: u32,
) -> Result<(), KafkaError> {
    consumer.incremental_unassign(&partition_list(topic, [(partition, Offset::Invalid)])?)
}
