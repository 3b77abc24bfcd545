//! The verdict: the comparison of the results, and the measured recoveries.

use super::deck::Fault;
use super::expected::{Expected, each};
use super::services::Services;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};
use tallow_connectors::logs::kafka::{Bound, KafkaConfig, KafkaRange};
use tallow_model::rows::AlertMessage;

/// Result of a chaos run.
#[derive(Default)]
pub struct Verdict {
    seed: u64,
    pub(super) records: u64,
    faults: BTreeMap<Fault, usize>,
    /// Time from the fault to the first newly settled candle.
    recoveries: Vec<(Fault, Duration)>,
    /// Output of scripts/compare, and whether all tables agree.
    tables: (bool, String),
    /// Counts of the alerts topic: expected, sent, missing, extra, repeated, different.
    alerts: [usize; 6],
}

impl Verdict {
    pub(super) fn new(seed: u64) -> Verdict {
        Verdict { seed, ..Verdict::default() }
    }

    pub(super) fn count(&mut self, fault: Fault) {
        *self.faults.entry(fault).or_default() += 1;
    }

    pub(super) fn recovered(&mut self, fault: Fault, after: Duration) {
        self.recoveries.push((fault, after));
    }

    /// Whether all results equal the expected ones.
    pub fn agrees(&self) -> bool {
        self.tables.0 && self.alerts[2..] == [0; 4]
    }

    /// Compares until everything agrees or the time is over, because the last records may still
    /// settle.
    pub(super) fn compare(
        &mut self,
        expected: &Expected,
        config: &KafkaConfig,
        services: &Services,
        out: &Path,
        within: Duration,
    ) -> Result<()> {
        let deadline = Instant::now() + within;
        loop {
            self.tables = services.compare(&expected.tables)?;
            self.alerts = alerts(expected, config)?;
            if self.agrees() || Instant::now() > deadline {
                break;
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        std::fs::write(out.join("verdict.txt"), self.to_string()).context("write the verdict")
    }
}

/// Compares the committed messages of the alerts topic with the expected versions.
fn alerts(expected: &Expected, config: &KafkaConfig) -> Result<[usize; 6]> {
    let mut messages = Vec::new();
    let range = KafkaRange::resolve(config, &config.alerts_topic, Bound::Beginning, Bound::End)?;
    for mut reader in range.worker(0, 1)? {
        each(&mut *reader, |payload| {
            let message: AlertMessage = serde_json::from_slice(payload).context("a message of ours")?;
            messages.push(((message.alert_id, message.settled_at), payload.to_vec()));
            Ok(())
        })?;
    }
    let mut wanted = BTreeMap::new();
    for settled in &expected.alerts {
        let text = serde_json::to_vec(&AlertMessage::from(settled))?;
        wanted.insert((settled.alert.id(), settled.settled_at), text);
    }
    // The comparison is byte for byte, because parsing a number may lose its last digit.
    let mut sent: BTreeMap<_, Vec<&Vec<u8>>> = BTreeMap::new();
    for (key, text) in &messages {
        sent.entry(key.clone()).or_default().push(text);
    }
    let missing = wanted.keys().filter(|key| !sent.contains_key(*key)).count();
    let extra = sent.keys().filter(|key| !wanted.contains_key(*key)).count();
    let repeated = sent.values().map(|versions| versions.len() - 1).sum();
    let differs = |(key, versions): &(&(String, _), &Vec<&Vec<u8>>)| {
        wanted.get(*key).is_some_and(|wanted| versions.iter().any(|version| *version != wanted))
    };
    let different = sent.iter().filter(differs).count();
    Ok([wanted.len(), messages.len(), missing, extra, repeated, different])
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: usize = self.faults.values().sum();
        writeln!(f, "\n{total} faults with seed {}, {} records", self.seed, self.records)?;
        for (fault, count) in &self.faults {
            writeln!(f, "  {fault:<14}{count}")?;
        }
        let mut recoveries: Vec<f64> = self.recoveries.iter().map(|(_, after)| after.as_secs_f64()).collect();
        recoveries.sort_unstable_by(f64::total_cmp);
        if let (Some(median), Some(most)) = (recoveries.get(recoveries.len() / 2), recoveries.last()) {
            let count = recoveries.len();
            writeln!(
                f,
                "from the fault to a newly settled candle: p50 {median:.2} s, max {most:.2} s ({count})"
            )?;
        }
        write!(f, "{}", self.tables.1)?;
        let [expected, sent, missing, extra, repeated, different] = self.alerts;
        writeln!(
            f,
            "alerts topic, committed: {expected} expected, {sent} sent: {missing} missing, {extra} extra, {repeated} \
             repeated, {different} different"
        )
    }
}
