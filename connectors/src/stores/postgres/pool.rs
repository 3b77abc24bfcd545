//! Connections for reading, lent to one question at a time.

use super::PostgresConfig;
use super::connection::{Purpose, Target};
use super::errors::{is_lost, postgres};
use super::schema;
use async_trait::async_trait;
use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType,
    Transaction,
};
use scopeguard::ScopeGuard;
use std::sync::Arc;
use std::time::Duration;
use tallow_model::error::{Error, chain};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_postgres::{IsolationLevel, NoTls};

/// How long a question waits for a connection that is free, and for a new one.
const CONNECTION_LIMIT: Duration = Duration::from_secs(5);
/// How long a connection that was idle may take to say that it is still there.
const RECYCLE_LIMIT: Duration = Duration::from_secs(1);

/// How long it may take to tell the database that a question is given up.
const CANCEL_LIMIT: Duration = Duration::from_secs(5);

/// Something that is asked in one transaction: all its statements see the same state.
#[async_trait]
pub(super) trait Question: Sync {
    /// What is answered.
    type Answer: Send;

    /// What is being tried, for an error.
    const ACTION: &'static str;

    /// Whether it may keep the database busy for long.
    fn is_heavy(&self) -> bool {
        false
    }

    /// Asks.
    async fn ask(&self, database: &Transaction<'_>) -> Result<Self::Answer, tokio_postgres::Error>;
}

/// Up to so many connections, made when first needed and kept with their prepared statements.
///
/// Half of them at most are for heavy questions: so those who ask for what is answered in a moment need not wait for those
/// who ask for figures over years. A question that nobody waits for any more is stopped in the database too.
#[derive(Clone, Debug)]
pub(super) struct Readers {
    pool: Pool,
    /// One permit for each heavy question that may still be asked.
    heavy: Arc<Semaphore>,
    on: String,
}

impl Readers {
    /// Connects to nothing yet.
    pub(super) fn new(config: &PostgresConfig) -> Result<Readers, Error> {
        let target = Target::of(config, Purpose::Read)?;
        // A connection is asked whether it is still there before it is lent: a server that was restarted, or a
        // network that was cut, costs no question.
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Verified };
        let on = target.on.clone();
        let check_schema = Hook::async_fn(move |client: &mut deadpool_postgres::ClientWrapper, _| {
            let on = on.clone();
            Box::pin(async move {
                let version = schema::version(client).await.map_err(HookError::Backend)?;
                schema::check(version, &on).map_err(|error| HookError::message(chain(&error)))
            })
        });
        let pool = Pool::builder(Manager::from_config(target.config().clone(), NoTls, recycling))
            .max_size(config.pool_size)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(CONNECTION_LIMIT))
            .create_timeout(Some(CONNECTION_LIMIT))
            .recycle_timeout(Some(RECYCLE_LIMIT))
            .post_create(check_schema)
            .build()
            .map_err(|error| Error::Invalid(format!("make a pool of connections: {error}")))?;
        let heavy = Arc::new(Semaphore::new((config.pool_size / 2).max(1)));
        Ok(Readers { pool, heavy, on: target.on })
    }

    /// Asks, within this time. A connection that is lost in the middle is replaced once, and the question asked again.
    pub(super) async fn ask<Q: Question>(&self, question: &Q, limit: Duration) -> Result<Q::Answer, Error> {
        let asking = async {
            let _permit = match question.is_heavy() {
                true => self.heavy.acquire().await.ok(),
                false => None,
            };
            let (client, answer) = attempt(self.client().await?, question).await;
            match answer {
                Err(error) if client.is_closed() || is_lost(&error) => {
                    drop(Object::take(client));
                    attempt(self.client().await?, question).await.1
                }
                answer => answer,
            }
            .map_err(postgres(Q::ACTION, &self.on))
        };
        let late = |_| Error::Timeout { tried: Q::ACTION, on: self.on.clone(), limit };
        tokio::time::timeout(limit, asking).await.map_err(late)?
    }

    async fn client(&self) -> Result<Object, Error> {
        self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(source) | PoolError::PostCreateHook(HookError::Backend(source)) => {
                postgres("connect to", &self.on)(source)
            }
            PoolError::PostCreateHook(HookError::Message(text)) => Error::Invalid(text.into_owned()),
            PoolError::Timeout(TimeoutType::Wait) => self.late("wait for a free connection to"),
            PoolError::Timeout(_) => self.late("connect to"),
            PoolError::Closed | PoolError::NoRuntimeSpecified => {
                Error::Invalid(format!("the connections to {} are closed", self.on))
            }
        })
    }

    fn late(&self, action: &'static str) -> Error {
        Error::Timeout { tried: action, on: self.on.clone(), limit: CONNECTION_LIMIT }
    }
}

/// Asks over this connection, which is given back with the answer.
async fn attempt<Q: Question>(
    client: Object,
    question: &Q,
) -> (Object, Result<Q::Answer, tokio_postgres::Error>) {
    let mut client = scopeguard::guard(client, abandon);
    let answer = transact(&mut client, question).await;
    (ScopeGuard::into_inner(client), answer)
}

/// A connection that is not lent again, as a statement runs on it for which nobody waits any more. That is cancelled.
fn abandon(client: Object) {
    let cancel = Object::take(client).cancel_token();
    // Without a runtime everything ends.
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(async move {
            // A database that does not hear of it stops the statement by its own limit.
            let _ = tokio::time::timeout(CANCEL_LIMIT, cancel.cancel_query(NoTls)).await;
        });
    }
}

async fn transact<Q: Question>(
    client: &mut Object,
    question: &Q,
) -> Result<Q::Answer, tokio_postgres::Error> {
    let transaction = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    let answer = question.ask(&transaction).await?;
    transaction.commit().await?;
    Ok(answer)
}
