//! Mistakes of the client, by the codes and as far as possible in the words of Binance.

use super::MAX_STREAMS;
use super::stream::SERVED;

/// What is wrong with a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Mistake {
    /// No property of this name.
    UnknownProperty,
    /// The value of a property is of another type.
    NotBoolean,
    /// The request is none, and why.
    Invalid(String),
    /// The text is not JSON, and why.
    Json(String),
    /// No fault of the client's: the stores do not say whether there is such a symbol.
    Stores,
}

impl Mistake {
    pub(super) fn code(&self) -> i32 {
        match self {
            Mistake::UnknownProperty => 0,
            Mistake::NotBoolean => 1,
            Mistake::Invalid(_) => 2,
            Mistake::Json(_) => 3,
            Mistake::Stores => -1001,
        }
    }

    pub(super) fn message(&self) -> String {
        match self {
            Mistake::UnknownProperty => "Unknown property".to_owned(),
            Mistake::NotBoolean => "Invalid value type: expected Boolean".to_owned(),
            Mistake::Invalid(detail) => format!("Invalid request: {detail}"),
            Mistake::Json(detail) => format!("Invalid JSON: {detail}"),
            Mistake::Stores => "Internal error; unable to process your request. Please try again.".to_owned(),
        }
    }

    /// There is no such stream, and why.
    pub(super) fn stream(refusal: &str) -> Mistake {
        Mistake::Invalid(format!("stream {refusal}; there is {SERVED}"))
    }

    /// The connection would have more streams than it may.
    pub(super) fn too_many_streams() -> Mistake {
        Mistake::Invalid(format!("a connection has {MAX_STREAMS} streams at most"))
    }
}
