//! The reasons why a record is not a tick.

use std::fmt;

/// The reason why a record is not a tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Not a JSON object, or a required field is missing or of another type.
    Malformed(String),
    /// The shape is right, and a value is not one that a tick can have.
    Invalid(String),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (DecodeError::Malformed(detail) | DecodeError::Invalid(detail)) = self;
        f.write_str(detail)
    }
}

impl std::error::Error for DecodeError {}
