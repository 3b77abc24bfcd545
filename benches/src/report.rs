//! The printed table: speed of each system over its runs, ratios paired run by run, peak memory,
//! and the settled figures.
//!
//! Systems run in turns, so that run *i* of every system meets the machine in the same state. A
//! ratio is taken within a turn; the table has the least, the median and the greatest ratio.

use crate::system::{Outcome, System};
use anyhow::{Result, bail};
use std::fmt::Write;

/// The outcomes of one system, by turn.
pub struct Runs {
    /// The measured system.
    pub system: System,
    /// One outcome for each turn.
    pub outcomes: Vec<Outcome>,
}

/// Writes the table of one log.
///
/// # Errors
/// Returns an error if the systems, or the runs of one system, have settled different results.
pub fn table(title: &str, systems: &[Runs]) -> Result<String> {
    let mut text = String::new();
    writeln!(text, "{title}\n")?;
    writeln!(text, "{:<24} {:>12} {:>12} {:>12} {:>12}", "ticks/s", "min", "median", "max", "peak memory")?;
    for runs in systems {
        let [least, median, greatest] = spread(runs.outcomes.iter().map(|run| run.ticks_per_second));
        let peak = runs.outcomes.iter().map(|run| run.peak_rss_bytes).max().unwrap_or(0);
        writeln!(
            text,
            "{:<24} {least:>12.0} {median:>12.0} {greatest:>12.0} {:>8} MiB",
            runs.system,
            peak >> 20
        )?;
    }
    for (i, runs) in systems.iter().enumerate() {
        for other in &systems[..i] {
            let pairs = runs.outcomes.iter().zip(&other.outcomes);
            let [least, median, greatest] =
                spread(pairs.map(|(a, b)| a.ticks_per_second / b.ticks_per_second));
            let name = format!("{} / {}", runs.system, other.system);
            writeln!(text, "{name:<24} {least:>12.2} {median:>12.2} {greatest:>12.2}")?;
        }
    }
    let mut all = systems.iter().flat_map(|runs| runs.outcomes.iter().map(|run| (runs.system, &run.settled)));
    let Some((first, settled)) = all.next() else { return Ok(text) };
    if let Some((other, different)) = all.find(|(_, other)| *other != settled) {
        bail!("{first} and {other} have not settled the same: {settled:?} and {different:?}");
    }
    let records: Vec<String> =
        settled.records.iter().filter(|(_, n)| **n > 0).map(|(name, n)| format!("{name} {n}")).collect();
    writeln!(text, "\nrecords: {}", records.join(", "))?;
    let [minutes, fives, fifteens] = settled.candles;
    writeln!(text, "candles: 1m {minutes}, 5m {fives}, 15m {fifteens}")?;
    let [minutes, fives, fifteens] = settled.corrections;
    writeln!(text, "corrections: 1m {minutes}, 5m {fives}, 15m {fifteens}")?;
    writeln!(text, "alerts: {} standing, {} versions", settled.alerts, settled.alert_versions)?;
    writeln!(text, "checksum: {:016x}", settled.checksum)?;
    Ok(text)
}

/// The least, the median and the greatest of some figures.
pub fn spread(figures: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_unstable_by(f64::total_cmp);
    match figures.as_slice() {
        [] => [0.0; 3],
        figures => {
            let middle = (figures[figures.len() / 2] + figures[(figures.len() - 1) / 2]) / 2.0;
            [figures[0], middle, figures[figures.len() - 1]]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(speeds: &[f64]) -> Runs {
        let outcome = |speed: &f64| Outcome {
            ticks_per_second: *speed,
            settled: crate::totals::Settled::default(),
            peak_rss_bytes: 3 << 20,
        };
        Runs { system: System::Baseline, outcomes: speeds.iter().map(outcome).collect() }
    }

    #[test]
    fn ratios_are_paired_run_by_run() {
        let text =
            table("log", &[runs(&[100.0, 200.0, 400.0]), runs(&[200.0, 100.0, 800.0])]).expect("a table");
        let ratio = text.lines().find(|line| line.contains(" / ")).expect("a ratio");
        let figures: Vec<&str> = ratio.split_whitespace().skip(3).collect();
        assert_eq!(figures, ["0.50", "2.00", "2.00"]);
    }

    #[test]
    fn systems_that_settle_differently_are_not_compared() {
        let mut other = runs(&[1.0]);
        other.outcomes[0].settled.alerts = 1;
        assert!(table("log", &[runs(&[1.0]), other]).is_err());
    }
}
