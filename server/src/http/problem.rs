//! Errors as a client sees them: problem documents after RFC 9457.

use crate::http::response::{self, Response, set_header};
use hyper::StatusCode;
use hyper::header::{HeaderName, RETRY_AFTER};
use serde::Serialize;
use tallow_model::error::chain;

/// An error in one parameter.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ParameterError {
    /// The name of the parameter.
    pub(crate) parameter: String,
    /// The error, for people.
    pub(crate) detail: String,
    /// The values that the parameter may have.
    pub(crate) allowed: String,
}

/// The reason why a request failed.
#[derive(Debug, thiserror::Error)]
#[error("{code}: {detail}")]
pub(crate) struct Problem {
    status: StatusCode,
    /// The name by which programs tell problems apart.
    code: &'static str,
    detail: String,
    errors: Vec<ParameterError>,
    /// Headers that belong to the status.
    headers: Vec<(HeaderName, String)>,
}

/// The document, in the order of its fields.
#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [ParameterError],
}

impl Problem {
    /// Returns a problem with this status, code and text.
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Problem {
        Problem { status, code, detail: detail.into(), errors: Vec::new(), headers: Vec::new() }
    }

    /// Adds a header.
    pub(crate) fn with(mut self, header: HeaderName, value: impl ToString) -> Problem {
        self.headers.push((header, value.to_string()));
        self
    }

    /// Returns the problem of invalid parameters.
    pub(crate) fn parameters(errors: Vec<ParameterError>) -> Problem {
        let detail = match &errors[..] {
            [one] => format!("{}: {}; allowed: {}", one.parameter, one.detail, one.allowed),
            several => format!("{} parameters can't be used", several.len()),
        };
        Problem { errors, ..Problem::new(StatusCode::BAD_REQUEST, "invalid_parameter", detail) }
    }

    /// Returns the problem of a symbol that no store has.
    pub(crate) fn unknown_symbol(symbol: impl std::fmt::Display) -> Problem {
        let detail = format!("no candle of {symbol} has been seen; /api/v1/symbols lists the symbols");
        Problem::new(StatusCode::NOT_FOUND, "unknown_symbol", detail)
    }

    /// Returns the problem of a failed server; the log has the cause.
    pub(crate) fn internal() -> Problem {
        let detail = "the request failed inside the server; its log has the cause under this request id";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", detail)
    }

    /// Returns the problem of a server or store that is unavailable for now.
    pub(crate) fn unavailable(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail).with(RETRY_AFTER, 1)
    }

    /// Returns the response with the problem document.
    pub(crate) fn response(&self, request_id: &str) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let document = Document {
            r#type: format!("urn:tallow:problem:{}", self.code),
            title,
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
            request_id,
            errors: &self.errors,
        };
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = response::with_body(self.status, "application/problem+json", body);
        for (name, value) in &self.headers {
            set_header(&mut response, name.clone(), value);
        }
        response
    }
}

impl From<tallow_model::Error> for Problem {
    /// Logs the cause and does not show it to the client: it may name files and hosts.
    fn from(error: tallow_model::Error) -> Problem {
        if let tallow_model::Error::Invalid(detail) = error {
            return Problem::new(StatusCode::BAD_REQUEST, "unusable_request", detail);
        }
        tracing::warn!(error = chain(&error), "store did not answer");
        Problem::unavailable("a store can't answer at the moment; /health says which")
    }
}

impl From<serde_json::Error> for Problem {
    fn from(error: serde_json::Error) -> Problem {
        tracing::error!(%error, "response not written as JSON");
        Problem::internal()
    }
}
