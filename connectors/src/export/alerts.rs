//! The rows of `alerts.{csv,jsonl}`.

use super::table::{Cell, Format, Table};
use std::cmp::{Ordering, Reverse};
use std::io::{self, Write};
use tallow_model::{AlertStatus, Price, SettledAlert};

const COLUMNS: &[&str] = &[
    "alert_id",
    "symbol",
    "alert_type",
    "severity",
    "window_start",
    "window_end",
    "old_price",
    "new_price",
    "price_change_percent",
    "z_score",
    "mean",
    "stddev",
    "samples",
    "revision",
    "status",
];

/// Versions of alerts, of which the newest are written, retracted ones included.
#[derive(Default)]
pub(super) struct Alerts(Vec<SettledAlert>);

impl Alerts {
    /// Adds versions, in any order.
    pub(super) fn add(&mut self, versions: &[SettledAlert]) {
        self.0.extend_from_slice(versions);
    }

    /// Writes the newest versions in order; returns their number and the number of retracted ones.
    ///
    /// # Errors
    /// When `out` fails.
    pub(super) fn write(mut self, format: Format, out: &mut impl Write) -> io::Result<(u64, u64)> {
        // The newest version comes first; `dedup` keeps that one.
        self.0.sort_unstable_by(|a, b| same_alert(a, b).then_with(|| age(b, a)));
        self.0.dedup_by(|later, earlier| same_alert(later, earlier).is_eq());
        let mut table = Table::new(format, COLUMNS, out)?;
        for settled in &self.0 {
            row(&mut table, settled)?;
        }
        let retracted = self.0.iter().filter(|settled| settled.status == AlertStatus::Retracted).count();
        Ok((self.0.len() as u64, retracted as u64))
    }
}

/// Compares the keys in the order in which alerts are written; equal for two versions of one alert.
fn same_alert(a: &SettledAlert, b: &SettledAlert) -> Ordering {
    let key = |settled: &SettledAlert| (settled.alert.symbol, settled.alert.window_start);
    key(a).cmp(&key(b))
}

/// Orders versions by age. At one logical time an alert is retracted before it is raised anew.
fn age(a: &SettledAlert, b: &SettledAlert) -> Ordering {
    let key = |settled: &SettledAlert| (settled.settled_at, Reverse(settled.status));
    key(a).cmp(&key(b)).then_with(|| a.cmp(b))
}

fn row<W: Write>(table: &mut Table<'_, W>, settled: &SettledAlert) -> io::Result<()> {
    let alert = &settled.alert;
    table.row(&[
        Cell::Name(&alert.id()),
        Cell::Name(&alert.symbol.text()),
        Cell::Name(alert.alert_type().name()),
        Cell::Name(alert.severity().name()),
        Cell::Integer(alert.window_start.millis()),
        Cell::Integer(alert.window_end().millis()),
        Cell::Float(alert.previous_close),
        Cell::Float(alert.close),
        Cell::Float(Price(alert.price_change_percent())),
        Cell::Float(alert.z_score),
        Cell::Float(alert.mean),
        Cell::Float(alert.stddev),
        Cell::Integer(u64::from(alert.samples)),
        Cell::Integer(u64::from(alert.revision)),
        Cell::Name(settled.status.name()),
    ])
}
