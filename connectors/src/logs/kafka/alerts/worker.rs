//! The alerts of one worker: a transaction for each batch, and the recovery when one fails.

use super::claim::Claim;
use super::known::{KnownVersions, Version};
use super::transactions::{Fault, Transactions};
use crate::logs::kafka::KafkaConfig;
use std::time::{Duration, Instant};
use tallow_model::Symbol;
use tallow_model::error::Error;

/// Time after which the brokers abort an open transaction. Until then a `read_committed` consumer
/// sees nothing that was written after it, so this bounds how long a crash without a restart holds
/// consumers back; a restart aborts at once. A transaction takes milliseconds. The time must be as
/// long as a broker takes to restart, otherwise a restart would cost a recovery.
pub(super) const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(30);
/// Time limit for taking a transactional id over, which may need the end of the last owner's
/// transaction.
const TAKE_OVER_TIMEOUT: Duration = Duration::from_secs(30);
/// Time limit of the check of the claim.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);

/// An alert to be written.
pub(super) struct PendingAlert {
    pub(super) version: Version,
    pub(super) symbol: Symbol,
    pub(super) json: Vec<u8>,
}

/// The writer of one worker's alerts.
#[derive(Debug)]
pub(super) struct WorkerAlerts {
    config: KafkaConfig,
    id: String,
    claim: Claim,
    transactions: Transactions,
    state: TransactionState,
}

#[derive(Debug)]
enum TransactionState {
    /// No transaction is open.
    Ready,
    /// The commit of these versions was begun, and its outcome is unknown.
    Committing(Vec<Version>),
    /// A transaction is to be aborted.
    Aborting,
    /// The producer is of no more use.
    Lost,
}

impl WorkerAlerts {
    /// Takes over the alerts of this worker: what an earlier run has left open is aborted, and it
    /// can write no more.
    ///
    /// # Errors
    /// When the brokers don't permit it, or a later run has taken over in turn.
    pub(super) fn take_over(config: &KafkaConfig, worker: usize) -> Result<WorkerAlerts, Error> {
        let mut alerts = WorkerAlerts::claim(config, worker)?;
        alerts.claim.check(TAKE_OVER_TIMEOUT)?;
        Ok(alerts)
    }

    /// Ends the id of this worker, which an earlier run had and the starting run has not. Its other
    /// processes may do the same at the same time: it does not matter that the claim does not last,
    /// because nothing will be written with it.
    ///
    /// # Errors
    /// When the brokers don't permit it.
    pub(super) fn end(config: &KafkaConfig, worker: usize) -> Result<(), Error> {
        WorkerAlerts::claim(config, worker).map(drop)
    }

    fn claim(config: &KafkaConfig, worker: usize) -> Result<WorkerAlerts, Error> {
        let id = transactional_id(config, worker);
        let claim = Claim::make(config, &id, TAKE_OVER_TIMEOUT)?;
        let transactions = Transactions::open(config, id.clone(), TRANSACTION_TIMEOUT)?;
        transactions.init(TAKE_OVER_TIMEOUT).map_err(Fault::into_error)?;
        Ok(WorkerAlerts { config: config.clone(), id, claim, transactions, state: TransactionState::Ready })
    }

    /// Finishes what an earlier attempt has left: afterwards no transaction is open. Returns
    /// whether the producer is a new one: then it is unknown which versions of the last transaction
    /// are in the topic.
    ///
    /// # Errors
    /// To be retried if it could not be finished in time; otherwise another run has taken over, or
    /// the brokers don't permit it.
    pub(super) fn settle(&mut self, known: &mut KnownVersions, deadline: Instant) -> Result<bool, Error> {
        let fault = match &mut self.state {
            TransactionState::Ready => return Ok(false),
            TransactionState::Committing(_) => return self.commit(known, deadline),
            TransactionState::Aborting => match self.transactions.abort(left(deadline)) {
                Ok(()) => {
                    self.state = TransactionState::Ready;
                    return Ok(false);
                }
                Err(fault) => fault,
            },
            TransactionState::Lost => return self.recover(deadline),
        };
        self.fail(fault, deadline)
    }

