//! Mistakes of the caller, with the codes and the words of Binance.

use crate::http::problem::Problem;
use crate::http::response::{self, Response};
use hyper::StatusCode;
use serde_json::json;

/// A mistake in a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Mistake {
    /// The parameter has characters that its pattern does not allow.
    IllegalCharacters(&'static str, &'static str),
    /// More parameters were sent than are known: the known number, and the number that was sent.
    TooManyParameters(usize, usize),
    /// A parameter was sent twice.
    DuplicateParameter,
    /// A mandatory parameter is missing.
    Missing(&'static str),
    /// The parameter was sent without a value.
    Empty(&'static str),
    /// The interval does not exist.
    Interval,
    /// The symbol does not exist.
    Symbol,
    /// These parameters exclude each other.
    Combination,
    /// The value of the parameter is not allowed.
    Invalid(&'static str),
}

impl Mistake {
    fn code(&self) -> i32 {
        match self {
            Mistake::IllegalCharacters(..) => -1100,
            Mistake::TooManyParameters(..) | Mistake::DuplicateParameter => -1101,
            Mistake::Missing(_) => -1102,
            Mistake::Empty(_) => -1105,
            Mistake::Interval => -1120,
            Mistake::Symbol => -1121,
            Mistake::Combination => -1128,
            Mistake::Invalid(_) => -1130,
        }
    }

    fn message(&self) -> String {
        match self {
            Mistake::IllegalCharacters(name, pattern) => {
                format!("Illegal characters found in parameter '{name}'; legal range is '{pattern}'.")
            }
            Mistake::TooManyParameters(expected, received) => {
                format!("Too many parameters; expected '{expected}' and received '{received}'.")
            }
            Mistake::DuplicateParameter => "Duplicate values for a parameter detected.".to_owned(),
            Mistake::Missing(name) => {
                format!("Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
            }
            Mistake::Empty(name) => format!("Parameter '{name}' was empty."),
            Mistake::Interval => "Invalid interval.".to_owned(),
            Mistake::Symbol => "Invalid symbol.".to_owned(),
            Mistake::Combination => "Combination of optional parameters invalid.".to_owned(),
            Mistake::Invalid(name) => format!("Data sent for parameter '{name}' is not valid."),
        }
    }
}

/// The failure of a request, by the caller's fault or the server's.
#[derive(Debug)]
pub(super) enum Failure {
    Mistake(Mistake),
    Problem(Problem),
}

impl Failure {
    /// Returns the response in the shape of Binance; other failures stay problems.
    pub(super) fn response(self) -> Result<Response, Problem> {
        match self {
            Failure::Mistake(mistake) => {
                let document = json!({ "code": mistake.code(), "msg": mistake.message() });
                Ok(response::json(StatusCode::BAD_REQUEST, &document)?)
            }
            Failure::Problem(problem) => Err(problem),
        }
    }
}

impl From<Mistake> for Failure {
    fn from(mistake: Mistake) -> Failure {
        Failure::Mistake(mistake)
    }
}

impl From<tallow_model::Error> for Failure {
    fn from(error: tallow_model::Error) -> Failure {
        Failure::Problem(error.into())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Failure {
        Failure::Problem(error.into())
    }
}
