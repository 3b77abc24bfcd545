//! `tallow migrate`: brings the database up to this program's schema, and makes the topics that are missing. Done again
//! it changes nothing; two at once are as good as one.

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

/// How often the signal is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Runs the command until it is done or `stop` is set; what is unfinished then the database undoes.
///
/// # Errors
/// When the database or Kafka can't be reached or prepared, or a signal came first.
pub(crate) fn run(config: &Config, stop: Arc<AtomicBool>) -> anyhow::Result<()> {
    let (sender, done) = crossbeam_channel::bounded(1);
    let (kafka, postgres) = (config.kafka.clone(), config.postgres.clone());
    let coins = Coins::with(&config.coingecko.coins);
    // A thread of its own, because a step may take minutes and can't be interrupted from here.
    std::thread::Builder::new()
        .name("migrate".to_owned())
        .spawn(move || sender.send(prepare(&kafka, &postgres, &coins)))
        .context("start thread migrate")?;
    loop {
        match done.recv_timeout(LOOK) {
            Ok(prepared) => return prepared.map_err(anyhow::Error::from),
            Err(RecvTimeoutError::Timeout) if stop.load(Ordering::Relaxed) => {
                bail!("stopped by a signal: the step that was under way is undone")
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(anyhow!("the migrating thread has panicked")),
        }
    }
}

/// Prepares one after the other, and says what it did.
fn prepare(kafka: &KafkaConfig, postgres: &PostgresConfig, coins: &Coins) -> Result<(), Error> {
    tell(&postgres::migrate(postgres)?);
    let symbols = postgres::name_coins(postgres, coins)?;
    if symbols > 0 {
        tracing::info!(symbols, "coins that had no name have one");
    }
    for TopicState { name, made, partitions, difference } in ensure_topics(kafka)? {
        match difference {
            None => tracing::info!(topic = name, made, partitions, "topic is there"),
            Some(difference) => tracing::warn!(topic = name, difference, "topic is not as the settings say"),
        }
    }
    Ok(())
}

fn tell(report: &MigrationReport) {
    let database = &report.database;
    for migration in &report.applied {
        tracing::info!(database, migration, "migration applied");
    }
    tracing::info!(database, version = report.version, "schema is up to date");
    match &report.timescale {
        Timescale::Absent => tracing::info!(database, "no TimescaleDB: tables are plain and kept for ever"),
        Timescale::NotLoaded => {
            tracing::warn!(
                database,
                "TimescaleDB is not loaded (shared_preload_libraries): tables are plain"
            );
        }
        Timescale::Used { version, policies, changes } => {
            tracing::info!(database, version, changes, "TimescaleDB is as the settings say");
            if !policies {
                tracing::warn!(database, "TimescaleDB's licence allows no compression and no retention");
            }
        }
    }
}
