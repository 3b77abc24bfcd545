//! The tables: is the database ours, is it of a version that this program knows, and the steps to the newest.

use super::PostgresConfig;
use super::blocking::Blocking;
use super::connection::{OPEN_LIMIT, Purpose, Target};
use super::errors::postgres;
use super::timescale::{self, Timescale};
use ::postgres as blocking;
use refinery::error::Kind;
use refinery::{Migration, Runner};
use tallow_model::error::{Error, chain};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

/// The migrations in order. A migration that has been released is never changed: its checksum is in the databases.
const MIGRATIONS: [(&str, &str); 2] = [
    ("V1__candles_and_alerts", include_str!("migrations/V1__candles_and_alerts.sql")),
    ("V2__rejects_of_logs_made_anew", include_str!("migrations/V2__rejects_of_logs_made_anew.sql")),
];

/// The version that this program reads and writes.
const NEWEST: i32 = MIGRATIONS.len() as i32;

/// Where a database says which migrations it has seen.
const HISTORY_TABLE: &str = "tallow_schema_history";

const VERSION: &str = "SELECT MAX(version) FROM tallow_schema_history";

/// Held by whoever migrates, so that of two one waits: `tallow` and a number.
const MIGRATION_LOCK: i64 = 0x7461_6c6c_6f77_0001;

/// What a migration did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationReport {
    /// The database, by host and name.
    pub database: String,
    /// The migrations that it had not seen yet, by name.
    pub applied: Vec<String>,
    /// The version of its schema now.
    pub version: u32,
    /// What became of TimescaleDB.
    pub timescale: Timescale,
}

/// Brings the tables up to the newest version, and TimescaleDB's policies to the settings where it is there.
///
/// Running it again changes nothing. Of two that run at once one waits for the other.
///
/// # Errors
/// When the database can't be reached, is one of a newer program, or a step fails, which is then undone.
pub fn migrate(config: &PostgresConfig) -> Result<MigrationReport, Error> {
    let target = Target::of(config, Purpose::Migrate)?;
    let on = &target.on;
    // The blocking driver, which the migrations need, would wait for ever for a server that says nothing.
    Blocking::start()?.wait("connect to", on, OPEN_LIMIT, target.connect())?;
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
    // The lock goes with the connection.
    client.close().map_err(postgres("leave", on))?;
    Ok(MigrationReport { database: on.clone(), applied, version: NEWEST.unsigned_abs(), timescale })
}

/// Takes the steps that are missing, all of them or none, and answers with their names.
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

/// What the migration failed on, said once: the library repeats the driver's error in its own.
fn reason(error: &refinery::Error) -> String {
    match error.kind() {
        Kind::Connection(_, source) => chain(&**source),
        other => other.to_string(),
    }
}

/// How many migrations the database has seen; none where it has not been migrated.
pub(super) async fn version(client: &Client) -> Result<Option<i32>, tokio_postgres::Error> {
    match client.query_one(VERSION, &[]).await {
        Ok(row) => row.try_get(0),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a database of this version can be read and written.
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
