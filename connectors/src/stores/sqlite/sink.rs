//! The writer: settled steps and rejects into the database file.

use super::convert::{integer, millis};
use super::errors::sqlite;
use super::rejects;
use super::schema::open_for_writing;
use hashbrown::HashMap;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use std::path::{Path, PathBuf};
use tallow_model::coins::Coins;
use tallow_model::error::Error;
use tallow_model::progress::Recorded;
use tallow_model::rows::{AlertRow, CandleRow};
use tallow_model::store::Sink;
use tallow_model::version::REPLACES_STORED;
use tallow_model::{EventTime, Interval, Reject, SettledAlert, SettledCandle, Step, Symbol};

/// Writes settled results into the embedded store.
///
/// Versions of a candle are ordered by tick count (a correction only adds ticks), then by revision;
/// versions of an alert by the logical time of the change. An older or equal version leaves the row
/// unchanged. So the same steps can be written again, in whole or in part, any number of times. The
/// revision of a row never decreases.
#[derive(Debug)]
pub struct SqliteSink {
    connection: Connection,
    path: PathBuf,
    /// Ids of the symbols in the file.
    ids: HashMap<Symbol, i64>,
    recorded: Recorded,
}

impl SqliteSink {
    /// Opens or creates the database file, to write the steps of `workers` workers.
    ///
    /// # Errors
    /// When the file can't be opened or created, is read-only, is not Tallow's database, or belongs
    /// to a newer program.
    pub fn open(path: impl AsRef<Path>, workers: usize) -> Result<SqliteSink, Error> {
        let path = path.as_ref();
        let connection = open_for_writing(path)?;
        let failed = sqlite("read", path);
        let ids = read_ids(&connection).map_err(&failed)?;
        let recorded = read_progress(&connection).map_err(&failed)?;
        Ok(SqliteSink {
            connection,
            path: path.to_path_buf(),
            ids,
            recorded: Recorded::new(0..workers, recorded),
        })
    }

    /// Returns the connection, for tests that break it.
    #[cfg(test)]
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Writes the changes in one transaction; returns the ids that it assigned.
    fn store(&mut self, steps: &[Step], through: Option<EventTime>) -> rusqlite::Result<Vec<(Symbol, i64)>> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut ids = Ids { known: &self.ids, added: Vec::new() };
        write_candles(&transaction, steps, &mut ids)?;
        write_alerts(&transaction, steps, &mut ids)?;
        if let Some(through) = through {
            transaction
                .prepare_cached(
                    "INSERT INTO progress (id, stored_through) VALUES (1, ?1)
                     ON CONFLICT (id) DO UPDATE SET stored_through = MAX(stored_through, excluded.stored_through)",
                )?
                .execute([millis(through)])?;
        }
        let added = ids.added;
        transaction.commit()?;
        Ok(added)
    }
}

impl Sink for SqliteSink {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn write(&mut self, steps: &[Step]) -> Result<(), Error> {
        let (recorded, due) = self.recorded.after(steps);
        if due {
            let stored = self.store(steps, recorded.through());
            self.ids.extend(stored.map_err(sqlite("store settled changes in", &self.path))?);
        }
        self.recorded = recorded;
        Ok(())
    }

    fn write_rejects(&mut self, rejects: &[Reject]) -> Result<(), Error> {
        if rejects.is_empty() {
            return Ok(());
        }
        rejects::store(&mut self.connection, rejects).map_err(sqlite("store rejects in", &self.path))
    }

    fn stored_through(&self) -> Option<EventTime> {
        self.recorded.through()
    }
}

/// Reads the time up to which the file is complete.
pub(super) fn read_progress(connection: &Connection) -> rusqlite::Result<Option<EventTime>> {
    let through: Option<i64> = connection
        .prepare_cached("SELECT stored_through FROM progress")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(through.map(|ms| EventTime(ms.unsigned_abs())))
}

fn read_ids(connection: &Connection) -> rusqlite::Result<HashMap<Symbol, i64>> {
    let mut statement = connection.prepare("SELECT symbol, id FROM cryptocurrencies")?;
    let mut rows = statement.query([])?;
    let mut ids = HashMap::new();
    while let Some(row) = rows.next()? {
        // A name that another program wrote and that is no symbol can't appear in a step either.
        if let Ok(symbol) = Symbol::parse(row.get_ref(0)?.as_str()?.as_bytes()) {
            ids.insert(symbol, row.get(1)?);
        }
    }
    Ok(ids)
}

/// The ids of symbols: those in the file before the transaction, and those that the transaction
/// adds.
struct Ids<'a> {
    known: &'a HashMap<Symbol, i64>,
    added: Vec<(Symbol, i64)>,
}

