//! A producer of one transactional id, and the consequences of its errors.
//!
//! librdkafka distinguishes three kinds of errors. *Retriable*: the call continues from where it
//! was, so a commit of unknown outcome is repeated until its outcome is known. *Abortable*: after
//! an abort the next transaction may begin. *Fatal*: it has two causes that librdkafka can't tell
//! apart, a newer producer of the same id that has fenced this one, or brokers that have ended its
//! transaction because it was open for too long.

use crate::logs::kafka::KafkaConfig;
use crate::logs::kafka::config::unusable;
use crate::logs::kafka::errors::{action, is_final, is_refusal, kafka};
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::topic_partition_list::TopicPartitionList;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tallow_model::error::{Action, Error};

/// Time without a reply after which a request is repeated: well below the time-out of any
/// transaction.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest pause between two attempts to reach a broker, in milliseconds.
const RECONNECT_MAX_MS: &str = "1000";
/// Time to wait for the end of an abort before reports are served.
const ABORT_POLL_TIMEOUT: Duration = Duration::from_millis(50);
/// Time to wait for reports before the condition is checked again.
const SERVE_INTERVAL: Duration = Duration::from_millis(1);
/// Least time limit of a commit, so that it is begun.
const MIN_COMMIT_TIMEOUT: Duration = Duration::from_millis(100);

/// The failure of a call, by what must follow.
#[derive(Debug)]
pub(super) enum Fault {
    /// Repeat the call, which continues where it was.
    Again(Error),
    /// Call [`Transactions::abort`], then begin a new transaction, unless the error says to stop.
    Abort(Error),
    /// Make another producer: this one can do nothing more. Whether a newer one has fenced it is to
    /// be found out.
    Lost(Error),
    /// A human must act.
    Refused(Error),
}

impl Fault {
    /// Returns the error, for a caller that does nothing else about it.
    pub(super) fn into_error(self) -> Error {
        match self {
            Fault::Again(error) | Fault::Abort(error) | Fault::Lost(error) | Fault::Refused(error) => error,
        }
    }
}

/// The producer of one transactional id.
pub(super) struct Transactions {
    producer: BaseProducer<TransactionReports>,
    id: String,
    brokers: String,
}

impl Transactions {
    /// Creates the producer of this id. The brokers abort its transactions when they have been open
    /// for `timeout`.
    ///
    /// # Errors
    /// When a property is invalid.
    pub(super) fn open(config: &KafkaConfig, id: String, timeout: Duration) -> Result<Transactions, Error> {
        let mut client = config.client()?;
        let given = client.get("socket.timeout.ms").and_then(|it| it.parse().ok());
        let request = given.map_or(REQUEST_TIMEOUT, |it| REQUEST_TIMEOUT.min(Duration::from_millis(it)));
        client
            .set("client.id", "tallow-alerts")
            .set("transactional.id", &id)
            .set("transaction.timeout.ms", timeout.as_millis().to_string())
            .set("socket.timeout.ms", request.as_millis().to_string())
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random");
        for (names, value) in [
            (["compression.type", "compression.codec"], "lz4"),
            (["reconnect.backoff.max.ms", "reconnect.backoff.max.ms"], RECONNECT_MAX_MS),
        ] {
            if names.iter().all(|name| client.get(name).is_none()) {
                client.set(names[0], value);
            }
        }
        let producer = client.create_with_context(TransactionReports::default()).map_err(unusable)?;
        Ok(Transactions { producer, id, brokers: config.bootstrap_servers.clone() })
    }

    /// Becomes the only producer of the id: what an older one has left open is aborted, and it can
    /// write nothing more.
    pub(super) fn init(&self, within: Duration) -> Result<(), Fault> {
        let ended = self.producer.init_transactions(within);
        ended.map_err(|error| self.fault("take over transactional id", error))
    }

    /// Checks that a broker answers: without one no transaction need be begun, which might be open
    /// for too long.
    ///
    /// # Errors
    /// When none answers in time.
    pub(super) fn reach(&self, topic: &str, within: Duration) -> Result<(), Error> {
        let asked = self.producer.client().fetch_metadata(Some(topic), within);
        let on = || format!("{topic} at {}{}", self.brokers, self.because());
        asked.map(|_| ()).map_err(kafka("look up topic", on()))
    }

    pub(super) fn begin(&self) -> Result<(), Fault> {
        self.serve();
        self.producer.context().begin();
        let begun = self.producer.begin_transaction();
        begun.map_err(|error| self.fault("begin a transaction of", error))
    }

    /// Queues a record of the transaction.
    pub(super) fn send(
        &self,
        topic: &str,
        key: &[u8],
        payload: &[u8],
        deadline: Instant,
    ) -> Result<(), Fault> {
        let mut record = BaseRecord::to(topic).key(key).payload(payload);
        loop {
            let Err((error, back)) = self.producer.send(record) else { return Ok(()) };
            match error.rdkafka_error_code() {
                Some(Code::QueueFull) if Instant::now() < deadline => {
                    self.producer.poll(SERVE_INTERVAL);
                }
                Some(Code::Fatal | Code::Fenced) => {
                    return Err(self.fault("write in a transaction of", error));
                }
                // The transaction has failed meanwhile, or this record can't be written at all.
                _ => return Err(Fault::Abort(self.failed("write in a transaction of", error))),
            }
            record = back;
        }
    }

