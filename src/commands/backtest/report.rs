//! The messages of a replay on standard error: its progress on a terminal, and its summary.

use std::io::{IsTerminal, Write, stderr};
use std::path::Path;
use std::time::{Duration, Instant};
use tallow_connectors::export::Summary;

/// The interval between two updates of the progress line.
pub(super) const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// The progress line, which is overwritten in place; nothing is printed if standard error is no
/// terminal.
pub(super) struct ProgressLine {
    started: Instant,
    /// The maximum number of records, if it is known.
    of: Option<u64>,
    /// The time of the next update; `None` without a terminal.
    next: Option<Instant>,
    shown: bool,
}

impl ProgressLine {
    /// Starts the progress line; it first appears after one interval.
    pub(super) fn start(started: Instant, of: Option<u64>) -> ProgressLine {
        ProgressLine {
            started,
            of,
            next: stderr().is_terminal().then(|| started + PROGRESS_INTERVAL),
            shown: false,
        }
    }

    /// Updates the line if it is due.
    pub(super) fn show(&mut self, records: impl FnOnce() -> u64) {
        let Some(next) = self.next else { return };
        let now = Instant::now();
        if now < next {
            return;
        }
        self.next = Some(now + PROGRESS_INTERVAL);
        self.shown = true;
        let records = records();
        let rate = records as f64 / now.duration_since(self.started).as_secs_f64();
        let share = self.of.map(|of| format!("{} % of ", percent(records, of))).unwrap_or_default();
        let total = grouped(self.of.unwrap_or(records));
        write(&format!("\r\x1b[K{share}{total} records, {} ticks/s", grouped(rate as u64)));
    }

    /// Removes the line.
    pub(super) fn clear(&mut self) {
        if self.shown {
            write("\r\x1b[K");
        }
    }
}

/// Prints the summary of a replay.
pub(super) fn print(summary: &Summary, out: &Path) {
    let buckets = [
        ("on time", summary.on_time),
        ("late", summary.late),
        ("malformed", summary.malformed),
        ("invalid", summary.invalid),
        ("future", summary.future),
        ("too late", summary.too_late),
        ("tombstones", summary.tombstones),
    ];
    let buckets: Vec<String> = buckets
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{} {name}", grouped(count)))
        .collect();
    let workers =
        if summary.workers == 1 { "1 worker".to_owned() } else { format!("{} workers", summary.workers) };
    write(&format!(
        "records      {}{}\n\
         candles      {} of 1m, {} of 5m, {} of 15m; {} corrections\n\
         alerts       {}, {} of them retracted\n\
         speed        {} ticks/s: {:.2} s with {workers}\n\
         written to   {}\n",
        grouped(summary.records_in),
        if buckets.is_empty() { String::new() } else { format!(": {}", buckets.join(", ")) },
        grouped(summary.candles.one_minute),
        grouped(summary.candles.five_minutes),
        grouped(summary.candles.fifteen_minutes),
        grouped(summary.corrections),
        grouped(summary.alerts),
        grouped(summary.alerts_retracted),
        grouped(summary.ticks_per_second as u64),
        summary.elapsed_seconds,
        out.display(),
    ));
}

/// Writes to standard error. If it is closed, nobody can be told.
fn write(text: &str) {
    let mut stderr = stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// Returns `part` as a percentage of `of`, rounded down.
fn percent(part: u64, of: u64) -> u64 {
    part.min(of).saturating_mul(100).checked_div(of).unwrap_or(100)
}

/// Formats a number with its digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.char_indices() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_whole_only_at_the_end() {
        let shares = [(0, 3), (1, 3), (999, 1_000), (3, 3), (5, 3), (0, 0)];
        assert_eq!(shares.map(|(part, of)| percent(part, of)), [0, 33, 99, 100, 100, 100]);
    }

    #[test]
    fn digits_are_grouped_in_threes() {
        let numbers = [0, 999, 1_000, 12_345, 1_234_567];
        assert_eq!(numbers.map(grouped), ["0", "999", "1,000", "12,345", "1,234,567"]);
    }
}
