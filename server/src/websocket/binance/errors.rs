//! The errors of requests, with the codes and, as far as possible, the texts of Binance.

use super::address::MAX_STREAMS;
use super::stream_name::SERVED;

/// The error in a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum StreamError {
    /// The property does not exist.
    UnknownProperty,
    /// The value of a property is not a boolean.
    NotBoolean,
    /// The request is invalid for this reason.
    Invalid(String),
    /// The text is not JSON for this reason.
    Json(String),
    /// The stores cannot tell whether the symbol exists.
    Stores,
}

impl StreamError {
    /// The error code of Binance.
    pub(super) fn code(&self) -> i32 {
        match self {
            StreamError::UnknownProperty => 0,
            StreamError::NotBoolean => 1,
            StreamError::Invalid(_) => 2,
            StreamError::Json(_) => 3,
            StreamError::Stores => -1001,
        }
    }

    /// The error text for the client.
    pub(super) fn message(&self) -> String {
        match self {
            StreamError::UnknownProperty => "Unknown property".to_owned(),
            StreamError::NotBoolean => "Invalid value type: expected Boolean".to_owned(),
            StreamError::Invalid(detail) => format!("Invalid request: {detail}"),
            StreamError::Json(detail) => format!("Invalid JSON: {detail}"),
            StreamError::Stores => {
                "Internal error; unable to process your request. Please try again.".to_owned()
            }
        }
    }

    /// A stream that is not served for this reason.
    pub(super) fn stream(refusal: &str) -> StreamError {
        StreamError::Invalid(format!("stream {refusal}; available: {SERVED}"))
    }

    /// More streams than a connection may have.
    pub(super) fn too_many_streams() -> StreamError {
        StreamError::Invalid(format!("a connection has at most {MAX_STREAMS} streams"))
    }
}
