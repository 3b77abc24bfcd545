//! Failures of a request to CoinGecko, what to do about each, and how long the source asks for a
//! pause.

use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use serde_json::Value;
use std::time::Duration;
use tallow_model::EventTime;
use tallow_model::error::chain;

/// Longest `Retry-After` that is honoured.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3_600);
/// Most characters of a response that a message shows.
const SHOWN: usize = 200;

/// A request without usable quotes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct RequestFailure {
    /// The problem in one line.
    pub problem: String,
    /// Action that the feed must take.
    pub remedy: Remedy,
    /// Pause that the source asks for.
    pub retry_after: Option<Duration>,
}

/// The action that a failure asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Retry later: the failure may pass by itself.
    Wait,
    /// Retry later, if such a request has succeeded before. Otherwise the request itself is
    /// probably wrong.
    Doubt,
    /// Stop: a human has to look after the key.
    Stop,
}

impl RequestFailure {
    /// Returns the failure of a response that has another shape than expected.
    pub(super) fn unexpected(problem: String) -> RequestFailure {
        RequestFailure { problem, remedy: Remedy::Wait, retry_after: None }
    }

    /// Returns the failure of a request without a complete response. The text leaves the address
    /// out.
    pub(super) fn unanswered(error: reqwest::Error) -> RequestFailure {
        RequestFailure::unexpected(chain(&error.without_url()))
    }

    /// Returns the failure of an error response, by its status, headers and the beginning of its
    /// body.
    pub(super) fn refused(
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        now: EventTime,
    ) -> RequestFailure {
        let detail = detail(body);
        let (said, remedy) = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                ("the API key or the plan is refused (coingecko.api_key, coingecko.plan)", Remedy::Stop)
            }
            StatusCode::TOO_MANY_REQUESTS => ("rate limit exceeded", Remedy::Wait),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY => ("try again", Remedy::Wait),
            status if status.is_redirection() => ("redirected, which is not followed", Remedy::Doubt),
            status if status.is_client_error() => ("the request is refused", Remedy::Doubt),
            _ => ("the source is out of order", Remedy::Wait),
        };
        RequestFailure {
            problem: format!("status {}, {said}: {detail}", status.as_u16()),
            remedy,
            retry_after: retry_after(headers, now),
        }
    }
}

/// Returns the text of an error's body: the message in one of CoinGecko's forms, or the beginning
/// of the body.
fn detail(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let json = serde_json::from_slice::<Value>(body).ok();
    let message = json.as_ref().and_then(message).map(str::to_owned);
    let text = message.unwrap_or_else(|| text.trim().to_owned());
    if text.is_empty() {
        return "nothing else is said".to_owned();
    }
    if text.starts_with('<') {
        return "an HTML page".to_owned();
    }
    shown(&text)
}

/// Returns the message of a JSON error; `None` for other JSON.
pub(super) fn message(json: &Value) -> Option<&str> {
    let status = &json["status"];
    if let Some(text) = json["error"].as_str() {
        return Some(text);
    }
    // A coin with the id `status` exists.
    (!status["error_code"].is_null())
        .then(|| status["error_message"].as_str().unwrap_or("an error without a text"))
}

/// Returns the text in one line, cut if it is long.
pub(super) fn shown(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut characters = line.chars().map(|it| if it.is_control() { '?' } else { it });
    let mut start: String = characters.by_ref().take(SHOWN).collect();
    if characters.next().is_some() {
        start.push('…');
    }
    start
}

/// Reads `Retry-After` in seconds, or as a date against the response's own date: clocks differ.
fn retry_after(headers: &HeaderMap, now: EventTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = headers.get(DATE).and_then(|date| date.to_str().ok()).and_then(millis);
            Duration::from_millis(millis(value)?.saturating_sub(date.unwrap_or(now.millis())))
        }
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

/// Parses an HTTP date to milliseconds since the epoch.
fn millis(date: &str) -> Option<u64> {
    let instant = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date).ok()?;
    u64::try_from(instant.as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    fn wait(headers: &[(&'static str, &'static str)]) -> Option<Duration> {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().expect("a name"), HeaderValue::from_static(value)));
        // 1994-11-06T08:49:00Z
        retry_after(&headers.collect(), EventTime(784_111_740_000))
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_has_a_bound() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(wait(&[("retry-after", "53")]), seconds(53));
        assert_eq!(wait(&[("retry-after", " 0 ")]), seconds(0));
        assert_eq!(wait(&[("retry-after", "99999999999")]), seconds(3_600));
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(wait(&[("retry-after", date)]), seconds(37));
        assert_eq!(wait(&[("retry-after", date), ("date", "Sun, 06 Nov 1994 08:49:30 GMT")]), seconds(7));
        assert_eq!(wait(&[("retry-after", date), ("date", "Sun, 06 Nov 1994 08:50:30 GMT")]), seconds(0));
        for none in ["soon", "-1", ""] {
            assert_eq!(wait(&[("retry-after", none)]), None);
        }
        assert_eq!(wait(&[]), None);
    }

    #[test]
    fn a_message_is_found_in_every_form_and_shown_in_one_short_line() {
        for (body, expected) in [
            (r#"{"error":"Missing parameter ids"}"#, "Missing parameter ids"),
            (r#"{"status":{"error_code":429,"error_message":"too many"}}"#, "too many"),
            (r#"{"status":{"error_code":500}}"#, "an error without a text"),
            ("error code: 1015\n", "error code: 1015"),
            ("<!DOCTYPE html><html>", "an HTML page"),
            ("", "nothing else is said"),
            ("a\n\tb\u{1b}[31m", "a b?[31m"),
        ] {
            assert_eq!(detail(body.as_bytes()), expected);
        }
        assert_eq!(detail("é".repeat(300).as_bytes()), format!("{}…", "é".repeat(200)));
    }
}
