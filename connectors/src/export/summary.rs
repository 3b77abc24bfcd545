//! `summary.json`: what a run read, what it settled and what it took.

use serde::Serialize;

/// Numbers of closed candles, by interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CandleCounts {
    /// Number of one-minute candles.
    #[serde(rename = "1m")]
    pub one_minute: u64,
    /// Number of five-minute candles.
    #[serde(rename = "5m")]
    pub five_minutes: u64,
    /// Number of fifteen-minute candles.
    #[serde(rename = "15m")]
    pub fifteen_minutes: u64,
}

/// The content of `summary.json`. The buckets add up to `records_in`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Number of records read.
    pub records_in: u64,
    /// Records accepted before their window closed.
    pub on_time: u64,
    /// Records accepted as corrections.
    pub late: u64,
    /// Records rejected because they are not ticks.
    pub malformed: u64,
    /// Records rejected for a value that no tick can have.
    pub invalid: u64,
    /// Records rejected for a timestamp from the future.
    pub future: u64,
    /// Records rejected because their window can't be corrected any more.
    pub too_late: u64,
    /// Records without a value.
    pub tombstones: u64,
    /// Number of candles written.
    pub candles: CandleCounts,
    /// Number of alerts written, retracted ones included.
    pub alerts: u64,
    /// Number of retracted alerts among them.
    pub alerts_retracted: u64,
    /// Number of corrections: the sum of the revisions of the candles written.
    pub corrections: u64,
    /// Seconds from the start of reading to the last settled result.
    pub elapsed_seconds: f64,
    /// Records read a second in that time.
    pub ticks_per_second: f64,
    /// Peak memory of the process in bytes; 0 if the system does not tell.
    pub peak_rss_bytes: u64,
    /// Worker threads of all processes.
    pub workers: usize,
}

/// Returns the largest resident size of this process so far, in bytes; 0 if the system does not
/// tell.
pub fn peak_rss_bytes() -> u64 {
    std::fs::read_to_string("/proc/self/status").ok().and_then(|status| peak_in(&status)).unwrap_or(0)
}

/// Parses the line `VmHWM:     1234 kB`.
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
