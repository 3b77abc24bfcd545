//! The opening of the simulated market: some hours ago at the first start, at the end of the log
//! later.

use crate::config::UpConfig;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use tallow_connectors::feeds::simulator::{Simulator, SimulatorSettings};
use tallow_connectors::logs::filelog::FileLogWriter;
use tallow_model::Error;
use tallow_model::{EventTime, MINUTE_MS, Price, Symbol, decode};

const HOUR_MS: f64 = 3_600_000.0;

/// Opens the market, and returns it with the time from which it trades.
///
/// A symbol continues at the price of its last tick in the log; one that is not in the log starts
/// at its usual price. The time between the end of the log and now is traded too, as far back as
/// the backfill reaches.
///
/// # Errors
/// If a setting can't be used, or the log can't be read.
pub(super) fn open(up: &UpConfig, log: &FileLogWriter, now_ms: u64) -> Result<(Simulator, EventTime), Error> {
    let settings = SimulatorSettings {
        seed: up.seed,
        symbols: up.symbols.clone(),
        trades_per_second: up.trades_per_second,
        ..SimulatorSettings::default()
    };
    // The setting is finite and not negative; a fraction of a millisecond is cut off.
    let earliest = now_ms.saturating_sub((up.backfill_hours * HOUR_MS) as u64);
    let last = LastTrades::read(log, &up.symbols)?;
    let from_ms = match last.end {
        // At a full minute, so that the first candle is complete. Without backfill it can't be.
        None if earliest < now_ms => earliest - earliest % MINUTE_MS,
        None => now_ms,
        Some(end) => (end.millis() + 1).max(earliest),
    };
    let from = EventTime(from_ms);
    if let Some(end) = last.end {
        if end.millis() + 1 < from_ms {
            tracing::info!(
                since = end.rfc3339(),
                until = from.rfc3339(),
                backfill_hours = up.backfill_hours,
                "history has a gap: the backfill is shorter than the pause"
            );
        }
        if end.millis() > now_ms {
            tracing::warn!(
                log_end = end.rfc3339(),
                "log ends in the future, the market continues from its end"
            );
        }
    }
    let trades: Vec<_> = last.trades.iter().map(|(symbol, (price, time))| (*symbol, *price, *time)).collect();
    Ok((Simulator::resume(&settings, &trades, from_ms)?, from))
}

/// The last trades in the log.
#[derive(Default)]
struct LastTrades {
    /// The newest event time; `None` if the log is empty.
    end: Option<EventTime>,
    /// The last price of each symbol, and its time.
    trades: BTreeMap<Symbol, (Price, EventTime)>,
}

impl LastTrades {
    /// Reads each partition backwards until all symbols that belong to it are found.
    fn read(log: &FileLogWriter, symbols: &[Symbol]) -> Result<LastTrades, Error> {
        let mut last = LastTrades::default();
        let reader = log.log();
        for partition in 0..reader.partitions() {
            let mut wanted: BTreeSet<Symbol> =
                symbols.iter().copied().filter(|symbol| log.partition_of(*symbol) == partition).collect();
            reader.newest_first(partition, &mut |line| {
                // The graph rejects a line that is no tick.
                let Ok(tick) = decode(line) else { return ControlFlow::Continue(()) };
                last.end = last.end.max(Some(tick.time));
                if wanted.remove(&tick.symbol) {
                    last.trades.insert(tick.symbol, (Price(tick.price.value), tick.time));
                }
                if wanted.is_empty() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
        }
        Ok(last)
    }
}
