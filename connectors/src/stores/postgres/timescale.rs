//! TimescaleDB, if the extension is available: hypertables by `window_start`, with compression and
//! retention by settings. Everything else uses the same tables and indexes with it and without it.
//!
//! The existing state is read first, so a repeated run makes no statement. The names of version
//! 2.13 and later are used: those of `add_compression_policy` are older than the columnstore's and
//! hold in every 2.x.

use super::PostgresConfig;
use super::errors::postgres;
use ::postgres::{Client, GenericClient};
use tallow_model::Interval;
use tallow_model::error::Error;

const DAY_SECONDS: i64 = 24 * 3_600;

/// The state of TimescaleDB after a migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Timescale {
    /// The server does not have it: plain tables, kept for ever.
    Absent,
    /// The server has it and does not load it (`shared_preload_libraries`): plain tables.
    NotLoaded,
    /// The tables are hypertables.
    Used {
        /// Version of the extension.
        version: String,
        /// Whether its licence allows compression and retention.
        policies: bool,
        /// Number of statements that the migration needed.
        changes: usize,
    },
}

/// Whether the server has the extension, the database has it, and the server has loaded it. Only a
/// loaded one has settings.
const PRESENCE: &str = "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb'),
    EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb'),
    EXISTS (SELECT FROM pg_settings WHERE name LIKE 'timescaledb.%')";

const CREATE: &str = "CREATE EXTENSION IF NOT EXISTS timescaledb";

const LICENCE: &str = "SELECT extversion, current_setting('timescaledb.license', TRUE) FROM pg_extension
    WHERE extname = 'timescaledb'";

/// The state of a table: whether its chunks can be compressed, and the ages in seconds at which
/// they are compressed and dropped. No row for a table that is no hypertable.
const STATE: &str = "SELECT table_of.compression_enabled,
        (SELECT EXTRACT(EPOCH FROM (job.config ->> 'compress_after')::INTERVAL)::INT8
         FROM timescaledb_information.jobs AS job
         WHERE job.hypertable_schema = table_of.hypertable_schema
            AND job.hypertable_name = table_of.hypertable_name AND job.proc_name = 'policy_compression'),
        (SELECT EXTRACT(EPOCH FROM (job.config ->> 'drop_after')::INTERVAL)::INT8
         FROM timescaledb_information.jobs AS job
         WHERE job.hypertable_schema = table_of.hypertable_schema
            AND job.hypertable_name = table_of.hypertable_name AND job.proc_name = 'policy_retention')
    FROM timescaledb_information.hypertables AS table_of
    WHERE hypertable_schema = CURRENT_SCHEMA AND hypertable_name = $1";

/// The state of one table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct TableState {
    is_hypertable: bool,
    is_compressible: bool,
    compress_after_seconds: Option<i64>,
    drop_after_seconds: Option<i64>,
}

/// Applies the settings in one transaction.
pub(super) fn apply(client: &mut Client, config: &PostgresConfig, on: &str) -> Result<Timescale, Error> {
    let failed = postgres("set up TimescaleDB in", on);
    let presence = client.query_one(PRESENCE, &[]).map_err(&failed)?;
    let [available, created, loaded] =
        [0, 1, 2].map(|column| presence.try_get::<_, bool>(column)).map(|it| it.map_err(&failed));
    let (available, created, loaded) = (available?, created?, loaded?);
    if !available && !created {
        return Ok(Timescale::Absent);
    }
    // The server would end the connection on a request to create an extension that is not loaded.
    if !created && !loaded {
        return Ok(Timescale::NotLoaded);
    }
    if !created {
        client.batch_execute(CREATE).map_err(&failed)?;
    }
    let mut transaction = client.transaction().map_err(&failed)?;
    let row = transaction.query_one(LICENCE, &[]).map_err(&failed)?;
    let version = row.try_get(0).map_err(&failed)?;
    let licence: Option<String> = row.try_get(1).map_err(&failed)?;
    let policies = licence.as_deref() == Some("timescale");
    let mut changes = usize::from(!created);
    for interval in Interval::ALL {
        let state = read(&mut transaction, interval).map_err(&failed)?;
        for statement in statements(interval, state, policies, config) {
            transaction.batch_execute(&statement).map_err(&failed)?;
            changes += 1;
        }
    }
    transaction.commit().map_err(&failed)?;
    Ok(Timescale::Used { version, policies, changes })
}

/// Lifts the limit on writing to compressed chunks: a replayed log writes to them in any number,
/// and a refused write would be refused for ever.
pub(super) async fn prepare_writer(client: &tokio_postgres::Client) -> Result<(), tokio_postgres::Error> {
    let created = "SELECT FROM pg_extension WHERE extname = 'timescaledb'";
    if client.query_opt(created, &[]).await?.is_some() {
        client.batch_execute("SET timescaledb.max_tuples_decompressed_per_dml_transaction = 0").await?;
    }
    Ok(())
}

fn table(interval: Interval) -> String {
    format!("price_aggregates_{interval}")
}

fn read(client: &mut impl GenericClient, interval: Interval) -> Result<TableState, tokio_postgres::Error> {
    let Some(row) = client.query_opt(STATE, &[&table(interval)])? else { return Ok(TableState::default()) };
    Ok(TableState {
        is_hypertable: true,
        is_compressible: row.try_get::<_, Option<bool>>(0)?.unwrap_or(false),
        compress_after_seconds: row.try_get(1)?,
        drop_after_seconds: row.try_get(2)?,
    })
}

/// Returns the days of candles in one chunk: some hundred thousand rows at a hundred symbols.
const fn chunk_days(interval: Interval) -> u32 {
    match interval {
        Interval::OneMinute => 7,
        Interval::FiveMinutes => 28,
        Interval::FifteenMinutes => 84,
    }
}

/// Returns the statements that lead from a table's state to the settings.
fn statements(interval: Interval, state: TableState, policies: bool, config: &PostgresConfig) -> Vec<String> {
    let table = table(interval);
    let mut statements = Vec::new();
    if !state.is_hypertable {
        statements.push(format!(
            "SELECT create_hypertable('{table}', by_range('window_start', INTERVAL '{} days'),
                create_default_indexes => FALSE, if_not_exists => TRUE, migrate_data => TRUE)",
            chunk_days(interval)
        ));
    }
    if !policies {
        return statements;
    }
    let seconds = |days: u32| (days > 0).then(|| i64::from(days) * DAY_SECONDS);
    let compress = config.compress_after_days;
    if compress > 0 && !state.is_compressible {
        statements.push(format!(
            "ALTER TABLE {table} SET (timescaledb.compress, timescaledb.compress_segmentby = 'crypto_id',
                timescaledb.compress_orderby = 'window_start')"
        ));
    }
    let drop = match interval {
        Interval::OneMinute => config.keep_1m_days,
        Interval::FiveMinutes => config.keep_5m_days,
        Interval::FifteenMinutes => config.keep_15m_days,
    };
    for (policy, argument, days, now) in [
        ("compression", "compress_after", compress, state.compress_after_seconds),
        ("retention", "drop_after", drop, state.drop_after_seconds),
    ] {
        if seconds(days) == now {
            continue;
        }
        // A policy can't be changed, only replaced.
        if now.is_some() {
            statements.push(format!("SELECT remove_{policy}_policy('{table}', if_exists => TRUE)"));
        }
        if days > 0 {
            statements.push(format!(
                "SELECT add_{policy}_policy('{table}', {argument} => INTERVAL '{days} days', if_not_exists => TRUE)"
            ));
        }
    }
    statements
}

#[cfg(test)]
mod tests;
