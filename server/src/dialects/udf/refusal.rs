//! Why a request is not answered as asked, in the shape that charts read.

use crate::http::problem::Problem;
use crate::http::response::{self, Response};
use hyper::StatusCode;
use serde_json::json;

/// By the caller's fault, or by ours.
#[derive(Debug)]
pub(super) enum Refusal {
    /// A parameter that can't be used, and why.
    Parameter(String),
    /// No store has the symbol. The charts know this text.
    UnknownSymbol,
    /// The server is at fault.
    Problem(Problem),
}

impl Refusal {
    /// The answer, where the shape has one.
    pub(super) fn response(self) -> Result<Response, Problem> {
        let (status, text) = match self {
            Refusal::Parameter(text) => (StatusCode::BAD_REQUEST, text),
            Refusal::UnknownSymbol => (StatusCode::NOT_FOUND, "unknown_symbol".to_owned()),
            Refusal::Problem(problem) => return Err(problem),
        };
        Ok(response::json(status, &json!({ "s": "error", "errmsg": text }))?)
    }
}

impl From<tallow_model::Error> for Refusal {
    fn from(error: tallow_model::Error) -> Refusal {
        Refusal::Problem(error.into())
    }
}

impl From<serde_json::Error> for Refusal {
    fn from(error: serde_json::Error) -> Refusal {
        Refusal::Problem(error.into())
    }
}
