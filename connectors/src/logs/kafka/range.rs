//! A bounded part of a topic, for backtests: each partition is a bounded one.
//!
//! - **Bounds.** The beginning, the end, a time, or an offset that holds for every partition. They
//!   are resolved to offsets once; records written afterwards are not part of the range. A time
//!   stands for the first record whose timestamp is as late: with timestamps out of order, later
//!   records may be older. An end past the partition's end means the partition's end; a start
//!   before what the brokers still have is an error, unless it is `beginning`.
//! - **End.** A partition is finished exactly at its end offset, even if only a transaction marker,
//!   or a gap left by compaction, lies before it: then the broker's report of the end counts.
//! - **No traces.** The consumers have a group of their own that never commits, so the live group
//!   never notices.
//! - **Failure.** Records that the brokers don't deliver for a minute fail the partition.

use super::KafkaConfig;
use super::bound::{Bound, check};
use super::errors::{is_final, is_missing};
use super::fetcher::{Fetcher, leave};
use super::listener::{Listener, Trouble};
use super::queue::PartitionQueue;
use super::state::Reader;
use super::topic::{Topic, at, own_group, serve};
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::topic_partition_list::Offset;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tallow_model::error::Error;
use tallow_model::{PartitionReader, ReadStatus, Record};

/// Time limit for resolving a range.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Time for which the brokers may deliver nothing of what exists.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// A reader that is called less often than this does not wait.
const IDLE_INTERVAL: Duration = Duration::from_secs(1);

/// The part of a partition that belongs to the range: `[start, end)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    partition: u32,
    start: u64,
    end: u64,
}

/// A range of a topic, resolved to offsets.
#[derive(Debug)]
pub struct KafkaRange {
    config: KafkaConfig,
    topic: String,
    /// Label for messages: `TOPIC at BROKERS`.
    label: Arc<str>,
    group: String,
    spans: Vec<Span>,
}

impl KafkaRange {
    /// Resolves the offsets of the range. A range without records is no error.
    ///
    /// # Errors
    /// When the range can't have records, its start no longer exists, no broker answers within 15
    /// seconds, or the topic does not exist.
    pub fn resolve(config: &KafkaConfig, topic: &str, start: Bound, end: Bound) -> Result<KafkaRange, Error> {
        check(start, end)?;
        let deadline = Instant::now() + CONNECT_TIMEOUT;
        let group = own_group(config, "range");
        let asked = Topic::new(config, topic, &group)?;
        let partitions = asked.existing_partitions(deadline)?;
        let all = |offset| (0..partitions).map(|partition| (partition, offset)).collect::<Vec<_>>();
        let lows = asked.all_offsets(&all(Offset::Beginning), deadline)?;
        let ends = asked.all_offsets(&all(Offset::End), deadline)?;
        let resolve = |bound| match bound {
            Bound::Beginning => Ok(lows.clone()),
            Bound::End => Ok(ends.clone()),
            Bound::Time(time) => asked.all_offsets(&all(at(time.millis())), deadline),
            Bound::Offset(offset) => Ok((0..partitions).map(|partition| (partition, Some(offset))).collect()),
        };
        let (starts, stops) = (resolve(start)?, resolve(end)?);
        let find = |offsets: &[(u32, Option<u64>)], partition| {
            offsets.iter().find(|(it, _)| *it == partition).and_then(|(_, offset)| *offset)
        };
        let mut spans = Vec::new();
        for partition in 0..partitions {
            let low = find(&lows, partition).unwrap_or(0);
            let high = find(&ends, partition).unwrap_or(low);
            // A time later than every record stands for the end.
            let start = find(&starts, partition).unwrap_or(high);
            let end = find(&stops, partition).unwrap_or(high).min(high);
            if start < low {
                return Err(Error::Invalid(format!(
                    "read partition {partition} of topic {} from offset {start}: it begins at {low}, what was \
                     before has been deleted",
                    asked.label()
                )));
            }
            spans.push(Span { partition, start: start.min(end), end });
        }
        Ok(KafkaRange {
            config: config.clone(),
            topic: topic.to_owned(),
            label: asked.label().into(),
            group,
            spans,
        })
    }

    /// Returns the number of partitions of the topic.
    pub fn partitions(&self) -> usize {
        self.spans.len()
    }

    /// Returns the number of records, at most: gaps in the offsets count too.
    pub fn records(&self) -> u64 {
        self.spans.iter().map(|span| span.end - span.start).sum()
    }

