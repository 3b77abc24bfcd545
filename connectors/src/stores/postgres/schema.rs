//! The schema: whether the database is Tallow's, its version, and the migrations to the newest.

use super::PostgresConfig;
use super::blocking::Blocking;
use super::connection::{OPEN_TIMEOUT, Purpose, Target};
use super::errors::postgres;
use super::timescale::{self, Timescale};
use ::postgres as blocking;
use refinery::error::Kind;
use refinery::{Migration, Runner};
use tallow_model::error::{Error, chain};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

/// The migrations in order. A released migration is never changed: databases store its checksum.
const MIGRATIONS: [(&str, &str); 2] = [
    ("V1__candles_and_alerts", include_str!("migrations/V1__candles_and_alerts.sql")),
    ("V2__rejects_of_logs_made_anew", include_str!("migrations/V2__rejects_of_logs_made_anew.sql")),
];

/// The version that this program reads and writes.
const NEWEST: i32 = MIGRATIONS.len() as i32;

/// The table that records the applied migrations.
const HISTORY_TABLE: &str = "tallow_schema_history";

const VERSION: &str = "SELECT MAX(version) FROM tallow_schema_history";

/// The lock that a migration holds, so that concurrent ones wait: `tallow` and a number.
const MIGRATION_LOCK: i64 = 0x7461_6c6c_6f77_0001;

/// The result of a migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationReport {
    /// Database, by host and name.
    pub database: String,
    /// Names of the migrations that were applied now.
    pub applied: Vec<String>,
    /// Version of the schema afterwards.
    pub version: u32,
    /// State of TimescaleDB afterwards.
    pub timescale: Timescale,
}

/// Brings the tables up to the newest version, and TimescaleDB's policies to the settings.
///
/// A repeated migration changes nothing. Concurrent migrations wait for each other.
///
/// # Errors
/// When the database can't be reached, belongs to a newer program, or a migration fails; a failed
/// one is rolled back.
pub fn migrate(config: &PostgresConfig) -> Result<MigrationReport, Error> {
    let target = Target::of(config, Purpose::Migrate)?;
    let on = &target.on;
    // Migrations need the blocking driver, which would wait for ever for a server that never
    // answers.
    Blocking::start()?.wait("connect to", on, OPEN_TIMEOUT, target.connect())?;
    let mut client =
        blocking::Config::from(target.config().clone()).connect(NoTls).map_err(postgres("connect to", on))?;
    lock(&mut client, on)?;
    let seen = match client.query_one(VERSION, &[]) {
        Ok(row) => row.try_get(0).map_err(postgres("read", on))?,
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => None,
        Err(error) => return Err(postgres("read", on)(error)),
    };
    refuse_newer(seen, on)?;

    let applied = if seen == Some(NEWEST) { Vec::new() } else { run(&mut client, on)? };
    let timescale = timescale::apply(&mut client, config, on)?;
    // The lock ends with the connection.
    client.close().map_err(postgres("leave", on))?;
    Ok(MigrationReport { database: on.clone(), applied, version: NEWEST.unsigned_abs(), timescale })
}

/// Applies the missing migrations, all or none; returns their names.
fn run(client: &mut blocking::Client, on: &str) -> Result<Vec<String>, Error> {
    let failed = |error: refinery::Error| Error::Invalid(format!("migrate {on}: {}", reason(&error)));
    let mut migrations = Vec::new();
    for (name, sql) in MIGRATIONS {
        migrations.push(Migration::unapplied(name, sql).map_err(failed)?);
    }
    let mut runner = Runner::new(&migrations).set_grouped(true);
    let report = runner.set_migration_table_name(HISTORY_TABLE).run(client).map_err(failed)?;
    Ok(report.applied_migrations().iter().map(Migration::to_string).collect())
}

fn lock(client: &mut blocking::Client, on: &str) -> Result<(), Error> {
    let failed = postgres("lock for migration", on);
    let free: bool = client
        .query_one("SELECT pg_try_advisory_lock($1)", &[&MIGRATION_LOCK])
        .and_then(|row| row.try_get(0))
        .map_err(&failed)?;
    if !free {
        tracing::info!(database = on, "another migration is running, waiting for it");
        client.execute("SELECT pg_advisory_lock($1)", &[&MIGRATION_LOCK]).map_err(&failed)?;
    }
    Ok(())
}

/// Returns the cause of a failed migration once: the library repeats the driver's error in its own.
fn reason(error: &refinery::Error) -> String {
    match error.kind() {
        Kind::Connection(_, source) => chain(&**source),
        other => other.to_string(),
    }
}

/// Returns the number of applied migrations; `None` for a database that was never migrated.
pub(super) async fn version(client: &Client) -> Result<Option<i32>, tokio_postgres::Error> {
    match client.query_one(VERSION, &[]).await {
        Ok(row) => row.try_get(0),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Checks that a database of this version can be read and written.
pub(super) fn check(version: Option<i32>, on: &str) -> Result<(), Error> {
    refuse_newer(version, on)?;
    match version {
        Some(NEWEST) => Ok(()),
        Some(_) => Err(Error::Invalid(format!("database {on} has an older schema: run tallow migrate"))),
        None => Err(Error::Invalid(format!("database {on} has not been migrated: run tallow migrate"))),
    }
}

fn refuse_newer(version: Option<i32>, on: &str) -> Result<(), Error> {
    match version {
        Some(version) if version > NEWEST => Err(Error::Invalid(format!(
            "database {on} has schema version {version}, this program knows versions up to {NEWEST}"
        ))),
        _ => Ok(()),
    }
}
