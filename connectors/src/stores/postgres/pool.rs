//! A pool of reading connections, each lent to one query at a time.

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

/// Time limit for getting a free connection, or a new one.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);
/// Time limit for the check that an idle connection still works.
const RECYCLE_TIMEOUT: Duration = Duration::from_secs(1);

/// Time limit for cancelling an abandoned query in the database.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// A query that runs in one transaction: all its statements see the same state.
#[async_trait]
pub(super) trait ReadQuery: Sync {
    /// The result of the query.
    type Output: Send;

    /// The attempt, in the infinitive, for an error.
    const ACTION: &'static str;

    /// Returns whether the query may keep the database busy for long.
    fn is_heavy(&self) -> bool {
        false
    }

    /// Runs the statements of the query.
    async fn ask(&self, database: &Transaction<'_>) -> Result<Self::Output, tokio_postgres::Error>;
}

/// A bounded pool of connections, made on demand and kept with their prepared statements.
///
/// At most half of them serve heavy queries, so a cheap query need not wait for statistics over
/// years. A query that nobody waits for any more is cancelled in the database too.
#[derive(Clone, Debug)]
pub(super) struct PostgresPool {
    pool: Pool,
    /// One permit for each further heavy query.
    heavy: Arc<Semaphore>,
    on: String,
}

impl PostgresPool {
    /// Creates the pool; connects to nothing yet.
    pub(super) fn new(config: &PostgresConfig) -> Result<PostgresPool, Error> {
        let target = Target::of(config, Purpose::Read)?;
        // A connection is checked before it is lent: a restarted server or a cut network then costs
        // no query.
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
            .wait_timeout(Some(CONNECTION_TIMEOUT))
            .create_timeout(Some(CONNECTION_TIMEOUT))
            .recycle_timeout(Some(RECYCLE_TIMEOUT))
            .post_create(check_schema)
            .build()
            .map_err(|error| Error::Invalid(format!("make a pool of connections: {error}")))?;
        let heavy = Arc::new(Semaphore::new((config.pool_size / 2).max(1)));
        Ok(PostgresPool { pool, heavy, on: target.on })
    }

    /// Runs the query within `limit`. A connection that is lost meanwhile is replaced once, and the
    /// query repeated.
    pub(super) async fn ask<Q: ReadQuery>(&self, query: &Q, limit: Duration) -> Result<Q::Output, Error> {
        let asking = async {
            let _permit = match query.is_heavy() {
                true => self.heavy.acquire().await.ok(),
                false => None,
            };
            let (client, answer) = attempt(self.client().await?, query).await;
            match answer {
                Err(error) if client.is_closed() || is_lost(&error) => {
                    drop(Object::take(client));
                    attempt(self.client().await?, query).await.1
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
        Error::Timeout { tried: action, on: self.on.clone(), limit: CONNECTION_TIMEOUT }
    }
}

/// Runs the query on this connection, which returns to the pool afterwards.
async fn attempt<Q: ReadQuery>(
    client: Object,
    query: &Q,
) -> (Object, Result<Q::Output, tokio_postgres::Error>) {
    let mut client = scopeguard::guard(client, abandon);
    let answer = transact(&mut client, query).await;
    (ScopeGuard::into_inner(client), answer)
}

/// Cancels the statement of an abandoned query, and takes its connection out of the pool.
fn abandon(client: Object) {
    let cancel = Object::take(client).cancel_token();
    // Without a runtime, the process is ending.
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(async move {
            // If the cancellation does not reach the database, the statement's own limit ends it.
            let _ = tokio::time::timeout(CANCEL_TIMEOUT, cancel.cancel_query(NoTls)).await;
        });
    }
}

async fn transact<Q: ReadQuery>(client: &mut Object, query: &Q) -> Result<Q::Output, tokio_postgres::Error> {
    let transaction = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    let answer = query.ask(&transaction).await?;
    transaction.commit().await?;
    Ok(answer)
}
