//! Reads a topic of our own from its beginning to its end, to find out what is there already.

use super::KafkaConfig;
use super::fetcher::Fetcher;
use super::listener::{Listener, Trouble};
use super::topic::{Topic, own_group, serve};
use crate::error::Error;
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::Offset;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long to wait for a broker.
const REACH: Duration = Duration::from_secs(15);
/// How long reading may take in all.
const LIMIT: Duration = Duration::from_secs(120);
/// How long to wait for a message.
const POLL: Duration = Duration::from_millis(20);

/// Shows every record of the topic, those of a partition in order, up to the end that it has at the start or a later one.
pub(super) fn read_back(
    config: &KafkaConfig,
    name: &str,
    visit: &mut dyn FnMut(&BorrowedMessage<'_>),
) -> Result<(), Error> {
    let group = own_group(config, "readback");
    let partitions = Topic::new(config, name, &group)?.existing_partitions(Instant::now() + REACH)?;
    let trouble = Arc::new(Trouble::default());
    let fetcher = Fetcher::new(
        config,
        name,
        &group,
        partitions,
        Listener::new(Arc::clone(&trouble)),
        &[("enable.partition.eof", "true"), ("fetch.wait.max.ms", "20")],
    )?;
    let all: Vec<_> = (0..partitions).map(|partition| (partition, Offset::Beginning)).collect();
    let deadline = Instant::now() + LIMIT;
    for queue in fetcher.take(&all)? {
        loop {
            match queue.poll(POLL) {
                Some(Ok(message)) => visit(&message),
                Some(Err(KafkaError::PartitionEOF(_))) => break,
                Some(Err(source)) if super::action(&source) != crate::error::Action::Retry => {
                    return Err(Error::Kafka { action: "read back topic", on: fetcher.label(), source });
                }
                Some(Err(_)) => {}
                None => {
                    serve(fetcher.consumer());
                }
            }
            if Instant::now() >= deadline {
                let reason = trouble.reason().unwrap_or_else(|| "it takes too long".to_owned());
                return Err(Error::Unusable(format!("read back topic {}: {reason}", fetcher.label())));
            }
        }
    }
    Ok(())
}
