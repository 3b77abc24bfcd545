//! Failed requests, in the shape that charts read.

use crate::http::problem::Problem;
use crate::http::response::{self, Response};
use hyper::StatusCode;
use serde_json::json;

/// The failure of a request, by the caller's fault or the server's.
#[derive(Debug)]
pub(super) enum Refusal {
    /// A parameter is invalid, for this reason.
    Parameter(String),
    /// No store has the symbol. The charts know the text of this error.
    UnknownSymbol,
    /// The server is at fault.
    Problem(Problem),
}

impl Refusal {
    /// Returns the response in the shape of the charts; other failures stay problems.
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
