//! Classification of Redis's failures: which of them pass by themselves.

use redis::{ErrorKind, RedisError, ServerErrorKind};
use tallow_model::{Action, Error};

/// Returns what to do about a failure: retry if the connection is lost, or the server slow, still
/// loading or no longer the master; stop if the server refuses, as only a human can change a
/// password, a permission or its memory.
pub(crate) fn action(error: &RedisError) -> Action {
    match error.kind() {
        ErrorKind::Io | ErrorKind::Parse => Action::Retry,
        ErrorKind::Server(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::TryAgain
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::ReadOnly,
        ) => Action::Retry,
        _ => Action::Stop,
    }
}

/// Returns the error of having `tried` something on a server.
pub(super) fn external(tried: &'static str, on: String, source: RedisError) -> Error {
    Error::External { tried, on, action: action(&source), source: source.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caches::redis::server::timed_out;
    use std::io;

    #[test]
    fn a_lost_connection_is_tried_again_and_a_refusal_is_not() {
        let refused = RedisError::from(io::Error::from(io::ErrorKind::ConnectionRefused));
        let reset = RedisError::from(io::Error::from(io::ErrorKind::ConnectionReset));
        for passing in [refused, reset, timed_out()] {
            assert_eq!(action(&passing), Action::Retry, "{passing}");
        }
        let kinds = [ErrorKind::AuthenticationFailed, ErrorKind::InvalidClientConfig];
        for kind in kinds.into_iter().chain([ErrorKind::Server(ServerErrorKind::NoPerm)]) {
            assert_eq!(action(&RedisError::from((kind, "no"))), Action::Stop, "{kind:?}");
        }
        let loading = ErrorKind::Server(ServerErrorKind::BusyLoading);
        assert_eq!(action(&RedisError::from((loading, "wait"))), Action::Retry);
    }
}
