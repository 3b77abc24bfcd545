//! The server as errors and logs name it, by host and port, and how it is connected to.

use super::RedisConfig;
use super::errors::external;
use redis::aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection};
use redis::{
    AsyncConnectionConfig, Client, Connection, IntoConnectionInfo, ProtocolVersion, PushInfo, RedisError,
};
use std::time::Duration;
use tallow_model::error::Error;
use tallow_model::retry::BackoffSettings;

/// How long making a connection may take, and how long an answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// How long a connection may be without traffic before the server is asked whether it is still there.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(1);

/// The waits between attempts to connect. Short, as it is the screens that wait.
pub(super) const BACKOFF: BackoffSettings =
    BackoffSettings { first: Duration::from_millis(20), longest: Duration::from_secs(1) };

/// One server, connected to or not.
#[derive(Clone, Debug)]
pub(super) struct Server {
    client: Client,
    /// Host and port.
    name: String,
}

impl RedisConfig {
    /// Whether the address is one; connects to nothing.
    ///
    /// # Errors
    /// When it is none. The text does not repeat it.
    pub fn check(&self) -> Result<(), Error> {
        Server::new(self).map(drop)
    }
}

impl Server {
    /// Reads the URL; connects to nothing.
    pub(super) fn new(config: &RedisConfig) -> Result<Server, Error> {
        // The driver does not repeat the URL in what it says of it.
        let unusable = |source| external("use", "the address in redis.url".to_owned(), source);
        let info = config.url.expose().into_connection_info().map_err(unusable)?;
        // The newer protocol, so that answers and messages come in order over one connection.
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let client = Client::open(info.set_redis_settings(settings)).map_err(unusable)?;
        let name = client.get_connection_info().addr().to_string();
        Ok(Server { client, name })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What went wrong at this server.
    pub(super) fn error(&self, action: &'static str) -> impl FnOnce(RedisError) -> Error {
        let on = self.name.clone();
        move |source| {
            // A socket's own word for it is that the resource is temporarily unavailable.
            let source = if source.is_timeout() { timed_out() } else { source };
            external(action, on, source)
        }
    }

    /// A blocking connection.
    pub(super) fn connect(&self) -> Result<Connection, Error> {
        let connect = || {
            let connection = self.client.get_connection_with_timeout(PATIENCE)?;
            connection.set_read_timeout(Some(PATIENCE))?;
            connection.set_write_timeout(Some(PATIENCE))?;
            Ok(connection)
        };
        connect().map_err(self.error("connect to"))
    }

    /// A connection for commands and messages; those of the server's own accord go to `push`, in order with the
    /// answers.
    pub(super) async fn connect_with_pushes(
        &self,
        push: impl Fn(PushInfo) -> Result<(), redis::aio::SendError> + Send + Sync + 'static,
    ) -> Result<MultiplexedConnection, Error> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE))
            .set_push_sender(push);
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        connecting.await.map_err(self.error("connect to"))
    }

    /// A connection for commands that is made when first needed, and again when it is lost. To be called within a
    /// runtime.
    pub(super) fn manager(&self) -> Result<ConnectionManager, Error> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE))
            .set_number_of_retries(1)
            .set_min_delay(BACKOFF.first)
            .set_max_delay(BACKOFF.first);
        self.client.get_connection_manager_lazy(config).map_err(self.error("prepare a connection to"))
    }
}

/// The error of an answer that does not come.
pub(super) fn timed_out() -> RedisError {
    let kind = std::io::ErrorKind::TimedOut;
    RedisError::from(std::io::Error::new(kind, format!("no answer within {PATIENCE:?}")))
}