impl Ids<'_> {
    fn of(
        &mut self,
        transaction: &Transaction<'_>,
        symbol: Symbol,
        seen: EventTime,
    ) -> rusqlite::Result<i64> {
        let added = || self.added.iter().rev().find(|(name, _)| *name == symbol).map(|(_, id)| id);
        if let Some(id) = self.known.get(&symbol).or_else(added) {
            return Ok(*id);
        }
        let (name, coin_id) = Coins::known().of(symbol).map(|coin| (&coin.name, &coin.id)).unzip();
        // The update changes nothing; it makes an existing row be returned too.
        let id = transaction
            .prepare_cached(
                "INSERT INTO cryptocurrencies (symbol, name, coingecko_id, created_at, updated_at)
                 VALUES (?1, ?2, ?3, ?4, ?4)
                 ON CONFLICT (symbol) DO UPDATE SET symbol = excluded.symbol RETURNING id",
            )?
            .query_row(params![&*symbol.text(), name, coin_id, millis(seen)], |row| row.get(0))?;
        self.added.push((symbol, id));
        Ok(id)
    }
}

/// Returns the statement that stores a version of a candle unless the row has the same or a newer
/// one.
fn candle_upsert(interval: Interval) -> String {
    format!(
        "INSERT INTO price_aggregates_{interval} AS stored (
            crypto_id, window_start, window_end, open_price, high_price, low_price, close_price, avg_price, vwap,
            volume_sum, quote_volume, trade_count, revision, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
         ON CONFLICT (crypto_id, window_start) DO UPDATE SET
            window_end = excluded.window_end, open_price = excluded.open_price, high_price = excluded.high_price,
            low_price = excluded.low_price, close_price = excluded.close_price, avg_price = excluded.avg_price,
            vwap = excluded.vwap, volume_sum = excluded.volume_sum, quote_volume = excluded.quote_volume,
            trade_count = excluded.trade_count, revision = MAX(stored.revision, excluded.revision),
            updated_at = excluded.updated_at
         WHERE {REPLACES_STORED}"
    )
}

fn write_candles(transaction: &Transaction<'_>, steps: &[Step], ids: &mut Ids<'_>) -> rusqlite::Result<()> {
    for interval in Interval::ALL {
        let mut candles =
            steps.iter().flat_map(|step| &step.candles).filter(|it| it.interval == interval).peekable();
        if candles.peek().is_none() {
            continue;
        }
        let mut upsert = transaction.prepare_cached(&candle_upsert(interval))?;
        // Candles are usually sorted by symbol, so the last id usually fits.
        let mut last: Option<(Symbol, i64)> = None;
        for settled in candles {
            let id = match last {
                Some((symbol, id)) if symbol == settled.symbol => id,
                _ => ids.of(transaction, settled.symbol, settled.settled_at)?,
            };
            last = Some((settled.symbol, id));
            write_candle(&mut upsert, id, settled)?;
        }
    }
    Ok(())
}

fn write_candle(upsert: &mut CachedStatement<'_>, id: i64, settled: &SettledCandle) -> rusqlite::Result<()> {
    let row = CandleRow::from(settled);
    upsert.execute(params![
        id,
        millis(row.window_start),
        millis(row.window_end),
        row.open_price,
        row.high_price,
        row.low_price,
        row.close_price,
        row.avg_price,
        row.vwap,
        row.volume_sum,
        row.quote_volume,
        integer(row.trade_count),
        row.revision,
        millis(settled.settled_at),
    ])?;
    Ok(())
}

const ALERT_UPSERT: &str = "INSERT INTO price_alerts AS stored (
        alert_id, crypto_id, alert_type, severity, price_change_pct, old_price, new_price, z_score, mean, stddev,
        samples, threshold, window_start, window_end, revision, status, created_at, settled_at)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)
     ON CONFLICT (alert_id) DO UPDATE SET
        alert_type = excluded.alert_type, severity = excluded.severity,
        price_change_pct = excluded.price_change_pct, old_price = excluded.old_price,
        new_price = excluded.new_price, z_score = excluded.z_score, mean = excluded.mean,
        stddev = excluded.stddev, samples = excluded.samples, threshold = excluded.threshold,
        revision = excluded.revision, status = excluded.status, settled_at = excluded.settled_at
     WHERE excluded.settled_at > stored.settled_at";

fn write_alerts(transaction: &Transaction<'_>, steps: &[Step], ids: &mut Ids<'_>) -> rusqlite::Result<()> {
    for settled in steps.iter().flat_map(|step| &step.alerts) {
        let id = ids.of(transaction, settled.alert.symbol, settled.settled_at)?;
        write_alert(&mut transaction.prepare_cached(ALERT_UPSERT)?, id, settled)?;
    }
    Ok(())
}

fn write_alert(upsert: &mut CachedStatement<'_>, id: i64, settled: &SettledAlert) -> rusqlite::Result<()> {
    let row = AlertRow::from(settled);
    upsert.execute(params![
        row.alert_id,
        id,
        row.alert_type.name(),
        row.severity.name(),
        row.price_change_pct,
        row.old_price,
        row.new_price,
        row.z_score,
        row.mean,
        row.stddev,
        row.samples,
        row.threshold,
        millis(row.window_start),
        millis(row.window_end),
        row.revision,
        row.status.name(),
        millis(row.created_at),
        millis(settled.settled_at),
    ])?;
    Ok(())
}
