//! The writer: settled steps and rejects into the database.

use super::blocking::Blocking;
use super::connection::{OpenConnection, Purpose, Target};
use super::errors::postgres;
use super::progress::{self, Share};
use super::time::Time;
use super::upserts::{self, Statements};
use super::{PostgresConfig, rejects, timescale};
use std::time::Duration;
use tallow_model::coins::Coins;
use tallow_model::error::Error;
use tallow_model::progress::Recorded;
use tallow_model::store::Sink;
use tallow_model::{EventTime, Reject, Step};

/// Time limit of a write, connecting included; then it is given up and retried.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// Writes settled results to PostgreSQL. Each process of a pipeline has one.
///
/// Versions of a candle are ordered by tick count (a correction only adds ticks), then by revision;
/// versions of an alert by the logical time of the change. An older or equal version leaves the row
/// unchanged. So the same steps can be written again, in whole or in part, any number of times:
/// also after a connection was lost during a commit whose outcome is unknown. The revision of a row
/// never decreases.
///
/// After any failure the connection is dropped, and the next write makes a new one.
#[derive(Debug)]
pub struct PostgresSink {
    blocking: Blocking,
    target: Target,
    session: Option<Session>,
    process: i32,
    coins: Coins,
    recorded: Recorded,
}

/// A connection and its prepared statements.
#[derive(Debug)]
struct Session {
    connection: OpenConnection,
    statements: Statements,
}

impl Session {
    async fn open(target: &Target) -> Result<Session, Error> {
        let connection = target.open().await?;
        let failed = postgres("prepare to write to", &target.on);
        timescale::prepare_writer(&connection.client).await.map_err(&failed)?;
        let statements = Statements::prepare(&connection.client).await.map_err(&failed)?;
        Ok(Session { connection, statements })
    }
}

impl PostgresSink {
    /// Connects, to write the steps of a pipeline's share.
    ///
    /// # Errors
    /// When the database can't be reached, has not been migrated, or belongs to a newer program.
    pub fn open(config: &PostgresConfig, share: Share) -> Result<PostgresSink, Error> {
        let target = Target::of(config, Purpose::Write)?;
        let process = i32::try_from(share.process).ok().filter(|_| share.process < share.processes);
        let process = process.ok_or_else(|| {
            Error::Invalid(format!("{} processes have no process {}", share.processes, share.process))
        })?;
        let blocking = Blocking::start()?;
        let (session, recorded) = blocking.wait("open", &target.on, WRITE_TIMEOUT, async {
            let mut session = Session::open(&target).await?;
            let recorded = progress::begin(&mut session.connection.client, &share, &target.on).await?;
            Ok((session, recorded))
        })?;
        Ok(PostgresSink {
            blocking,
            target,
            session: Some(session),
            process,
            coins: Coins::default(),
            recorded: Recorded::new(share.workers, recorded),
        })
    }

    /// Sets the names of symbols that are first seen, beyond the known coins.
    pub fn with_coins(self, coins: Coins) -> PostgresSink {
        PostgresSink { coins, ..self }
    }

    /// Writes the changes in one transaction.
    fn store(&mut self, steps: &[Step], through: Option<EventTime>) -> Result<(), Error> {
        const ACTION: &str = "store settled changes in";
        let (target, process, coins) = (&self.target, self.process, &self.coins);
        let failed = postgres(ACTION, &target.on);
        let known = self.session.take();
        self.session = Some(self.blocking.wait(ACTION, &target.on, WRITE_TIMEOUT, async {
            let mut session = match known {
                Some(session) => session,
                None => Session::open(target).await?,
            };
            let Session { connection, statements } = &mut session;
            let transaction = connection.client.transaction().await.map_err(&failed)?;
            upserts::write(&transaction, statements, coins, steps).await.map_err(&failed)?;
            if let Some(through) = through.map(Time::from) {
                let advanced =
                    transaction.execute(&statements.advance, &[&process, &through]).await.map_err(&failed)?;
                if advanced == 0 {
                    return Err(Error::Invalid(format!(
                        "database {} is written by a pipeline without process {process}",
                        target.on
                    )));
                }
            }
            transaction.commit().await.map_err(&failed)?;
            Ok(session)
        })?);
        Ok(())
    }
}

impl Sink for PostgresSink {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn write(&mut self, steps: &[Step]) -> Result<(), Error> {
        let (recorded, due) = self.recorded.after(steps);
        if due {
            self.store(steps, recorded.through())?;
        }
        self.recorded = recorded;
        Ok(())
    }

    fn write_rejects(&mut self, rejects: &[Reject]) -> Result<(), Error> {
        const ACTION: &str = "store rejects in";
        if rejects.is_empty() {
            return Ok(());
        }
        let target = &self.target;
        let known = self.session.take();
        self.session = Some(self.blocking.wait(ACTION, &target.on, WRITE_TIMEOUT, async {
            let mut session = match known {
                Some(session) => session,
                None => Session::open(target).await?,
            };
            let stored = rejects::store(&mut session.connection.client, rejects).await;
            stored.map_err(postgres(ACTION, &target.on))?;
            Ok(session)
        })?);
        Ok(())
    }

    fn stored_through(&self) -> Option<EventTime> {
        self.recorded.through()
    }
}
