//! Reads one of Tallow's own topics to its end, to find out what it contains. Of a longer partition
//! only the newest [`MAX_OFFSETS`] offsets are read: a start must not take hours, and what is
//! settled again afterwards is usually of the last minutes.
//!
//! Only committed records are shown. The end of an open transaction is awaited: it may yet be
//! committed.

use super::KafkaConfig;
use super::errors::{is_of_group, kafka};
use super::fetcher::Fetcher;
use super::listener::{Listener, Trouble};
use super::topic::{Isolation, Topic, at, own_group, serve};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::Offset;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tallow_model::error::{Action, Error};

/// Most offsets of a partition that are read. Each transaction takes one besides those of its
/// records.
const MAX_OFFSETS: u64 = 200_000;
/// Time limit for reaching a broker.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Time limit for reading.
const READ_TIMEOUT: Duration = Duration::from_secs(120);
/// Longest time without a record before the end is reached.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time to wait for a message.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Checks that the topic exists.
pub(super) fn existing(config: &KafkaConfig, name: &str) -> Result<(), Error> {
    let topic = Topic::new(config, name, &own_group(config, "readback"))?;
    topic.existing_partitions(Instant::now() + CONNECT_TIMEOUT).map(|_| ())
}

/// Shows the records of the topic, those of a partition in order, up to the end at the start of the
/// call or a later one.
pub(super) fn read_back(
    config: &KafkaConfig,
    name: &str,
    visit: &mut dyn FnMut(&BorrowedMessage<'_>),
) -> Result<(), Error> {
    let deadline = Instant::now() + READ_TIMEOUT;
    let group = own_group(config, "readback");
    let topic = Topic::new(config, name, &group)?;
    let partitions = topic.existing_partitions(Instant::now() + CONNECT_TIMEOUT)?;
    let starts = starts(config, &topic, partitions, deadline)?;
    let trouble = Arc::new(Trouble::default());
    let fetcher = Fetcher::new(
        config,
        name,
        &group,
        partitions,
        Listener::new(Arc::clone(&trouble)),
        &[("enable.partition.eof", "true"), ("fetch.wait.max.ms", "20")],
    )?;
    fetcher.start(&starts)?;
    let mut left: HashSet<i32> = (0..).take(starts.len()).collect();
    let mut silent = Instant::now() + SILENCE_TIMEOUT;
    while !left.is_empty() {
        match fetcher.consumer().poll(POLL_INTERVAL) {
            Some(Ok(message)) => {
                silent = Instant::now() + SILENCE_TIMEOUT;
                visit(&message);
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                silent = Instant::now() + SILENCE_TIMEOUT;
                left.remove(&partition);
            }
            Some(Err(source))
                if super::errors::action(&source) != Action::Retry
                    && !source.rdkafka_error_code().is_some_and(is_of_group) =>
            {
                return Err(kafka("read back topic", fetcher.label())(source));
            }
            // A retriable error, or nothing.
            Some(Err(_)) | None => {}
        }
        if !left.is_empty() && Instant::now() >= deadline.min(silent) {
            let because = trouble.reason().map_or_else(String::new, |reason| format!(" ({reason})"));
            let on = format!("{}{because}", fetcher.label());
            return Err(Error::Timeout {
                tried: "read back topic",
                on,
                limit: if silent < deadline { SILENCE_TIMEOUT } else { READ_TIMEOUT },
            });
        }
    }
    Ok(())
}

/// Returns the first offset to read in each partition, once everything that existed at the call is
/// committed or aborted.
fn starts(
    config: &KafkaConfig,
    topic: &Topic,
    partitions: u32,
    deadline: Instant,
) -> Result<Vec<(u32, Offset)>, Error> {
    let reach = Instant::now() + CONNECT_TIMEOUT;
    let all = |offset| (0..partitions).map(|partition| (partition, offset)).collect::<Vec<_>>();
    let everything = Topic::with_isolation(
        config,
        topic.name(),
        &own_group(config, "readback"),
        Isolation::ReadUncommitted,
    )?;
    let there = everything.all_offsets(&all(Offset::End), reach)?;
    let lows = topic.all_offsets(&all(Offset::Beginning), reach)?;
    let of = |offsets: &[(u32, Option<u64>)], partition: u32| {
        offsets.iter().find(|(it, _)| *it == partition).and_then(|(_, offset)| *offset).unwrap_or(0)
    };
    let ends = loop {
        let ends = topic.all_offsets(&all(Offset::End), reach.max(Instant::now() + POLL_INTERVAL))?;
        if ends.iter().all(|(partition, end)| end.unwrap_or(0) >= of(&there, *partition)) {
            break ends;
        }
        if Instant::now() >= deadline {
            return Err(Error::Timeout {
                tried: "wait for the end of a transaction in topic",
                on: topic.label(),
                limit: READ_TIMEOUT,
            });
        }
        serve(topic.consumer());
        std::thread::sleep(POLL_INTERVAL);
    };
    let starts = ends.iter().map(|(partition, end)| {
        let newest = end.unwrap_or(0).saturating_sub(MAX_OFFSETS);
        (*partition, if newest > of(&lows, *partition) { at(newest) } else { Offset::Beginning })
    });
    Ok(starts.collect())
}
