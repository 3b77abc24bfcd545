//! Classification of Kafka's errors: which of them pass by themselves.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use tallow_model::error::{Action, Error, Leaf};

/// Returns what to do about an error of librdkafka: most pass, as brokers come back and leaders are
/// elected.
pub(crate) fn action(error: &KafkaError) -> Action {
    let code = match error {
        KafkaError::AdminOpCreation(_)
        | KafkaError::ClientConfig(..)
        | KafkaError::ClientCreation(_)
        | KafkaError::MessageConsumptionFatal(_)
        | KafkaError::Nul(_) => return Action::Stop,
        KafkaError::AdminOp(code) => Some(*code),
        // Concerns this transaction alone: the next one can succeed.
        KafkaError::Transaction(source)
            if source.is_retriable()
                || source.txn_requires_abort() && source.code() == Code::OutOfOrderSequenceNumber =>
        {
            return Action::Retry;
        }
        error => error.rdkafka_error_code(),
    };
    match code {
        Some(code) if is_final(code) => Action::Stop,
        _ => Action::Retry,
    }
}

/// Returns whether an error stays until a human acts.
pub(super) fn is_final(code: Code) -> bool {
    is_refusal(code)
        || is_damage(code)
        || is_lost(code)
        || matches!(
            code,
            Code::UnknownTopicOrPartition
                | Code::UnknownTopic
                | Code::UnknownPartition
                | Code::UnknownTopicId
                | Code::InvalidTopic
                | Code::InvalidPartitions
                | Code::InvalidReplicationFactor
                | Code::InvalidReplicaAssignment
                | Code::InvalidConfig
                | Code::InvalidRequest
                | Code::InvalidRequiredAcks
                | Code::InvalidTimestamp
                | Code::InvalidTransactionTimeout
                | Code::InvalidArgument
                | Code::PolicyViolation
                | Code::MessageSizeTooLarge
                | Code::MessageBatchTooLarge
                | Code::UnsupportedVersion
                | Code::UnsupportedFeature
                | Code::UnsupportedForMessageFormat
                | Code::UnsupportedCompressionType
                | Code::NotImplemented
                | Code::Fatal
                | Code::Fenced
                | Code::ProducerFenced
                | Code::InvalidProducerEpoch
                | Code::OutOfOrderSequenceNumber
        )
}

/// Returns whether the broker has refused our identity or our permissions.
pub(super) fn is_refusal(code: Code) -> bool {
    matches!(
        code,
        Code::Authentication
            | Code::SSL
            | Code::SaslAuthenticationFailed
            | Code::UnsupportedSASLMechanism
            | Code::IllegalSASLState
            | Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed
            | Code::SecurityDisabled
    )
}

/// Returns whether a record or a batch is damaged, by its checksum for example. The number of lost
/// records is unknown, so the affected candles are unknown too.
pub(super) fn is_damage(code: Code) -> bool {
    matches!(
        code,
        Code::BadMessage
            | Code::BadCompression
            | Code::InvalidMessage
            | Code::InvalidMessageSize
            | Code::InvalidRecord
            | Code::Underflow
    )
}

/// Returns whether the requested offset does not exist.
pub(super) fn is_lost(code: Code) -> bool {
    matches!(code, Code::AutoOffsetReset | Code::OffsetOutOfRange | Code::LogTruncation)
}

/// Returns whether the error concerns the consumer group, which reading does not need.
pub(super) fn is_of_group(code: Code) -> bool {
    code == Code::GroupAuthorizationFailed
}

/// Returns whether the topic does not exist, as far as a broker knows.
pub(super) fn is_missing(code: Code) -> bool {
    matches!(
        code,
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition | Code::UnknownTopicId
    )
}

/// Returns the error of having `tried` something on `on`.
pub(super) fn kafka(tried: &'static str, on: impl Into<String>) -> impl FnOnce(KafkaError) -> Error {
    let on = on.into();
    move |source| Error::External { tried, on, action: action(&source), source: Leaf(source).into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_tried_again_and_what_does_not_stops() {
        for code in [
            Code::BrokerTransportFailure,
            Code::AllBrokersDown,
            Code::OperationTimedOut,
            Code::RequestTimedOut,
            Code::QueueFull,
            Code::LeaderNotAvailable,
            Code::NotLeaderForPartition,
            Code::NotEnoughReplicas,
            Code::Resolve,
        ] {
            assert_eq!(action(&KafkaError::MetadataFetch(code)), Action::Retry, "{code:?}");
        }
        for code in [
            Code::UnknownTopicOrPartition,
            Code::TopicAuthorizationFailed,
            Code::SaslAuthenticationFailed,
            Code::MessageSizeTooLarge,
            Code::AutoOffsetReset,
            Code::BadMessage,
        ] {
            assert_eq!(action(&KafkaError::MessageConsumption(code)), Action::Stop, "{code:?}");
        }
        assert_eq!(action(&KafkaError::AdminOp(Code::InvalidReplicationFactor)), Action::Stop);
        assert_eq!(action(&KafkaError::AdminOp(Code::NotController)), Action::Retry);
        assert_eq!(action(&KafkaError::ClientCreation(String::new())), Action::Stop);
    }
}
