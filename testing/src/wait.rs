//! Waiting for a condition. The limit guards against hanging and says nothing about speed.

use std::time::{Duration, Instant};

/// The longest wait for anything. Generous, because tests share a machine that may be busy.
pub const LIMIT: Duration = Duration::from_secs(180);

/// The time between two looks at a condition.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Calls `look` until it returns a value, and returns the value.
///
/// # Panics
///
/// If `look` has returned nothing for [`LIMIT`].
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(value) = look() {
            return value;
        }
        assert!(Instant::now() < deadline, "not within {LIMIT:?}: {what}");
        std::thread::sleep(POLL_INTERVAL);
    }
}
