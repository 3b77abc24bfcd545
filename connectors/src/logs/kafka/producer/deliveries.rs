//! The outcomes of records: delivery reports counted, refusals kept until they are reported, and
//! the current trouble.

use crate::logs::kafka::errors::is_refusal;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::ProducerContext;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The outcomes of the records given to a producer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deliveries {
    /// Number of records queued.
    pub queued: u64,
    /// Number of queued records that all replicas have.
    pub acknowledged: u64,
    /// Number of queued records that never will be written.
    pub failed: u64,
}

impl Deliveries {
    /// Returns the number of records without an outcome yet.
    pub fn waiting(&self) -> u64 {
        self.queued.saturating_sub(self.acknowledged + self.failed)
    }
}

/// A record that Kafka has refused for good.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) topic: String,
    pub(super) reason: String,
}

/// The reports of librdkafka.
#[derive(Debug)]
pub(super) struct DeliveryReports {
    queued: AtomicU64,
    acknowledged: AtomicU64,
    failed: AtomicU64,
    fatal: AtomicBool,
    /// Whether `state` has a trouble, so that an acknowledgement need not lock it.
    troubled: AtomicBool,
    /// Whether `state` has a refusal, for the same reason.
    refused: AtomicBool,
    state: Mutex<DeliveryState>,
}

#[derive(Debug)]
struct BrokerTrouble {
    reason: String,
    at: Instant,
    /// Whether waiting can't help.
    is_refusal: bool,
}

#[derive(Debug)]
struct DeliveryState {
    /// Newest trouble with a broker since the last acknowledgement.
    trouble: Option<BrokerTrouble>,
    /// First refusal that has not been reported.
    refusal: Option<Refusal>,
    failures: BTreeMap<String, u64>,
    /// Number of settled records at the last look, and the time since which nothing has been
    /// settled that could.
    settled: (u64, Instant),
}

impl DeliveryReports {
    /// Creates the reports of a producer without records.
    pub(super) fn new() -> DeliveryReports {
        DeliveryReports {
            queued: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            fatal: AtomicBool::new(false),
            troubled: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            state: Mutex::new(DeliveryState {
                trouble: None,
                refusal: None,
                failures: BTreeMap::new(),
                settled: (0, Instant::now()),
            }),
        }
    }

    /// Counts a record as queued. Called before it is queued: its report may come before the
    /// queueing call returns.
    pub(super) fn queue(&self) {
        self.queued.fetch_add(1, Ordering::Relaxed);
    }

