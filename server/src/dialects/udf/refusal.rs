//! Failed requests, in the shape that charts read.

use crate::http::problem::Problem;
use crate::http::response::{self, Response};
use hyper::StatusCode;
use serde_json::json;

/// The failure of a request, by the caller's fault or the server's.
#[derive(Debug)]
pub(super) enum UdfError {
    /// A parameter is invalid, for this reason.
    Parameter(String),
    /// No store has the symbol. The charts know the text of this error.
    UnknownSymbol,
    /// The server is at fault.
    Problem(Problem),
}

impl UdfError {
    /// Returns the response in the shape of the charts; other failures stay problems.
    pub(super) fn response(self) -> Result<Response, Problem> {
        let (status, text) = match self {
            UdfError::Parameter(text) => (StatusCode::BAD_REQUEST, text),
            UdfError::UnknownSymbol => (StatusCode::NOT_FOUND, "unknown_symbol".to_owned()),
            UdfError::Problem(problem) => return Err(problem),
        };
        Ok(response::json(status, &json!({ "s": "error", "errmsg": text }))?)
    }
}

impl From<tallow_model::Error> for UdfError {
    fn from(error: tallow_model::Error) -> UdfError {
        UdfError::Problem(error.into())
    }
}

impl From<serde_json::Error> for UdfError {
    fn from(error: serde_json::Error) -> UdfError {
        UdfError::Problem(error.into())
    }
}