    /// Adds offsets of a consumer group to the transaction.
    pub(super) fn send_offsets(
        &self,
        offsets: &TopicPartitionList,
        group: &ConsumerGroupMetadata,
        within: Duration,
    ) -> Result<(), Fault> {
        let sent = self.producer.send_offsets_to_transaction(offsets, group, within);
        sent.map_err(|error| self.fault("add offsets to a transaction of", error))
    }

    pub(super) fn commit(&self, within: Duration) -> Result<(), Fault> {
        let deadline = Instant::now() + within;
        // The commit would wait for the acknowledgements too, but a tenth of a second at a time.
        while self.producer.in_flight_count() > 0 && Instant::now() < deadline {
            self.producer.poll(SERVE_INTERVAL);
        }
        let within = deadline.saturating_duration_since(Instant::now()).max(MIN_COMMIT_TIMEOUT);
        match self.producer.commit_transaction(within) {
            Ok(()) => Ok(()),
            Err(error) => match (self.fault("commit a transaction of", error), self.refusal()) {
                // The reason why its records were refused says more than the fact.
                (Fault::Abort(_), Some(refusal)) => Err(Fault::Abort(refusal)),
                (fault, _) => Err(fault),
            },
        }
    }

    pub(super) fn abort(&self, within: Duration) -> Result<(), Fault> {
        let deadline = Instant::now() + within;
        loop {
            // The call waits until all records are accounted for, which needs somebody to serve
            // their reports meanwhile.
            let Err(error) = self.producer.abort_transaction(ABORT_POLL_TIMEOUT.min(within)) else {
                return Ok(());
            };
            let fault = self.fault("abort a transaction of", error);
            if !matches!(fault, Fault::Again(_)) || Instant::now() >= deadline {
                return Err(fault);
            }
            self.serve();
        }
    }

    /// Serves the reports so far, without waiting for more.
    fn serve(&self) {
        // A poll handles one event, and can't tell it from none.
        (0..64).for_each(|_| self.producer.poll(Duration::ZERO));
    }

    /// Returns why the first refused record of this transaction was refused.
    fn refusal(&self) -> Option<Error> {
        let code = self.producer.context().refusal()?;
        Some(self.failed("write in a transaction of", KafkaError::MessageProduction(code)))
    }

    fn fault(&self, what: &'static str, error: KafkaError) -> Fault {
        let KafkaError::Transaction(source) = &error else {
            return match error.rdkafka_error_code() {
                Some(Code::Fatal | Code::Fenced) => Fault::Lost(self.failed(what, error)),
                _ if action(&error) == Action::Retry => Fault::Again(self.failed(what, error)),
                _ => Fault::Abort(self.failed(what, error)),
            };
        };
        let (again, abort) = (source.is_retriable(), source.txn_requires_abort());
        let refused = is_refusal(source.code()) || source.code() == Code::InvalidTransactionTimeout;
        let failed = self.failed(what, error);
        match () {
            () if again => Fault::Again(failed),
            () if refused => Fault::Refused(failed),
            () if abort => Fault::Abort(failed),
            () => Fault::Lost(failed),
        }
    }

    fn failed(&self, action: &'static str, source: KafkaError) -> Error {
        kafka(action, format!("{} at {}{}", self.id, self.brokers, self.because()))(source)
    }

    /// Returns the trouble with the brokers, if there is any, for a message.
    fn because(&self) -> String {
        self.producer.context().trouble().map_or_else(String::new, |trouble| format!(" ({trouble})"))
    }
}

impl std::fmt::Debug for Transactions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transactions").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The reports of librdkafka on one producer.
#[derive(Default)]
struct TransactionReports(Mutex<TransactionReport>);

#[derive(Default)]
struct TransactionReport {
    /// Failure of the first refused record of the transaction.
    refusal: Option<Code>,
    /// Newest trouble with a broker since the last acknowledgement.
    trouble: Option<String>,
}

impl TransactionReports {
    fn begin(&self) {
        *self.lock() = TransactionReport::default();
    }

    fn refusal(&self) -> Option<Code> {
        self.lock().refusal
    }

    fn trouble(&self) -> Option<String> {
        self.lock().trouble.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, TransactionReport> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for TransactionReports {
    /// The calls report what matters of the library's own lines too.
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(?level, facility, message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let mut heard = self.lock();
        // "All brokers are down" says less than the cause.
        if error.rdkafka_error_code() != Some(Code::AllBrokersDown) || heard.trouble.is_none() {
            heard.trouble = Some(reason.to_owned());
        }
    }
}

impl ProducerContext for TransactionReports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let mut heard = self.lock();
        match result {
            Ok(_) => heard.trouble = None,
            Err((error, _)) => {
                if let Some(code) = error.rdkafka_error_code().filter(|code| is_lasting(*code)) {
                    heard.refusal.get_or_insert(code);
                }
            }
        }
    }
}

/// Returns whether a record with this failure would have it in the next transaction too. A failure
/// of the transaction, or of the producer, is not the record's.
fn is_lasting(code: Code) -> bool {
    let of_the_producer = matches!(
        code,
        Code::Fatal
            | Code::Fenced
            | Code::ProducerFenced
            | Code::InvalidProducerEpoch
            | Code::OutOfOrderSequenceNumber
    );
    is_final(code) && !of_the_producer
}
