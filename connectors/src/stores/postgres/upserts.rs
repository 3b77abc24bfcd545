//! Changes as rows of the tables: one statement a table and batch, with columns as parameters.
//!
//! A statement can't touch a row twice. So of several versions in a batch only the one is sent that
//! would remain if they were written one after the other. Rows are sent in the order of their keys,
//! so two writers never wait for each other in a circle.

use super::names::NameText;
use super::progress;
use super::time::Time;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use std::collections::BTreeMap;
use tallow_model::coins::Coins;
use tallow_model::rows::{AlertRow, CandleRow};
use tallow_model::version::REPLACES_STORED;
use tallow_model::{EventTime, Interval, SettledAlert, SettledCandle, Step, Symbol};
use tokio_postgres::{Client, Error, Row, Statement, Transaction};

/// Rows in one statement, so that a parameter never grows without bound.
const PER_STATEMENT: usize = 20_000;

/// The prepared statements of a connection.
#[derive(Debug)]
pub(super) struct Statements {
    candles: [Statement; 3],
    alerts: Statement,
    known_symbols: Statement,
    new_symbols: Statement,
    /// Moves the process's progress: see [`progress::ADVANCE`].
    pub(super) advance: Statement,
}

impl Statements {
    pub(super) async fn prepare(client: &Client) -> Result<Statements, Error> {
        let [one, five, fifteen] = Interval::ALL.map(candle_upsert);
        Ok(Statements {
            candles: [
                client.prepare(&one).await?,
                client.prepare(&five).await?,
                client.prepare(&fifteen).await?,
            ],
            alerts: client.prepare(ALERT_UPSERT).await?,
            known_symbols: client.prepare(KNOWN_SYMBOLS).await?,
            new_symbols: client.prepare(SYMBOL_UPSERT).await?,
            advance: client.prepare(progress::ADVANCE).await?,
        })
    }
}

const KNOWN_SYMBOLS: &str = "SELECT symbol, id FROM cryptocurrencies WHERE symbol = ANY($1::TEXT[])";

/// Adds symbols. The update changes nothing; it makes an existing row be returned too.
const SYMBOL_UPSERT: &str =
    "INSERT INTO cryptocurrencies (symbol, name, coingecko_id, created_at, updated_at)
     SELECT symbol, name, id, seen, seen
     FROM UNNEST($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::TIMESTAMPTZ[]) AS new (symbol, name, id, seen)
     ON CONFLICT (symbol) DO UPDATE SET symbol = excluded.symbol RETURNING symbol, id";

/// Returns the statement that stores versions of candles unless a row has the same or a newer one.
/// Numbers are sent as text, which keeps their digits; of a float PostgreSQL would take fifteen.
fn candle_upsert(interval: Interval) -> String {
    format!(
        "INSERT INTO price_aggregates_{interval} AS stored (
            crypto_id, window_start, window_end, open_price, high_price, low_price, close_price, avg_price, vwap,
            volume_sum, quote_volume, trade_count, revision, updated_at)
         SELECT crypto_id, window_start, window_end, open::NUMERIC, high::NUMERIC, low::NUMERIC, close::NUMERIC,
            average::NUMERIC, vwap::NUMERIC, volume::NUMERIC, quote::NUMERIC, ticks, revision, settled_at
         FROM UNNEST($1::INT4[], $2::TIMESTAMPTZ[], $3::TIMESTAMPTZ[], $4::TEXT[], $5::TEXT[], $6::TEXT[],
                $7::TEXT[], $8::TEXT[], $9::TEXT[], $10::TEXT[], $11::TEXT[], $12::INT8[], $13::INT4[],
                $14::TIMESTAMPTZ[])
            AS new (crypto_id, window_start, window_end, open, high, low, close, average, vwap, volume, quote,
                ticks, revision, settled_at)
         ON CONFLICT (crypto_id, window_start) DO UPDATE SET
            window_end = excluded.window_end, open_price = excluded.open_price, high_price = excluded.high_price,
            low_price = excluded.low_price, close_price = excluded.close_price, avg_price = excluded.avg_price,
            vwap = excluded.vwap, volume_sum = excluded.volume_sum, quote_volume = excluded.quote_volume,
            trade_count = excluded.trade_count, revision = GREATEST(stored.revision, excluded.revision),
            updated_at = excluded.updated_at
         WHERE {REPLACES_STORED}"
    )
}