    /// Returns the readers of worker `index` of `peers`: those of the partitions whose number is
    /// `index` modulo `peers`.
    ///
    /// # Errors
    /// When the consumer can't be made.
    pub fn worker(&self, index: usize, peers: usize) -> Result<Vec<Reader>, Error> {
        let mine = || self.spans.iter().filter(|span| span.partition as usize % peers == index);
        let full: Vec<Span> = mine().filter(|span| span.start < span.end).copied().collect();
        let mut readers: Vec<Reader> = mine()
            .filter(|span| span.start == span.end)
            .map(|span| Box::new(EmptyReader(span.partition)) as Reader)
            .collect();
        if full.is_empty() {
            return Ok(readers);
        }
        let trouble = Arc::new(Trouble::default());
        let fetcher = Fetcher::new(
            &self.config,
            &self.topic,
            &self.group,
            u32::try_from(self.spans.len()).unwrap_or(u32::MAX),
            Listener::new(Arc::clone(&trouble)),
            // At the end, a fetch waits this long for more before the end is reported.
            &[("enable.partition.eof", "true"), ("fetch.wait.max.ms", "100")],
        )?;
        let starts: Vec<_> = full.iter().map(|span| (span.partition, at(span.start))).collect();
        let queues = fetcher.take(&starts)?;
        readers.extend(queues.into_iter().zip(full).map(|(queue, span)| {
            Box::new(RangeReader {
                queue,
                consumer: Arc::clone(fetcher.consumer()),
                trouble: Arc::clone(&trouble),
                topic: self.topic.clone(),
                label: Arc::clone(&self.label),
                span,
                position: span.start,
                waiting: None,
                done: false,
            }) as Reader
        }));
        Ok(readers)
    }
}

/// The reader of a partition that has nothing in the range.
struct EmptyReader(u32);

impl PartitionReader for EmptyReader {
    fn partition(&self) -> u32 {
        self.0
    }

    fn read(&mut self, _: usize, _: &mut dyn FnMut(Record<'_>)) -> ReadStatus {
        ReadStatus::Finished
    }
}

/// The reader of a partition's part of the range.
struct RangeReader {
    queue: PartitionQueue,
    consumer: Arc<BaseConsumer<Listener>>,
    trouble: Arc<Trouble>,
    topic: String,
    label: Arc<str>,
    span: Span,
    position: u64,
    /// Time since which there has been nothing to read, and time of the last look.
    waiting: Option<(Instant, Instant)>,
    done: bool,
}

impl RangeReader {
    fn fail(&mut self, problem: &str) -> ReadStatus {
        let (partition, position) = (self.span.partition, self.position);
        let problem =
            format!("read partition {partition} of topic {} from offset {position}: {problem}", self.label);
        self.finish();
        ReadStatus::Failed(problem)
    }

    fn finish(&mut self) -> ReadStatus {
        self.done = true;
        // Records fetched past the end are of no use.
        if let Err(error) = leave(&self.consumer, &self.topic, self.span.partition) {
            tracing::debug!(partition = self.span.partition, %error, "a partition can't be left");
        }
        ReadStatus::Finished
    }

    fn wait(&mut self) -> ReadStatus {
        serve(&self.consumer);
        let now = Instant::now();
        // While nobody calls, nobody waits.
        let waiting = self.waiting.filter(|(_, last)| now.duration_since(*last) < IDLE_INTERVAL);
        let since = waiting.map_or(now, |(since, _)| since);
        self.waiting = Some((since, now));
        let refusal = self.trouble.refusal();
        if refusal.is_none() && now.duration_since(since) < STALL_TIMEOUT {
            return ReadStatus::Pending;
        }
        let reason = refusal.or_else(|| self.trouble.reason());
        self.fail(reason.as_deref().unwrap_or("the brokers give nothing out"))
    }

    fn judge(&mut self, code: Code) -> Option<ReadStatus> {
        match code {
            // Everything that existed when the range was resolved has been read.
            Code::PartitionEOF => Some(self.finish()),
            Code::AutoOffsetReset => Some(
                self.fail("the brokers don't have that offset any more; retention has deleted it meanwhile"),
            ),
            code if code == Code::Fatal || (is_final(code) && !is_missing(code)) => {
                Some(self.fail(&code.to_string()))
            }
            _ => None,
        }
    }
}

impl PartitionReader for RangeReader {
    fn partition(&self) -> u32 {
        self.span.partition
    }

    fn read(&mut self, limit: usize, visit: &mut dyn FnMut(Record<'_>)) -> ReadStatus {
        if self.done {
            return ReadStatus::Finished;
        }
        let mut left = limit;
        while left > 0 {
            let batch = self.queue.take(left);
            if batch.is_empty() {
                return self.wait();
            }
            left -= batch.len();
            for record in batch.records() {
                match record {
                    Ok(record) => {
                        self.position = record.offset + 1;
                        self.waiting = None;
                        if record.offset < self.span.end {
                            visit(record);
                        }
                    }
                    Err(code) => {
                        if let Some(status) = self.judge(code) {
                            return status;
                        }
                    }
                }
                if self.position >= self.span.end {
                    return self.finish();
                }
            }
        }
        ReadStatus::More
    }
}
