//! `summary.json`: what a run read, what came of it and what it took.

use serde::Serialize;

/// Closed candles of each interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CandleCounts {
    /// One-minute candles.
    #[serde(rename = "1m")]
    pub one_minute: u64,
    /// Five-minute candles.
    #[serde(rename = "5m")]
    pub five_minutes: u64,
    /// Fifteen-minute candles.
    #[serde(rename = "15m")]
    pub fifteen_minutes: u64,
}

/// The content of `summary.json`. The buckets add up to `records_in`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Records read.
    pub records_in: u64,
    /// Accepted before their window closed.
    pub on_time: u64,
    /// Accepted as corrections.
    pub late: u64,
    /// Rejected: not a tick at all.
    pub malformed: u64,
    /// Rejected: a tick with a value that can't be.
    pub invalid: u64,
    /// Rejected: timestamps from the future.
    pub future: u64,
    /// Rejected: past correcting.
    pub too_late: u64,
    /// Records without a value.
    pub tombstones: u64,
    /// Candles written.
    pub candles: CandleCounts,
    /// Alerts written, retracted ones included.
    pub alerts: u64,
    /// Those of them that are retracted.
    pub alerts_retracted: u64,
    /// Corrections of candles: the revisions of the candles written, added up.
    pub corrections: u64,
    /// From the start of reading to the last settled result, in seconds.
    pub elapsed_seconds: f64,
    /// Records read in a second of that.
    pub ticks_per_second: f64,
    /// The most memory that the process ever held, in bytes; 0 where the system does not say.
    pub peak_rss_bytes: u64,
    /// Worker threads over all processes.
    pub workers: usize,
}

/// The largest resident size of this process so far, in bytes; 0 where the system does not say.
pub fn peak_rss_bytes() -> u64 {
    std::fs::read_to_string("/proc/self/status").ok().and_then(|status| peak_in(&status)).unwrap_or(0)
}

/// The line `VmHWM:     1234 kB`.
fn peak_in(status: &str) -> Option<u64> {
    let kilobytes =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix(" kB")?;
    kilobytes.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_from_the_status_of_the_process() {
        assert_eq!(peak_in("Name:\ttallow\nVmHWM:\t  1234 kB\nVmRSS:\t 99 kB\n"), Some(1_263_616));
        assert_eq!(peak_in("Name:\ttallow\n"), None);
        #[cfg(target_os = "linux")]
        assert!(peak_rss_bytes() > 1 << 20);
    }
}