const ALERT_UPSERT: &str = "INSERT INTO price_alerts AS stored (
        alert_id, crypto_id, alert_type, severity, price_change_pct, old_price, new_price, z_score, mean, stddev,
        samples, threshold, window_start, window_end, revision, status, created_at, settled_at)
     SELECT alert_id, crypto_id, alert_type, severity, change, old_price::NUMERIC, new_price::NUMERIC, z_score, mean,
        stddev, samples, threshold, window_start, window_end, revision, status, window_end, settled_at
     FROM UNNEST($1::TEXT[], $2::INT4[], $3::TEXT[], $4::TEXT[], $5::FLOAT8[], $6::TEXT[], $7::TEXT[], $8::FLOAT8[],
            $9::FLOAT8[], $10::FLOAT8[], $11::INT4[], $12::FLOAT8[], $13::TIMESTAMPTZ[], $14::TIMESTAMPTZ[],
            $15::INT4[], $16::TEXT[], $17::TIMESTAMPTZ[])
        AS new (alert_id, crypto_id, alert_type, severity, change, old_price, new_price, z_score, mean, stddev,
            samples, threshold, window_start, window_end, revision, status, settled_at)
     ON CONFLICT (alert_id) DO UPDATE SET
        alert_type = excluded.alert_type, severity = excluded.severity,
        price_change_pct = excluded.price_change_pct, old_price = excluded.old_price,
        new_price = excluded.new_price, z_score = excluded.z_score, mean = excluded.mean,
        stddev = excluded.stddev, samples = excluded.samples, threshold = excluded.threshold,
        revision = excluded.revision, status = excluded.status, settled_at = excluded.settled_at
     WHERE excluded.settled_at > stored.settled_at";

/// Writes all changes of the steps.
pub(super) async fn write(
    transaction: &Transaction<'_>,
    statements: &Statements,
    coins: &Coins,
    steps: &[Step],
) -> Result<(), Error> {
    let ids = ids(transaction, statements, coins, steps).await?;
    for (interval, statement) in Interval::ALL.into_iter().zip(&statements.candles) {
        for part in newest_candles(steps, interval).chunks(PER_STATEMENT) {
            write_candles(transaction, statement, &ids, part).await?;
        }
    }
    for part in newest_alerts(steps).chunks(PER_STATEMENT) {
        write_alerts(transaction, &statements.alerts, &ids, part).await?;
    }
    Ok(())
}

/// Returns the ids of the steps' symbols; adds new symbols, first seen at the time of their first
/// change.
///
/// The ids are queried with every write and not remembered, so that they stay right whatever is
/// done to the table.
async fn ids(
    transaction: &Transaction<'_>,
    statements: &Statements,
    coins: &Coins,
    steps: &[Step],
) -> Result<HashMap<Symbol, i32>, Error> {
    let candles = steps.iter().flat_map(|step| &step.candles).map(|it| (it.symbol, it.settled_at));
    let alerts = steps.iter().flat_map(|step| &step.alerts).map(|it| (it.alert.symbol, it.settled_at));
    let mut first_seen: BTreeMap<Symbol, EventTime> = BTreeMap::new();
    for (symbol, seen) in candles.chain(alerts) {
        let first = first_seen.entry(symbol).or_insert(seen);
        *first = seen.min(*first);
    }
    let mut ids = HashMap::with_capacity(first_seen.len());
    let names: Vec<String> = first_seen.keys().map(Symbol::to_string).collect();
    read_ids(&mut ids, &transaction.query(&statements.known_symbols, &[&names]).await?)?;
    first_seen.retain(|symbol, _| !ids.contains_key(symbol));
    if !first_seen.is_empty() {
        let symbols: Vec<String> = first_seen.keys().map(Symbol::to_string).collect();
        let (names, coin_ids): (Vec<Option<&str>>, Vec<Option<&str>>) = first_seen
            .keys()
            .map(|symbol| coins.of(*symbol).map(|coin| (&*coin.name, &*coin.id)).unzip())
            .unzip();
        let seen: Vec<Time> = first_seen.into_values().map(Time::from).collect();
        let added = transaction.query(&statements.new_symbols, &[&symbols, &names, &coin_ids, &seen]).await?;
        read_ids(&mut ids, &added)?;
    }
    Ok(ids)
}

fn read_ids(ids: &mut HashMap<Symbol, i32>, rows: &[Row]) -> Result<(), Error> {
    for row in rows {
        let NameText(symbol) = row.try_get(0)?;
        ids.insert(symbol, row.try_get(1)?);
    }
    Ok(())
}

/// Returns the remaining version of each candle, by symbol and window.
fn newest_candles(steps: &[Step], interval: Interval) -> Vec<SettledCandle> {
    let mut newest: HashMap<(Symbol, EventTime), SettledCandle> = HashMap::new();
    for candle in steps.iter().flat_map(|step| &step.candles).filter(|it| it.interval == interval) {
        match newest.entry((candle.symbol, candle.candle.window_start)) {
            Entry::Vacant(entry) => {
                entry.insert(*candle);
            }
            Entry::Occupied(mut entry) => {
                entry.get_mut().replace_if_newer(candle);
            }
        }
    }
    let mut newest: Vec<SettledCandle> = newest.into_values().collect();
    newest.sort_unstable_by_key(|it| (it.symbol, it.candle.window_start));
    newest
}

