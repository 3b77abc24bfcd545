//! The claim to a worker's alerts: the newest run that has made it writes them.
//!
//! **Problem.** A refused producer can't tell whether a newer run has fenced it, or whether the
//! brokers have only ended a transaction that was open for too long, as they do after an outage. In
//! the first case it must stop; in the second it must continue, because nobody else will. To
//! continue it needs a new producer of the same id, and that would fence the newer run's.
//!
//! **Solution.** A second transactional id, whose producer never has a transaction while alerts are
//! written. So no outage can end one, and a run that finds it fenced knows that another run has
//! made the claim since.
//!
//! **Obligations.** A run makes the claim before it takes the id that alerts are written with, and
//! calls [`Claim::check`] each time after it has taken that id. Then of two runs the older one
//! stops: if it takes the id after the newer run did, the newer run's claim came before that, and
//! the check finds it. The newer run may be fenced by this for a moment; it finds its claim valid,
//! and takes the id back.
//!
//! **Check.** It adds an offset to a transaction, which the coordinator refuses to a fenced
//! producer, and aborts it. Nothing is ever committed, and no topic is written.

use super::transactions::{Fault, Transactions};
use crate::logs::kafka::KafkaConfig;
use crate::logs::kafka::errors::kafka;
use crate::logs::kafka::listener::Listener;
use crate::logs::kafka::topic::{at, client, partition_list};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::topic_partition_list::TopicPartitionList;
use std::time::{Duration, Instant};
use tallow_model::error::Error;

/// The name of the sink in logs, metrics and errors.
pub(super) const NAME: &str = "kafka-alerts";

/// Time-out of the check's transaction. As long as any broker allows by default: an outage that
/// begins within these milliseconds and lasts longer is taken for a newer run.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// The claim to the alerts of one worker.
#[derive(Debug)]
pub(super) struct Claim {
    transactions: Transactions,
    question: ProbeOffset,
    /// Whether the transaction of a check is still open.
    probing: bool,
    /// Object of the claim, for messages.
    what: String,
}

/// The offset that is never committed, and its group.
struct ProbeOffset {
    group: ConsumerGroupMetadata,
    offsets: TopicPartitionList,
}

impl Claim {
    /// Makes the claim to everything written with this transactional id. From then on no earlier
    /// run has it.
    ///
    /// # Errors
    /// When the brokers don't permit it.
    pub(super) fn make(config: &KafkaConfig, id: &str, within: Duration) -> Result<Claim, Error> {
        let transactions = Transactions::open(config, format!("{id}-claim"), TRANSACTION_TIMEOUT)?;
        transactions.init(within).map_err(Fault::into_error)?;
        Ok(Claim { transactions, question: ProbeOffset::new(config)?, probing: false, what: id.to_owned() })
    }

    /// Checks that the claim is still valid.
    ///
    /// # Errors
    /// To be retried if that can't be found out; otherwise another run has made the claim since, or
    /// the brokers don't permit it.
    pub(super) fn check(&mut self, within: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + within;
        if self.probing {
            self.end(deadline)?;
        }
        self.transactions.begin().map_err(|fault| self.error(fault))?;
        self.probing = true;
        let left = deadline.saturating_duration_since(Instant::now());
        let asked = self.transactions.send_offsets(&self.question.offsets, &self.question.group, left);
        match asked {
            Ok(()) => self.end(deadline),
            Err(Fault::Abort(error)) => self.end(deadline).and(Err(error)),
            Err(fault) => Err(self.error(fault)),
        }
    }

    fn end(&mut self, deadline: Instant) -> Result<(), Error> {
        let ended = self.transactions.abort(deadline.saturating_duration_since(Instant::now()));
        ended.map_err(|fault| self.error(fault))?;
        self.probing = false;
        Ok(())
    }

    fn error(&self, fault: Fault) -> Error {
        match fault {
            Fault::Lost(error) => {
                tracing::debug!(?error, "claim is lost");
                let what = &self.what;
                Error::Sink {
                    sink: NAME,
                    problem: format!("another run has taken over: it has claimed transactional id {what}"),
                }
            }
            fault => fault.into_error(),
        }
    }
}

impl ProbeOffset {
    fn new(config: &KafkaConfig) -> Result<ProbeOffset, Error> {
        // A consumer only for the group's metadata: it has no topic, and joins no group.
        let failed = kafka("make a consumer for", &config.bootstrap_servers);
        let asker =
            client(config, &config.group)?.create_with_context(Listener::default()).map_err(failed)?;
        let group = BaseConsumer::group_metadata(&asker).ok_or_else(|| {
            let failed = kafka("make the metadata of group", &config.group);
            failed(KafkaError::ClientCreation(Code::UnknownGroup.to_string()))
        })?;
        let failed = kafka("add an offset of topic", &config.alerts_topic);
        let offsets = partition_list(&config.alerts_topic, [(0, at(0))]).map_err(failed)?;
        Ok(ProbeOffset { group, offsets })
    }
}

impl std::fmt::Debug for ProbeOffset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProbeOffset").finish_non_exhaustive()
    }
}
