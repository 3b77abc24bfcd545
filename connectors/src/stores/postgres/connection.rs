//! Connections to the database: their settings, and the database's name in messages.

use super::PostgresConfig;
use super::errors::postgres;
use std::time::Duration;
use tallow_model::error::Error;
use tokio::task::JoinHandle;
use tokio_postgres::config::{Host, TargetSessionAttrs};
use tokio_postgres::{Client, Config, NoTls};

/// Time limit for one address to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time limit for connecting, logging in and reading the schema's version together.
pub(super) const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// Time after which a connection counts as lost if sent data is not acknowledged.
const UNACKNOWLEDGED_TIMEOUT: Duration = Duration::from_secs(15);
/// TCP keep-alive: a silent connection is probed three times at most.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;

/// The purpose of a connection. Each comes with limits that the server enforces; a migration may
/// take its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Migrate,
    Write,
    Read,
}

impl Purpose {
    /// Returns the session's settings. A client that vanishes inside a transaction must not keep
    /// its locks.
    const fn options(self) -> &'static str {
        match self {
            Purpose::Migrate => "-c statement_timeout=0 -c lock_timeout=0",
            Purpose::Write => {
                "-c statement_timeout=30s -c lock_timeout=5s -c idle_in_transaction_session_timeout=60s"
            }
            // Reads take milliseconds, and their just-in-time compilation would take hundreds.
            Purpose::Read => {
                "-c statement_timeout=10s -c lock_timeout=5s -c idle_in_transaction_session_timeout=60s -c jit=off"
            }
        }
    }
}

/// The address of a database, parsed.
#[derive(Clone, Debug)]
pub(super) struct Target {
    config: Config,
    /// Hosts and database, for logs and errors; never a password.
    pub(super) on: String,
}

impl Target {
    /// Parses the address in the settings.
    ///
    /// # Errors
    /// When the address is malformed. The text does not repeat it: it may contain a password.
    pub(super) fn of(settings: &PostgresConfig, purpose: Purpose) -> Result<Target, Error> {
        let form = "postgres://USER:PASSWORD@HOST:PORT/DATABASE or a list of NAME=VALUE";
        let mut config: Config = settings
            .url
            .expose()
            .parse()
            .map_err(|_| Error::Invalid(format!("postgres.url is not an address of the form {form}")))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(Error::Invalid("postgres.url names no host".to_owned()));
        }
        let options = match config.get_options() {
            Some(given) => format!("{} {given}", purpose.options()),
            None => purpose.options().to_owned(),
        };
        config.options(options);
        if config.get_application_name().is_none() {
            config.application_name("tallow");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        config.tcp_user_timeout(UNACKNOWLEDGED_TIMEOUT);
        config.keepalives_idle(KEEPALIVE_IDLE);
        config.keepalives_interval(KEEPALIVE_INTERVAL);
        config.keepalives_retries(KEEPALIVE_RETRIES);
        if purpose != Purpose::Read {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        let on = name(&config);
        Ok(Target { config, on })
    }

    /// Returns the connection settings, for a pool or for the blocking driver.
    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Connects, without a time limit.
    pub(super) async fn connect(&self) -> Result<OpenConnection, Error> {
        let (client, driver) = self.config.connect(NoTls).await.map_err(postgres("connect to", &self.on))?;
        // A failure of the connection reaches each statement by itself.
        let driver = tokio::spawn(async { drop(driver.await) });
        Ok(OpenConnection { client, driver })
    }
}

impl PostgresConfig {
    /// Checks that the address is well formed; connects to nothing.
    ///
    /// # Errors
    /// When the address is malformed. The text does not repeat it.
    pub fn check(&self) -> Result<(), Error> {
        Target::of(self, Purpose::Read).map(drop)
    }
}

/// A connection whose driver task ends with it, even if it is busy.
#[derive(Debug)]
pub(super) struct OpenConnection {
    pub(super) client: Client,
    driver: JoinHandle<()>,
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Returns `host:port/database`.
fn name(config: &Config) -> String {
    let host = |host: &Host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(folder) => folder.display().to_string(),
    };
    let mut hosts: Vec<String> = config.get_hosts().iter().map(host).collect();
    if hosts.is_empty() {
        hosts = config.get_hostaddrs().iter().map(ToString::to_string).collect();
    }
    let port = |number: usize| match config.get_ports() {
        [] => 5432,
        [one] => *one,
        each => each.get(number).copied().unwrap_or(5432),
    };
    let hosts: Vec<String> =
        hosts.iter().enumerate().map(|(number, host)| format!("{host}:{}", port(number))).collect();
    let database = config.get_dbname().or(config.get_user()).unwrap_or("postgres");
    format!("{}/{database}", hosts.join(","))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;

    fn target(url: &str) -> Result<Target, Error> {
        Target::of(
            &PostgresConfig { url: url.to_owned().into(), ..PostgresConfig::default() },
            Purpose::Write,
        )
    }

    #[test]
    fn a_database_is_called_by_its_host_and_name_and_never_by_its_password() {
        let cases = [
            ("postgres://me:hunter2@db.example:6432/prices", "db.example:6432/prices"),
            ("postgres://me@one,two:7/prices", "one:5432,two:7/prices"),
            ("host=db.example user=me password=hunter2", "db.example:5432/me"),
        ];
        for (url, expected) in cases {
            assert_eq!(target(url).unwrap().on, expected);
        }
    }

    #[test]
    fn an_address_that_is_none_is_not_repeated() {
        for url in ["", "postgres://", "mysql://me:hunter2@x/y", "host=x password=a hunter2=b"] {
            let refused = target(url).unwrap_err().to_string();
            assert!(refused.starts_with("postgres.url "), "{refused}");
            assert!(!refused.contains("hunter2"), "{refused}");
        }
    }

    #[test]
    fn options_of_the_address_come_after_those_of_this_program() {
        let target = target("postgres://me@x/y?options=-c%20statement_timeout%3D7s").unwrap();
        assert!(target.config().get_options().unwrap().ends_with("=60s -c statement_timeout=7s"));
    }
}
