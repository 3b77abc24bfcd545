//! The expected results: the sequential loop over the records of the topic.

use crate::baseline;
use crate::totals::Totals;
use anyhow::{Context, Result, bail};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tallow_connectors::export::{Export, Format, Run};
use tallow_connectors::logs::kafka::{Bound, KafkaConfig, KafkaRange};
use tallow_dataflow::Settings;
use tallow_model::clock::SystemClock;
use tallow_model::{
    Clock, Counts, EventTime, PartitionReader, ReadStatus, SettledAlert, Step, decode, next_second,
};

/// The expected results up to the frontier of the topic's partitions.
pub(super) struct Expected {
    pub(super) records: u64,
    pub(super) frontier: String,
    /// Every version of an alert.
    pub(super) alerts: Vec<SettledAlert>,
    /// A folder with candles.csv and alerts.csv, as a backtest writes them.
    pub(super) tables: PathBuf,
}

impl Expected {
    pub(super) fn of(config: &KafkaConfig, settings: &Settings, out: &Path) -> Result<Expected> {
        let (log, frontier, records) = copy(config, settings, out)?;
        let totals =
            baseline::settle_into(Totals::keeping(), &log, settings, SystemClock.now_ms())?.into_versions();
        let is_settled = |at: EventTime| at < frontier;
        let candles = totals.candles.into_iter().filter(|it| is_settled(it.settled_at)).collect();
        let alerts: Vec<SettledAlert> =
            totals.alerts.into_iter().filter(|it| is_settled(it.settled_at)).collect();
        let tables = out.join("expected");
        let mut export = Export::create(&tables, Format::Csv)?;
        export.settled(&Step { candles, alerts: alerts.clone(), ..Step::default() });
        export.finish(&Run { counts: Counts::default(), elapsed: Duration::ZERO, workers: 1 })?;
        Ok(Expected { records, frontier: frontier.rfc3339(), alerts, tables })
    }
}

/// Copies the topic into one file a partition. Returns the files, the frontier of all partitions
/// and the number of records.
fn copy(config: &KafkaConfig, settings: &Settings, out: &Path) -> Result<(Vec<PathBuf>, EventTime, u64)> {
    let range = KafkaRange::resolve(config, &config.topic, Bound::Beginning, Bound::End)?;
    let mut frontiers = Vec::new();
    let mut records = 0;
    let mut files = Vec::new();
    for mut reader in range.worker(0, 1)? {
        let path = out.join(format!("partition-{}.jsonl", reader.partition()));
        let mut file = BufWriter::new(std::fs::File::create(&path)?);
        let mut newest = None;
        each(&mut *reader, |payload| {
            records += 1;
            let tick = decode(payload).map_err(|error| anyhow::anyhow!("a tick of ours: {error:?}"))?;
            newest = newest.max(Some(tick.time));
            file.write_all(payload)?;
            Ok(file.write_all(b"\n")?)
        })?;
        file.flush()?;
        let newest = newest.with_context(|| format!("partition {} has no record", reader.partition()))?;
        frontiers.push(next_second(newest.millis().saturating_sub(settings.max_out_of_orderness_ms)));
        files.push(path);
    }
    let frontier = frontiers.into_iter().min().context("the topic has no partition")?;
    Ok((files, EventTime(frontier), records))
}

/// Calls `visit` with each record of a bounded partition.
pub(super) fn each(
    reader: &mut dyn PartitionReader,
    mut visit: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut visited = Ok(());
    loop {
        let status = reader.read(10_000, &mut |record| {
            if let (Ok(()), Some(payload)) = (&visited, record.payload) {
                visited = visit(payload);
            }
        });
        std::mem::replace(&mut visited, Ok(()))?;
        match status {
            ReadStatus::Finished => return Ok(()),
            ReadStatus::Failed(message) => bail!(message),
            // No record is available yet.
            ReadStatus::CaughtUp | ReadStatus::Pending => std::thread::sleep(Duration::from_millis(5)),
            ReadStatus::More => {}
        }
    }
}
