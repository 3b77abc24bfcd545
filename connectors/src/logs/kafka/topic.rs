//! Queries to the brokers about one topic: its partitions and its offsets.

use super::KafkaConfig;
use super::errors::{is_missing, kafka};
use super::listener::{Listener, Trouble};
use rand::RngExt;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tallow_model::error::Error;

/// Time limit of one attempt to reach a broker while there may be others.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(500);
/// Pause before the next attempt.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// A client that queries a topic, and reads nothing.
pub(super) struct Topic {
    consumer: BaseConsumer<Listener>,
    name: String,
    brokers: String,
    trouble: Arc<Trouble>,
}

/// The client's view of transactions.
#[derive(Clone, Copy, Debug)]
pub(super) enum Isolation {
    /// Committed records. A partition ends before the first open transaction.
    ReadCommitted,
    /// Everything written.
    ReadUncommitted,
}

impl Isolation {
    fn name(self) -> &'static str {
        match self {
            Isolation::ReadCommitted => "read_committed",
            Isolation::ReadUncommitted => "read_uncommitted",
        }
    }
}

/// The offsets that the brokers returned for partitions: `None` for a time that no record has yet,
/// an error for a partition without a leader.
pub(super) type Offsets = Vec<(u32, Result<Option<u64>, Code>)>;

impl Topic {
    /// Creates the client, which sees committed records only; contacts no broker yet.
    pub(super) fn new(config: &KafkaConfig, name: &str, group: &str) -> Result<Topic, Error> {
        Topic::with_isolation(config, name, group, Isolation::ReadCommitted)
    }

    /// Creates the client with a view of transactions; contacts no broker yet.
    pub(super) fn with_isolation(
        config: &KafkaConfig,
        name: &str,
        group: &str,
        isolation: Isolation,
    ) -> Result<Topic, Error> {
        let trouble = Arc::new(Trouble::default());
        let consumer = client(config, group)?
            .set("isolation.level", isolation.name())
            .create_with_context(Listener::new(Arc::clone(&trouble)))
            .map_err(kafka("make a consumer for", &config.bootstrap_servers))?;
        Ok(Topic { consumer, name: name.to_owned(), brokers: config.bootstrap_servers.clone(), trouble })
    }

    pub(super) fn consumer(&self) -> &BaseConsumer<Listener> {
        &self.consumer
    }

