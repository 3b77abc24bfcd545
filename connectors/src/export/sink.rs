//! The sink of a replay: collects its results and writes them at its end.

use super::alerts::Alerts;
use super::candles::Candles;
use super::draft::Draft;
use super::rejects::Rejects;
use super::summary::{Summary, peak_rss_bytes};
use super::table::Format;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tallow_model::error::Error;
use tallow_model::{Counts, Reject, Step};

/// The figures that the caller knows of the run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Run {
    /// Records of all partitions, by bucket.
    pub counts: Counts,
    /// Time from the start of reading to the last settled result.
    pub elapsed: Duration,
    /// Worker threads of all processes.
    pub workers: usize,
}

/// Collects the results of a replay. Dropped before [`finish`](Export::finish), it leaves nothing
/// behind.
pub struct Export {
    folder: PathBuf,
    format: Format,
    candles: Candles,
    alerts: Alerts,
    rejects: Rejects,
}

impl Export {
    /// Begins an export into a folder, which is created if missing. Checks at once that the folder
    /// can be written.
    ///
    /// # Errors
    /// When the path is a file, or can't be created or written.
    pub fn create(folder: &Path, format: Format) -> Result<Export, Error> {
        if folder.exists() && !folder.is_dir() {
            return Err(Error::Invalid(format!(
                "write results into {}: it is a file, not a folder",
                folder.display()
            )));
        }
        std::fs::create_dir_all(folder).map_err(|source| Error::file("create folder", folder, source))?;
        Ok(Export {
            folder: folder.to_owned(),
            format,
            candles: Candles::default(),
            alerts: Alerts::default(),
            rejects: Rejects::create(folder)?,
        })
    }

    /// Adds a worker's step. The steps of several workers may come in any order.
    pub fn settled(&mut self, step: &Step) {
        self.candles.add(&step.candles);
        self.alerts.add(&step.alerts);
    }

    /// Writes rejected records.
    ///
    /// # Errors
    /// When writing fails.
    pub fn rejected(&mut self, rejects: &[Reject]) -> Result<(), Error> {
        rejects.iter().try_for_each(|reject| self.rejects.add(reject))
    }

    /// Writes all files, and gives them their names only when each is complete.
    ///
    /// # Errors
    /// When a file can't be written. Then no file has its name, unless moving them into place
    /// failed.
    pub fn finish(self, run: &Run) -> Result<Summary, Error> {
        let Export { folder, format, candles, alerts, rejects } = self;
        let candles_name = format!("candles.{}", format.name());
        let (candles_file, (candles, corrections)) =
            written(&folder, &candles_name, |out| candles.write(format, out))?;
        let alerts_name = format!("alerts.{}", format.name());
        let (alerts_file, (alerts, alerts_retracted)) =
            written(&folder, &alerts_name, |out| alerts.write(format, out))?;
        let rejects_file = rejects.complete()?;

        let Counts { records_in, on_time, late, malformed, invalid, future, too_late, tombstones } =
            run.counts;
        let elapsed_seconds = run.elapsed.as_secs_f64();
        let summary = Summary {
            records_in,
            on_time,
            late,
            malformed,
            invalid,
            future,
            too_late,
            tombstones,
            candles,
            alerts,
            alerts_retracted,
            corrections,
            elapsed_seconds,
            ticks_per_second: if run.elapsed.is_zero() { 0.0 } else { records_in as f64 / elapsed_seconds },
            peak_rss_bytes: peak_rss_bytes(),
            workers: run.workers,
        };
        let (summary_file, ()) = written(&folder, "summary.json", |out| {
            serde_json::to_writer_pretty(&mut *out, &summary)?;
            out.write_all(b"\n")
        })?;

        candles_file.publish_as(&candles_name)?;
        alerts_file.publish_as(&alerts_name)?;
        rejects_file.publish_as(Rejects::name())?;
        summary_file.publish_as("summary.json")?;
        Ok(summary)
    }
}

/// Returns a complete file, and the result of writing it.
fn written<T>(
    folder: &Path,
    name: &str,
    write: impl FnOnce(&mut std::io::BufWriter<std::fs::File>) -> std::io::Result<T>,
) -> Result<(Draft, T), Error> {
    let mut draft = Draft::create(folder, name)?;
    let value = draft.write_with(write)?;
    draft.complete()?;
    Ok((draft, value))
}
