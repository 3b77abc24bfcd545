//! The names of headers that the library does not know, and their numbers.

use hyper::header::HeaderName;
use std::time::Duration;

pub(crate) const PROCESS_TIME: HeaderName = HeaderName::from_static("x-process-time-ms");
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(crate) const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

pub(crate) const CACHE_HIT: HeaderName = HeaderName::from_static("x-cache-hit");
pub(crate) const DATA_AGE: HeaderName = HeaderName::from_static("x-data-age-seconds");
pub(crate) const DATA_SOURCE: HeaderName = HeaderName::from_static("x-data-source");

pub(crate) const HAS_MORE: HeaderName = HeaderName::from_static("x-has-more");
pub(crate) const NEXT_CURSOR: HeaderName = HeaderName::from_static("x-next-cursor");
pub(crate) const RETURNED_COUNT: HeaderName = HeaderName::from_static("x-returned-count");
pub(crate) const TOTAL_COUNT: HeaderName = HeaderName::from_static("x-total-count");

pub(crate) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
pub(crate) const RATE_REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
pub(crate) const RATE_RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// Writes milliseconds as headers and log lines have them.
pub(crate) fn millis(took: Duration) -> String {
    thousandths(took.as_micros())
}

/// Writes a number of thousandths as a decimal number.
pub(crate) fn thousandths(count: u128) -> String {
    format!("{}.{:03}", count / 1000, count % 1000)
}
