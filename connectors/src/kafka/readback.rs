//! Reads a topic of our own to its end, to find out what is there already. Of a partition that has more, only the newest
//! [`MOST`] records: a start must not take hours, and what is settled again after one is as a rule of the last minutes.

use super::KafkaConfig;
use super::fetcher::Fetcher;
use super::listener::{Listener, Trouble};
use super::topic::{Topic, at, own_group, serve};
use crate::error::{Action, Error};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::Offset;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many records of a partition are read at most.
const MOST: u64 = 200_000;
/// How long to wait for a broker.
const REACH: Duration = Duration::from_secs(15);
/// How long reading may take in all.
const LIMIT: Duration = Duration::from_secs(120);
/// How long to wait for a message.
const POLL: Duration = Duration::from_millis(20);

/// Shows the records of the topic, those of a partition in order, up to the end that it has at the start or a later one.
pub(super) fn read_back(
    config: &KafkaConfig,
    name: &str,
    visit: &mut dyn FnMut(&BorrowedMessage<'_>),
) -> Result<(), Error> {
    let group = own_group(config, "readback");
    let topic = Topic::new(config, name, &group)?;
    let reach = Instant::now() + REACH;
    let partitions = topic.existing_partitions(reach)?;
    let all = |offset| (0..partitions).map(|partition| (partition, offset)).collect::<Vec<_>>();
    let lows = topic.all_offsets(&all(Offset::Beginning), reach)?;
    let ends = topic.all_offsets(&all(Offset::End), reach)?;
    let starts: Vec<_> = ends
        .iter()
        .map(|(partition, end)| {
            let low = lows.iter().find(|(it, _)| it == partition).and_then(|(_, low)| *low);
            let newest = end.unwrap_or(0).saturating_sub(MOST);
            (*partition, if newest > low.unwrap_or(0) { at(newest) } else { Offset::Beginning })
        })
        .collect();
    let trouble = Arc::new(Trouble::default());
    let fetcher = Fetcher::new(
        config,
        name,
        &group,
        partitions,
        Listener::new(Arc::clone(&trouble)),
        &[("enable.partition.eof", "true"), ("fetch.wait.max.ms", "20")],
    )?;
    let deadline = Instant::now() + LIMIT;
    for queue in fetcher.take(&starts)? {
        loop {
            match queue.poll(POLL) {
                Some(Ok(message)) => visit(&message),
                Some(Err(KafkaError::PartitionEOF(_))) => break,
                Some(Err(source)) if super::action(&source) != Action::Retry => {
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
