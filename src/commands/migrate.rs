//! `tallow migrate`: migrates the database to the schema of this program, and creates the missing
//! topics. Idempotent, also if two run at once.

use crate::config::Config;
use anyhow::{Context, anyhow, bail};
use crossbeam_channel::RecvTimeoutError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tallow_connectors::logs::kafka::{KafkaConfig, TopicState, ensure_topics};
use tallow_connectors::stores::postgres::{self, MigrationReport, PostgresConfig, Timescale};
use tallow_model::Error;
use tallow_model::coins::Coins;

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Runs the command until it is done or `stop` is set. The database rolls an unfinished step back.
///
/// # Errors
/// If the database or Kafka can't be reached or prepared, or `stop` is set first.
pub(crate) fn run(config: &Config, stop: Arc<AtomicBool>) -> anyhow::Result<()> {
    let (sender, done) = crossbeam_channel::bounded(1);
    let (kafka, postgres) = (config.kafka.clone(), config.postgres.clone());
    let coins = Coins::with(&config.coingecko.coins);
    // On a thread of its own, because a step may take minutes and can't be interrupted.
    std::thread::Builder::new()
        .name("migrate".to_owned())
        .spawn(move || sender.send(prepare(&kafka, &postgres, &coins)))
        .context("start thread migrate")?;
    loop {
        match done.recv_timeout(POLL_INTERVAL) {
            Ok(prepared) => return prepared.map_err(anyhow::Error::from),
            Err(RecvTimeoutError::Timeout) if stop.load(Ordering::Relaxed) => {
                bail!("stopped by a signal: the step under way is rolled back")
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(anyhow!("the migrating thread has panicked")),
        }
    }
}

/// Prepares the database, then Kafka, and logs the changes.
fn prepare(kafka: &KafkaConfig, postgres: &PostgresConfig, coins: &Coins) -> Result<(), Error> {
    report(&postgres::migrate(postgres)?);
    let symbols = postgres::name_coins(postgres, coins)?;
    if symbols > 0 {
        tracing::info!(symbols, "names of coins added");
    }
    for TopicState { name, made, partitions, difference } in ensure_topics(kafka)? {
        match difference {
            None => tracing::info!(topic = name, made, partitions, "topic exists"),
            Some(difference) => tracing::warn!(topic = name, difference, "topic differs from the settings"),
        }
    }
    Ok(())
}

fn report(report: &MigrationReport) {
    let database = &report.database;
    for migration in &report.applied {
        tracing::info!(database, migration, "migration applied");
    }
    tracing::info!(database, version = report.version, "schema is up to date");
    match &report.timescale {
        Timescale::Absent => {
            tracing::info!(database, "TimescaleDB is absent: tables are plain, and rows are kept for ever")
        }
        Timescale::NotLoaded => {
            tracing::warn!(
                database,
                "TimescaleDB is not loaded (shared_preload_libraries): tables are plain"
            );
        }
        Timescale::Used { version, policies, changes } => {
            tracing::info!(database, version, changes, "TimescaleDB matches the settings");
            if !policies {
                tracing::warn!(
                    database,
                    "the licence of TimescaleDB allows neither compression nor retention"
                );
            }
        }
    }
}