    pub(super) fn trouble(&self) -> &Arc<Trouble> {
        &self.trouble
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns `TOPIC at BROKERS`.
    pub(super) fn label(&self) -> String {
        format!("{} at {}", self.name, self.brokers)
    }

    /// Returns the number of partitions; `None` if there is no such topic, which a broker that has
    /// just started may report of any.
    pub(super) fn partitions(&self, within: Duration) -> Result<Option<u32>, Error> {
        let failed = |source| kafka("look up topic", self.label())(source);
        let metadata = self.consumer.fetch_metadata(Some(&self.name), within).map_err(failed)?;
        let topic = metadata.topics().iter().find(|topic| topic.name() == self.name);
        match topic.map(|topic| (topic.error().map(Code::from), topic.partitions().len())) {
            Some((Some(code), _)) if is_missing(code) => Ok(None),
            Some((Some(code), _)) => Err(failed(KafkaError::MetadataFetch(code))),
            None | Some((None, 0)) => Err(failed(KafkaError::MetadataFetch(Code::LeaderNotAvailable))),
            Some((None, count)) => u32::try_from(count)
                .map(Some)
                .map_err(|_| failed(KafkaError::MetadataFetch(Code::InvalidPartitions))),
        }
    }

    /// Returns one offset for each of these partitions: of a position (`Beginning`, `End`) or of
    /// the first record that is as new as a time (`Offset`, in milliseconds since the epoch).
    pub(super) fn offsets(&self, of: &[(u32, Offset)], within: Duration) -> Result<Offsets, Error> {
        let failed = |source| kafka("look up offsets of topic", self.label())(source);
        if of.is_empty() {
            return Ok(Vec::new());
        }
        let list = partition_list(&self.name, of.iter().copied()).map_err(failed)?;
        let answers = self.consumer.offsets_for_times(list, within).map_err(failed)?;
        Ok(answers
            .elements()
            .iter()
            .filter_map(|answer| {
                let offset = match answer.error() {
                    Err(error) => Err(error.rdkafka_error_code().unwrap_or(Code::Unknown)),
                    Ok(()) => Ok(match answer.offset() {
                        Offset::Offset(offset) => u64::try_from(offset).ok(),
                        _ => None,
                    }),
                };
                Some((u32::try_from(answer.partition()).ok()?, offset))
            })
            .collect())
    }

    /// Returns the same as `offsets`, once every partition has a reply.
    pub(super) fn all_offsets(
        &self,
        of: &[(u32, Offset)],
        deadline: Instant,
    ) -> Result<Vec<(u32, Option<u64>)>, Error> {
        self.until(deadline, || {
            let answers = self.offsets(of, ATTEMPT_TIMEOUT)?;
            answers
                .into_iter()
                .map(|(partition, offset)| {
                    let failed = kafka(
                        "look up an offset of",
                        format!("partition {partition} of topic {}", self.label()),
                    );
                    Ok((partition, offset.map_err(|code| failed(KafkaError::OffsetFetch(code)))?))
                })
                .collect()
        })
    }

    /// Returns the number of partitions, by the first broker that answers.
    pub(super) fn wait_for_partitions(&self, deadline: Instant) -> Result<Option<u32>, Error> {
        self.until(deadline, || self.partitions(ATTEMPT_TIMEOUT))
    }

    /// Returns the number of partitions of a topic that must exist.
    pub(super) fn existing_partitions(&self, deadline: Instant) -> Result<u32, Error> {
        self.wait_for_partitions(deadline)?.ok_or_else(|| {
            Error::Invalid(format!(
                "topic {} does not exist: `tallow migrate` makes the topics of the settings",
                self.label()
            ))
        })
    }

    /// Retries until the attempt succeeds, can't succeed, or the time is over.
    fn until<T>(&self, deadline: Instant, attempt: impl Fn() -> Result<T, Error>) -> Result<T, Error> {
        loop {
            let error = match attempt() {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            // Some errors come at once, and librdkafka's events come meanwhile.
            self.consumer.poll(RETRY_INTERVAL);
            serve(&self.consumer);
            if let Some(refusal) = self.trouble.refusal() {
                return Err(Error::Invalid(format!("connect to Kafka at {}: {refusal}", self.brokers)));
            }
            if !matches!(error.action(), tallow_model::error::Action::Retry) {
                return Err(error);
            }
            if Instant::now() >= deadline {
                return Err(match (error, self.trouble.reason()) {
                    (Error::External { tried, on, action, source }, Some(reason)) => {
                        Error::External { tried, on: format!("{on} ({reason})"), action, source }
                    }
                    (error, _) => error,
                });
            }
        }
    }
}

/// Serves librdkafka's events; returns whether a record was among them, which must not be.
pub(super) fn serve(consumer: &BaseConsumer<Listener>) -> bool {
    // A poll handles one event, and can't tell it from none.
    (0..64).fold(false, |strayed, _| matches!(consumer.poll(Duration::ZERO), Some(Ok(_))) || strayed)
}

/// Returns a group that nobody else has, for consumers that must leave no traces.
pub(super) fn own_group(config: &KafkaConfig, what: &str) -> String {
    format!("{}-{what}-{:016x}", config.group, rand::rng().random::<u64>())
}

/// Returns the base of every consumer. It joins no group: partitions are assigned by hand, and
/// nothing is committed automatically.
pub(super) fn client(config: &KafkaConfig, group: &str) -> Result<ClientConfig, Error> {
    let mut client = config.client()?;
    client
        .set("client.id", "tallow")
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("allow.auto.create.topics", "false")
        .set("isolation.level", "read_committed")
        .set("check.crcs", "true");
    set_unless_given(&mut client, "reconnect.backoff.max.ms", "1000");
    Ok(client)
}

/// Sets a property unless the settings have it.
pub(super) fn set_unless_given(client: &mut ClientConfig, name: &str, value: &str) {
    if client.get(name).is_none() {
        client.set(name, value);
    }
}

/// Returns partitions of a topic with an offset each, as librdkafka takes them.
pub(super) fn partition_list(
    topic: &str,
    of: impl IntoIterator<Item = (u32, Offset)>,
) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in of {
        let partition =
            i32::try_from(partition).map_err(|_| KafkaError::SetPartitionOffset(Code::UnknownPartition))?;
        list.add_partition_offset(topic, partition, offset)?;
    }
    Ok(list)
}

/// Returns a record's position as librdkafka takes it. No partition has as many records as this
/// can't express.
pub(super) fn at(offset: u64) -> Offset {
    Offset::Offset(i64::try_from(offset).unwrap_or(i64::MAX))
}
