//! Events of librdkafka: trouble with brokers, lines of its own log, statistics.

use super::errors;
use super::partition_state::FetchStates;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel as Level;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::TopicPartitionList;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time after a warning in which further ones about the same are not shown as warnings.
const REPEAT_INTERVAL: Duration = Duration::from_secs(60);

/// The newest trouble between a client and the brokers.
#[derive(Debug, Default)]
pub(super) struct Trouble(Mutex<Option<(Code, String)>>);

impl Trouble {
    fn set(&self, code: Code, reason: &str) {
        let mut trouble = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // "All brokers are down" says less than the cause.
        if code != Code::AllBrokersDown || trouble.is_none() {
            *trouble = Some((code, reason.to_owned()));
        }
    }

    /// Clears the trouble: the brokers answer.
    pub(super) fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Returns the trouble in librdkafka's words.
    pub(super) fn reason(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(_, reason)| reason.clone())
    }

    /// Returns the trouble if waiting can't help.
    pub(super) fn refusal(&self) -> Option<String> {
        let trouble = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.as_ref().filter(|(code, _)| errors::is_refusal(*code)).map(|(_, reason)| reason.clone())
    }
}

/// The listener of one consumer.
#[derive(Default)]
pub(super) struct Listener {
    trouble: Arc<Trouble>,
    /// Receives the statistics of partitions.
    fetch_states: Option<Arc<FetchStates>>,
    warned: Mutex<HashMap<String, Instant>>,
    commits_fail: AtomicBool,
}

impl Listener {
    /// Creates a listener that records trouble here.
    pub(super) fn new(trouble: Arc<Trouble>) -> Listener {
        Listener { trouble, ..Listener::default() }
    }

    /// Creates a listener that also records in `fetch_states` how far each partition has been
    /// fetched.
    pub(super) fn with_fetch_states(trouble: Arc<Trouble>, fetch_states: Arc<FetchStates>) -> Listener {
        Listener { trouble, fetch_states: Some(fetch_states), ..Listener::default() }
    }

    fn warn_now(&self, facility: &str) -> bool {
        // Whoever misses replies reports failed connections, and properties that are not for
        // consumers do not matter.
        if matches!(facility, "FAIL" | "ERROR" | "CONFWARN") {
            return false;
        }
        let now = Instant::now();
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        match warned.get_mut(facility) {
            Some(last) if now.duration_since(*last) < REPEAT_INTERVAL => false,
            Some(last) => {
                *last = now;
                true
            }
            None => {
                warned.insert(facility.to_owned(), now);
                true
            }
        }
    }
}

impl ClientContext for Listener {
    fn log(&self, level: Level, facility: &str, message: &str) {
        match level {
            Level::Emerg | Level::Alert | Level::Critical if self.warn_now(facility) => {
                tracing::error!(facility, message, "librdkafka");
            }
            Level::Error | Level::Warning if self.warn_now(facility) => {
                tracing::warn!(facility, message, "librdkafka");
            }
            _ => tracing::debug!(facility, message, "librdkafka"),
        }
    }

    fn stats(&self, statistics: Statistics) {
        let Some(fetch_states) = &self.fetch_states else { return };
        let Some(topic) = statistics.topics.get(fetch_states.topic()) else { return };
        for (partition, figures) in &topic.partitions {
            let fetch_state =
                u32::try_from(*partition).ok().and_then(|partition| fetch_states.get(partition));
            if let (Some(fetch_state), Ok(end)) = (fetch_state, u64::try_from(figures.eof_offset)) {
                fetch_state.fetched_to_end(end);
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            // These concern one partition, and come out of its queue too.
            Some(code)
                if code == Code::PartitionEOF
                    || errors::is_lost(code)
                    || errors::is_damage(code)
                    || errors::is_missing(code) => {}
            // The commits report their own failures.
            Some(code) if errors::is_of_group(code) => tracing::debug!(reason, "librdkafka"),
            Some(code) => self.trouble.set(code, reason),
            None => self.trouble.set(Code::Unknown, reason),
        }
    }
}

impl ConsumerContext for Listener {
    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        let failed = result.is_err();
        if self.commits_fail.swap(failed, Ordering::Relaxed) == failed {
            return;
        }
        match result {
            Ok(()) => tracing::info!("offsets for lag tools are committed again"),
            Err(error) => {
                let code = error.rdkafka_error_code().map(|code| code.to_string());
                let problem = code.unwrap_or_else(|| error.to_string());
                tracing::warn!(problem, "offsets for lag tools are not committed");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_stays_when_all_brokers_are_down_too() {
        let listener = Listener::default();
        listener.error(KafkaError::Global(Code::AllBrokersDown), "1/1 brokers are down");
        listener.error(KafkaError::Global(Code::BrokerTransportFailure), "connection refused");
        listener.error(KafkaError::Global(Code::AllBrokersDown), "1/1 brokers are down");
        listener.error(KafkaError::Global(Code::PartitionEOF), "the end");
        listener.error(KafkaError::Global(Code::GroupAuthorizationFailed), "not your group");
        assert_eq!(listener.trouble.reason().as_deref(), Some("connection refused"));
        assert_eq!(listener.trouble.refusal(), None);
        listener.error(KafkaError::Global(Code::Authentication), "wrong password");
        assert_eq!(listener.trouble.refusal().as_deref(), Some("wrong password"));
        listener.trouble.clear();
        assert_eq!(listener.trouble.reason(), None);
    }

    #[test]
    fn a_warning_is_given_once_a_minute_and_lost_connections_never() {
        let listener = Listener::default();
        let given = ["FETCH", "FETCH", "OFFSET", "FAIL", "FETCH"].map(|it| listener.warn_now(it));
        assert_eq!(given, [true, false, true, false, false]);
    }
}
