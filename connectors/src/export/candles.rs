//! The rows of `candles.{csv,jsonl}`.

use super::summary::CandleCounts;
use super::table::{Cell, Format, Table};
use std::cmp::Ordering;
use std::io::{self, Write};
use tallow_model::{Interval, SettledCandle};

const COLUMNS: &[&str] = &[
    "symbol",
    "interval",
    "window_start",
    "window_end",
    "open",
    "high",
    "low",
    "close",
    "avg",
    "vwap",
    "volume",
    "quote_volume",
    "trade_count",
    "revision",
];

/// Fewest outdated versions that are worth dropping before the end.
const OUTDATED_MIN: usize = 1 << 18;

/// Versions of candles, of which the newest are written.
#[derive(Default)]
pub(super) struct Candles {
    versions: Vec<SettledCandle>,
    /// Number of versions that another one replaces: one for each correction.
    outdated: usize,
}

impl Candles {
    /// Adds versions, in any order.
    pub(super) fn add(&mut self, versions: &[SettledCandle]) {
        self.versions.extend_from_slice(versions);
        self.outdated += versions.iter().filter(|version| version.revision > 0).count();
        // Many corrections must not take more memory than the candles do. This costs one sort each
        // time a third of the versions is outdated.
        if self.outdated > OUTDATED_MIN.max(self.versions.len() / 3) {
            self.keep_newest();
        }
    }

    /// Sorts, and drops every version but the newest of each candle.
    fn keep_newest(&mut self) {
        self.versions.sort_unstable_by(|a, b| same_candle(a, b).then_with(|| age(a, b)));
        self.versions.dedup_by(|later, earlier| {
            let same = same_candle(later, earlier).is_eq();
            if same {
                *earlier = *later;
            }
            same
        });
        self.outdated = 0;
    }

    /// Writes the newest versions in order; returns their number by interval, and the number of
    /// corrections.
    ///
    /// # Errors
    /// When `out` fails.
    pub(super) fn write(mut self, format: Format, out: &mut impl Write) -> io::Result<(CandleCounts, u64)> {
        self.keep_newest();
        let (mut counts, mut corrections) = (CandleCounts::default(), 0);
        let mut table = Table::new(format, COLUMNS, out)?;
        for settled in &self.versions {
            row(&mut table, settled)?;
            corrections += u64::from(settled.revision);
            match settled.interval {
                Interval::OneMinute => counts.one_minute += 1,
                Interval::FiveMinutes => counts.five_minutes += 1,
                Interval::FifteenMinutes => counts.fifteen_minutes += 1,
            }
        }
        Ok((counts, corrections))
    }
}

/// Compares the keys in the order in which candles are written; equal for two versions of one
/// candle.
fn same_candle(a: &SettledCandle, b: &SettledCandle) -> Ordering {
    let key = |settled: &SettledCandle| (settled.symbol, settled.interval, settled.candle.window_start);
    key(a).cmp(&key(b))
}

/// Orders versions by age. Beyond the number of ticks, this only makes the choice the same in every
/// run.
fn age(a: &SettledCandle, b: &SettledCandle) -> Ordering {
    let key = |settled: &SettledCandle| (settled.candle.count, settled.revision);
    key(a).cmp(&key(b)).then_with(|| a.cmp(b))
}

fn row<W: Write>(table: &mut Table<'_, W>, settled: &SettledCandle) -> io::Result<()> {
    let SettledCandle { symbol, interval, candle, revision, .. } = settled;
    let start = candle.window_start.millis();
    table.row(&[
        Cell::Name(&symbol.text()),
        Cell::Name(interval.name()),
        Cell::Integer(start),
        Cell::Integer(start + interval.millis()),
        Cell::Float(candle.open),
        Cell::Float(candle.high),
        Cell::Float(candle.low),
        Cell::Float(candle.close),
        Cell::Float(candle.average()),
        candle.vwap().map_or(Cell::Absent, Cell::Float),
        Cell::Decimal(&candle.volume()),
        Cell::Decimal(&candle.quote_volume()),
        Cell::Integer(u64::from(candle.count)),
        Cell::Integer(u64::from(*revision)),
    ])
}
