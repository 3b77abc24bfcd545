//! The reader of one partition of the live log.

use super::errors::{is_damage, is_lost, is_refusal};
use super::listener::Trouble;
use super::partition_state::{FetchState, FetchStates};
use super::queue::PartitionQueue;
use rdkafka::error::RDKafkaErrorCode as Code;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tallow_model::{PartitionReader, ReadStatus, Record};

/// Time for which the reason of a lost offset is looked for.
const EXPLAIN_TIMEOUT: Duration = Duration::from_secs(15);

/// Reads a partition from an offset on, and then whatever is written to it.
///
/// It is caught up when it has read everything below the end that the brokers have recently named;
/// while they do not answer, or have named an end that has not been fetched yet, it is pending. So
/// a broker that is away is never taken for silence.
pub(super) struct KafkaReader {
    queue: PartitionQueue,
    fetch_states: Arc<FetchStates>,
    fetch_state: Arc<FetchState>,
    trouble: Arc<Trouble>,
    /// Label for messages: `TOPIC at BROKERS`.
    topic: Arc<str>,
    /// Offset of the next record, as far as known.
    position: u64,
    /// Time since which that offset seems not to exist.
    lost: Option<Instant>,
    failed: bool,
}

impl KafkaReader {
    /// Creates the reader of the messages in `queue`, which start at `start`, or else at the
    /// partition's beginning.
    pub(super) fn new(
        queue: PartitionQueue,
        fetch_states: Arc<FetchStates>,
        fetch_state: Arc<FetchState>,
        trouble: Arc<Trouble>,
        topic: Arc<str>,
        start: Option<u64>,
    ) -> KafkaReader {
        let position = start.or(fetch_state.low()).unwrap_or(0);
        fetch_state.move_to(position);
        let past_the_end = fetch_state.end().is_some_and(|end| position > end);
        let lost = past_the_end.then(Instant::now);
        KafkaReader { queue, fetch_states, fetch_state, trouble, topic, position, lost, failed: false }
    }

    /// Returns why the partition can't be read on, if so. A problem that passes by itself is only
    /// recorded.
    fn judge(&mut self, code: Code) -> Option<String> {
        let (partition, position) = (self.fetch_state.partition(), self.position);
        if is_damage(code) {
            return Some(format!("{}: what the broker has there is damaged: {code}", self.what()));
        }
        if is_refusal(code) || code == Code::Fatal || code == Code::MessageSizeTooLarge {
            let refusal = self.trouble.refusal().map(|refusal| format!(": {refusal}"));
            return Some(format!("{}: {code}{}", self.what(), refusal.unwrap_or_default()));
        }
        if is_lost(code) {
            self.lost.get_or_insert_with(Instant::now);
        }
        tracing::debug!(partition, position, %code, "reading is interrupted");
        None
    }

    /// Returns the description of the attempt, for messages.
    fn what(&self) -> String {
        format!(
            "read partition {} of topic {} from offset {}",
            self.fetch_state.partition(),
            self.topic,
            self.position
        )
    }

    /// Returns why the offset does not exist, by a reply newer than its loss, and what can be done.
    /// A deleted topic loses its offsets first: the monitor reports its end.
    fn lost(&self, since: Instant) -> Option<String> {
        let (low, end) = self.fetch_states.asked_since(&self.fetch_state, since)?;
        if low > self.position {
            return Some(format!(
                "the brokers have deleted the records before offset {low}, so {} or less are lost; a longer retention \
                 of the topic prevents that, and starting over reads what is left",
                low - self.position
            ));
        }
        if end < self.position {
            return Some(format!(
                "the partition ends at {end}: it was cut off or made anew, and what was read does not belong to it; \
                 start over"
            ));
        }
        (since.elapsed() > EXPLAIN_TIMEOUT)
            .then(|| "the brokers don't give it out; starting over reads what they have".to_owned())
    }

    /// Returns the status for an empty queue. `fetched` was read before the queue was found empty.
    fn at_rest(&mut self, fetched: u64) -> ReadStatus {
        // All messages below `fetched` were in the queue by then, so they have been read.
        self.position = self.position.max(fetched);
        let lost = self.lost.and_then(|since| self.lost(since));
        let lost = lost.map(|problem| format!("{}: {problem}", self.what()));
        if let Some(problem) = self.fetch_state.failure().map(str::to_owned).or(lost) {
            self.failed = true;
            return ReadStatus::Failed(problem);
        }
        let end = self.lost.is_none() && self.fetch_states.is_end(&self.fetch_state, self.position);
        if end { ReadStatus::CaughtUp } else { ReadStatus::Pending }
    }

    fn read_queue(&mut self, limit: usize, visit: &mut dyn FnMut(Record<'_>)) -> ReadStatus {
        let fetched = self.fetch_state.fetched();
        let mut left = limit;
        while left > 0 {
            let batch = self.queue.take(left);
            if batch.is_empty() {
                return self.at_rest(fetched);
            }
            left -= batch.len();
            for record in batch.records() {
                match record {
                    Ok(record) => {
                        self.position = record.offset + 1;
                        visit(record);
                    }
                    Err(code) => {
                        if let Some(problem) = self.judge(code) {
                            self.failed = true;
                            return ReadStatus::Failed(problem);
                        }
                    }
                }
            }
        }
        ReadStatus::More
    }
}

impl PartitionReader for KafkaReader {
    fn partition(&self) -> u32 {
        self.fetch_state.partition()
    }

    fn read(&mut self, limit: usize, visit: &mut dyn FnMut(Record<'_>)) -> ReadStatus {
        if self.failed {
            return ReadStatus::Finished;
        }
        let status = self.read_queue(limit, visit);
        self.fetch_state.move_to(self.position);
        status
    }
}
