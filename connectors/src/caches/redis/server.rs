//! A Redis server, named by host and port in errors and logs, and the ways to connect to it.

use super::RedisConfig;
use super::errors::external;
use redis::aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection};
use redis::{
    AsyncConnectionConfig, Client, Connection, IntoConnectionInfo, ProtocolVersion, PushInfo, RedisError,
};
use std::time::Duration;
use tallow_model::error::Error;
use tallow_model::retry::BackoffSettings;

/// Time limit for making a connection, and for a reply.
pub(super) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Time without traffic after which the server is pinged.
pub(super) const PING_INTERVAL: Duration = Duration::from_secs(1);

/// Waits between attempts to connect. Short, because screens wait for the data.
pub(super) const BACKOFF: BackoffSettings =
    BackoffSettings { first: Duration::from_millis(20), longest: Duration::from_secs(1) };

/// A server, connected to or not.
#[derive(Clone, Debug)]
pub(super) struct Server {
    client: Client,
    name: String,
}

impl RedisConfig {
    /// Checks that the address is well formed; connects to nothing.
    ///
    /// # Errors
    /// When the address is malformed. The text does not repeat it.
    pub fn check(&self) -> Result<(), Error> {
        Server::new(self).map(drop)
    }
}

impl Server {
    /// Parses the URL; connects to nothing.
    pub(super) fn new(config: &RedisConfig) -> Result<Server, Error> {
        // The driver's errors do not repeat the URL.
        let unusable = |source| external("use", "the address in redis.url".to_owned(), source);
        let info = config.url.expose().into_connection_info().map_err(unusable)?;
        // RESP3, so that replies and messages come in order over one connection.
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let client = Client::open(info.set_redis_settings(settings)).map_err(unusable)?;
        let name = client.get_connection_info().addr().to_string();
        Ok(Server { client, name })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the error of having tried `action` at this server.
    pub(super) fn error(&self, action: &'static str) -> impl FnOnce(RedisError) -> Error {
        let on = self.name.clone();
        move |source| {
            // The system's own text for a time-out is "resource temporarily unavailable".
            let source = if source.is_timeout() { timed_out() } else { source };
            external(action, on, source)
        }
    }

    /// Makes a blocking connection.
    pub(super) fn connect(&self) -> Result<Connection, Error> {
        let connect = || {
            let connection = self.client.get_connection_with_timeout(RESPONSE_TIMEOUT)?;
            connection.set_read_timeout(Some(RESPONSE_TIMEOUT))?;
            connection.set_write_timeout(Some(RESPONSE_TIMEOUT))?;
            Ok(connection)
        };
        connect().map_err(self.error("connect to"))
    }

    /// Makes a connection for commands and messages; messages that the server pushes go to `push`,
    /// in order with the replies.
    pub(super) async fn connect_with_pushes(
        &self,
        push: impl Fn(PushInfo) -> Result<(), redis::aio::SendError> + Send + Sync + 'static,
    ) -> Result<MultiplexedConnection, Error> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(RESPONSE_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            .set_push_sender(push);
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        connecting.await.map_err(self.error("connect to"))
    }

    /// Returns a connection that is made when first needed, and again when it is lost. Must be
    /// called within a runtime.
    pub(super) fn manager(&self) -> Result<ConnectionManager, Error> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(RESPONSE_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            .set_number_of_retries(1)
            .set_min_delay(BACKOFF.first)
            .set_max_delay(BACKOFF.first);
        self.client.get_connection_manager_lazy(config).map_err(self.error("prepare a connection to"))
    }
}

/// Returns the error of a reply that does not come.
pub(super) fn timed_out() -> RedisError {
    let kind = std::io::ErrorKind::TimedOut;
    RedisError::from(std::io::Error::new(kind, format!("no answer within {RESPONSE_TIMEOUT:?}")))
}