/// Returns the remaining version of each alert, by symbol and window.
fn newest_alerts(steps: &[Step]) -> Vec<SettledAlert> {
    let mut newest: BTreeMap<(Symbol, EventTime), SettledAlert> = BTreeMap::new();
    for alert in steps.iter().flat_map(|step| &step.alerts) {
        let stored = newest.entry((alert.alert.symbol, alert.alert.window_start)).or_insert(*alert);
        if alert.settled_at > stored.settled_at {
            *stored = *alert;
        }
    }
    newest.into_values().collect()
}

async fn write_candles(
    transaction: &Transaction<'_>,
    statement: &Statement,
    ids: &HashMap<Symbol, i32>,
    candles: &[SettledCandle],
) -> Result<(), Error> {
    let rows: Vec<CandleRow> = candles.iter().map(CandleRow::from).collect();
    let id: Vec<Option<&i32>> = rows.iter().map(|row| ids.get(&row.symbol)).collect();
    let start: Vec<Time> = rows.iter().map(|row| row.window_start.into()).collect();
    let end: Vec<Time> = rows.iter().map(|row| row.window_end.into()).collect();
    let text = |value: fn(&CandleRow) -> f64| -> Vec<String> {
        rows.iter().map(|row| value(row).to_string()).collect()
    };
    let (open, high) = (text(|row| row.open_price), text(|row| row.high_price));
    let (low, close) = (text(|row| row.low_price), text(|row| row.close_price));
    let average = text(|row| row.avg_price);
    let vwap: Vec<Option<String>> = rows.iter().map(|row| row.vwap.map(|price| price.to_string())).collect();
    // Sums are exact decimals with all their digits, not the nearest floats.
    let volume: Vec<String> = candles.iter().map(|it| it.candle.volume().to_string()).collect();
    let quote: Vec<String> = candles.iter().map(|it| it.candle.quote_volume().to_string()).collect();
    let ticks: Vec<i64> = rows.iter().map(|row| integer(row.trade_count)).collect();
    let revision: Vec<i32> = rows.iter().map(|row| small(row.revision)).collect();
    let settled_at: Vec<Time> = candles.iter().map(|it| it.settled_at.into()).collect();
    transaction
        .execute(
            statement,
            &[
                &id,
                &start,
                &end,
                &open,
                &high,
                &low,
                &close,
                &average,
                &vwap,
                &volume,
                &quote,
                &ticks,
                &revision,
                &settled_at,
            ],
        )
        .await?;
    Ok(())
}

async fn write_alerts(
    transaction: &Transaction<'_>,
    statement: &Statement,
    ids: &HashMap<Symbol, i32>,
    alerts: &[SettledAlert],
) -> Result<(), Error> {
    let rows: Vec<AlertRow> = alerts.iter().map(AlertRow::from).collect();
    let name: Vec<&str> = rows.iter().map(|row| row.alert_id.as_str()).collect();
    let id: Vec<Option<&i32>> = rows.iter().map(|row| ids.get(&row.symbol)).collect();
    let kind: Vec<&str> = rows.iter().map(|row| row.alert_type.name()).collect();
    let severity: Vec<&str> = rows.iter().map(|row| row.severity.name()).collect();
    let float = |value: fn(&AlertRow) -> f64| -> Vec<f64> { rows.iter().map(value).collect() };
    let text = |value: fn(&AlertRow) -> f64| -> Vec<String> {
        rows.iter().map(|row| value(row).to_string()).collect()
    };
    let (change, z_score) = (float(|row| row.price_change_pct), float(|row| row.z_score));
    let (old_price, new_price) = (text(|row| row.old_price), text(|row| row.new_price));
    let (mean, stddev) = (float(|row| row.mean), float(|row| row.stddev));
    let threshold = float(|row| row.threshold);
    let samples: Vec<i32> = rows.iter().map(|row| small(row.samples)).collect();
    let start: Vec<Time> = rows.iter().map(|row| row.window_start.into()).collect();
    let end: Vec<Time> = rows.iter().map(|row| row.window_end.into()).collect();
    let revision: Vec<i32> = rows.iter().map(|row| small(row.revision)).collect();
    let status: Vec<&str> = rows.iter().map(|row| row.status.name()).collect();
    let settled_at: Vec<Time> = alerts.iter().map(|it| it.settled_at.into()).collect();
    transaction
        .execute(
            statement,
            &[
                &name,
                &id,
                &kind,
                &severity,
                &change,
                &old_price,
                &new_price,
                &z_score,
                &mean,
                &stddev,
                &samples,
                &threshold,
                &start,
                &end,
                &revision,
                &status,
                &settled_at,
            ],
        )
        .await?;
    Ok(())
}

/// Converts to PostgreSQL's signed integers. A larger value would be more ticks, or a further
/// offset, than can exist.
pub(super) fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn small(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}