    /// Writes alerts in one transaction and commits it; then they are known. Returns whether the
    /// producer is a new one, as [`WorkerAlerts::settle`] does: then they are not written, or it is
    /// unknown. No transaction may be open.
    ///
    /// # Errors
    /// As [`WorkerAlerts::settle`]. Until the next call of it the alerts may or may not be written.
    pub(super) fn write(
        &mut self,
        alerts: Vec<PendingAlert>,
        known: &mut KnownVersions,
        deadline: Instant,
    ) -> Result<bool, Error> {
        self.reach(deadline)?;
        if let Err(fault) = self.transactions.begin() {
            return self.fail(fault, deadline);
        }
        self.state = TransactionState::Aborting;
        for alert in &alerts {
            let topic = &self.config.alerts_topic;
            let sent = self.transactions.send(topic, alert.symbol.text().as_bytes(), &alert.json, deadline);
            if let Err(fault) = sent {
                return self.fail(fault, deadline);
            }
        }
        self.state = TransactionState::Committing(alerts.into_iter().map(|alert| alert.version).collect());
        self.commit(known, deadline)
    }

    /// Checks that a broker answers.
    ///
    /// # Errors
    /// To be retried if none does.
    pub(super) fn reach(&self, deadline: Instant) -> Result<(), Error> {
        self.transactions.reach(&self.config.alerts_topic, left(deadline))
    }

    fn commit(&mut self, known: &mut KnownVersions, deadline: Instant) -> Result<bool, Error> {
        if let Err(fault) = self.transactions.commit(left(deadline)) {
            return self.fail(fault, deadline);
        }
        if let TransactionState::Committing(written) =
            std::mem::replace(&mut self.state, TransactionState::Ready)
        {
            written.into_iter().for_each(|version| known.note(version));
        }
        Ok(false)
    }

    /// Takes the action that a fault asks for.
    fn fail(&mut self, fault: Fault, deadline: Instant) -> Result<bool, Error> {
        match fault {
            Fault::Again(error) | Fault::Refused(error) => Err(error),
            Fault::Abort(error) => {
                self.state = TransactionState::Aborting;
                // If the abort fails, the next call tries it first.
                match self.transactions.abort(left(deadline)) {
                    Ok(()) => self.state = TransactionState::Ready,
                    Err(Fault::Lost(_)) => self.state = TransactionState::Lost,
                    Err(_) => {}
                }
                Err(error)
            }
            Fault::Lost(error) => {
                tracing::debug!(?error, id = self.id, "a producer can't go on");
                self.state = TransactionState::Lost;
                self.recover(deadline)
            }
        }
    }

    /// Continues with a new producer, unless another run has taken over.
    fn recover(&mut self, deadline: Instant) -> Result<bool, Error> {
        self.reach(deadline)?;
        // Checked before as well, so that a replaced run does not disturb the one that has taken
        // over.
        self.claim.check(CHECK_TIMEOUT)?;
        let transactions = Transactions::open(&self.config, self.id.clone(), TRANSACTION_TIMEOUT)?;
        transactions.init(TAKE_OVER_TIMEOUT).map_err(Fault::into_error)?;
        self.claim.check(CHECK_TIMEOUT)?;
        tracing::warn!(
            id = self.id,
            "a transaction was open for too long and its outcome is not known: reading the alerts back"
        );
        self.transactions = transactions;
        self.state = TransactionState::Ready;
        Ok(true)
    }
}

/// Returns the transactional id of a worker's alerts: the group, the topic and the worker's number
/// among all workers. Runs with other numbers of workers share the ids that they have in common.
pub(super) fn transactional_id(config: &KafkaConfig, worker: usize) -> String {
    format!("{}-{}-{worker}", config.group, config.alerts_topic)
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}