    /// Uncounts a record that was not queued after all.
    pub(super) fn take_back(&self) {
        self.queued.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn counts(&self) -> Deliveries {
        // In this order, so that no record is settled that was not queued.
        let acknowledged = self.acknowledged.load(Ordering::Acquire);
        let failed = self.failed.load(Ordering::Acquire);
        Deliveries { queued: self.queued.load(Ordering::Acquire), acknowledged, failed }
    }

    pub(super) fn failures(&self) -> Vec<(String, u64)> {
        self.lock().failures.iter().map(|(reason, count)| (reason.clone(), *count)).collect()
    }

    /// Returns false only while a fatal error is impossible.
    pub(super) fn may_be_fatal(&self) -> bool {
        self.fatal.load(Ordering::Acquire) || self.failed.load(Ordering::Acquire) > 0
    }

    /// Takes the first refusal since the last one taken.
    pub(super) fn take_refusal(&self) -> Option<Refusal> {
        if !self.refused.load(Ordering::Acquire) {
            return None;
        }
        let mut state = self.lock();
        self.refused.store(false, Ordering::Release);
        state.refusal.take()
    }

    /// Returns why waiting records don't get through: trouble reported while they waited, or, after
    /// `silence`, the lack of acknowledgements. BrokerTrouble from before, while there was nothing
    /// to send, may be over.
    pub(super) fn problem(&self, silence: Duration) -> Option<String> {
        let counts = self.counts();
        let settled = counts.acknowledged + counts.failed;
        let mut state = self.lock();
        if counts.waiting() == 0 || state.settled.0 != settled {
            state.settled = (settled, Instant::now());
        }
        if counts.waiting() == 0 {
            return None;
        }
        let since = state.settled.1;
        let silent = since.elapsed() >= silence;
        match &state.trouble {
            Some(trouble) if trouble.at >= since || silent => Some(trouble.reason.clone()),
            _ => silent.then(|| format!("nothing has been acknowledged for {} s", since.elapsed().as_secs())),
        }
    }

    /// Returns why the brokers refuse this client, if that is the trouble.
    pub(super) fn turned_away(&self) -> Option<String> {
        self.lock()
            .trouble
            .as_ref()
            .filter(|trouble| trouble.is_refusal)
            .map(|trouble| trouble.reason.clone())
    }

    fn lock(&self) -> MutexGuard<'_, DeliveryState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for DeliveryReports {
    /// The library's own lines repeat what [`ClientContext::error`] reports.
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(?level, facility, message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        if code == Some(Code::Fatal) {
            self.fatal.store(true, Ordering::Release);
        }
        let mut state = self.lock();
        // "All brokers are down" says less than the cause.
        if code != Some(Code::AllBrokersDown) || state.trouble.is_none() {
            let is_refusal = code.is_some_and(is_refusal);
            state.trouble = Some(BrokerTrouble { reason: reason.to_owned(), at: Instant::now(), is_refusal });
            self.troubled.store(true, Ordering::Release);
        }
    }
}

impl ProducerContext for DeliveryReports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => {
                if self.troubled.load(Ordering::Acquire) {
                    let mut state = self.lock();
                    state.trouble = None;
                    self.troubled.store(false, Ordering::Release);
                }
                self.acknowledged.fetch_add(1, Ordering::Release);
            }
            Err((error, record)) => {
                let reason =
                    error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| code.to_string());
                let mut state = self.lock();
                *state.failures.entry(reason.clone()).or_default() += 1;
                let refusal = Refusal { topic: record.topic().to_owned(), reason };
                state.refusal.get_or_insert(refusal);
                self.refused.store(true, Ordering::Release);
                self.failed.fetch_add(1, Ordering::Release);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);

    fn down(reports: &DeliveryReports) {
        reports.error(KafkaError::Global(Code::BrokerTransportFailure), "refused");
        reports.error(KafkaError::Global(Code::AllBrokersDown), "1/1 brokers are down");
    }

    #[test]
    fn the_reason_is_told_while_records_wait_and_not_that_all_are_down() {
        let reports = DeliveryReports::new();
        down(&reports);
        assert_eq!(reports.problem(LONG), None);
        reports.queue();
        down(&reports);
        assert_eq!(reports.problem(LONG), Some("refused".to_owned()));
    }

    #[test]
    fn a_refused_login_is_told_from_a_broker_that_is_away() {
        let reports = DeliveryReports::new();
        down(&reports);
        assert_eq!(reports.turned_away(), None);
        reports.error(KafkaError::Global(Code::Authentication), "wrong password");
        reports.error(KafkaError::Global(Code::AllBrokersDown), "1/1 brokers are down");
        assert_eq!(reports.turned_away().as_deref(), Some("wrong password"));
    }

    #[test]
    fn what_was_said_before_anything_waited_counts_only_when_nothing_is_acknowledged() {
        let reports = DeliveryReports::new();
        down(&reports);
        assert_eq!(reports.problem(LONG), None);
        reports.queue();
        assert_eq!(reports.problem(LONG), None);
        assert_eq!(reports.problem(Duration::ZERO), Some("refused".to_owned()));
    }

    #[test]
    fn silence_is_a_problem_only_while_records_wait() {
        let reports = DeliveryReports::new();
        assert_eq!(reports.problem(Duration::ZERO), None);
        reports.queue();
        assert_eq!(reports.problem(LONG), None);
        let told = reports.problem(Duration::ZERO);
        assert_eq!(told, Some("nothing has been acknowledged for 0 s".to_owned()));
        reports.take_back();
        assert_eq!(reports.problem(Duration::ZERO), None);
    }
}
