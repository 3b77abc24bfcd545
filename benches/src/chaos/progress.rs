//! Progress of a chaos run: messages with the time, and waits with a deadline.

use anyhow::{Result, bail};
use std::io::Write;
use std::time::{Duration, Instant};
use tallow_model::clock::SystemClock;
use tallow_model::{Clock, EventTime};

/// Prints a message with the time.
pub(super) fn say(what: &str) -> Result<()> {
    let now = EventTime(SystemClock.now_ms() / 1_000 * 1_000).rfc3339();
    Ok(writeln!(std::io::stdout(), "{now} {what}")?)
}

/// Waits until `ready` returns a value. The error names `what` was waited for.
pub(super) fn until<T>(
    what: &str,
    within: Duration,
    mut ready: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = ready()? {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("waited {within:?} for {what}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
