//! A Redis server of a test's own on a free port, which can be killed, restarted, paused and
//! resumed.

use crate::ports::free_port;
use crate::wait::{LIMIT, until};
use std::process::{Child, Command, Stdio};
use tallow_connectors::caches::redis::RedisConfig;

/// A server that is killed when dropped.
pub struct RedisServer {
    port: u16,
    password: &'static str,
    folder: tempfile::TempDir,
    process: Option<Child>,
}

impl RedisServer {
    /// Starts a server, or returns `None` after saying that the test is skipped.
    pub fn start() -> Option<RedisServer> {
        RedisServer::start_with("")
    }

    /// Starts a server that asks for a password.
    pub fn start_with(password: &'static str) -> Option<RedisServer> {
        let mut server = RedisServer::stopped(password);
        if Command::new("redis-server").arg("--version").output().is_err() {
            assert!(std::env::var_os("TALLOW_REQUIRE_ALL").is_none(), "redis-server is not installed");
            eprintln!("skipped: redis-server is not installed");
            return None;
        }
        server.start_again();
        Some(server)
    }

    fn stopped(password: &'static str) -> RedisServer {
        RedisServer { port: free_port(), password, folder: tempfile::tempdir().unwrap(), process: None }
    }

    /// Starts the server again, empty and on the same port.
    pub fn start_again(&mut self) {
        let process = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--requirepass", self.password])
            .args(["--port", &self.port.to_string()])
            .arg("--dir")
            .arg(self.folder.path())
            .stdout(Stdio::null())
            .spawn();
        self.process = Some(process.unwrap());
        until("Redis answers", || self.try_connect().ok());
    }

    /// Kills the server, which loses its data.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Pauses the server: the system still accepts connections and bytes, and nothing answers.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets a paused server go on.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let id = self.process.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    fn try_connect(&self) -> redis::RedisResult<redis::Connection> {
        let client = redis::Client::open(self.url(self.password, "protocol=resp3"))?;
        let mut connection = client.get_connection_with_timeout(LIMIT)?;
        redis::cmd("PING").exec(&mut connection)?;
        Ok(connection)
    }

    /// Opens a connection that bypasses the code under test.
    pub fn connect(&self) -> redis::Connection {
        self.try_connect().unwrap()
    }

    /// Host and port of the server.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn url(&self, password: &str, query: &str) -> String {
        format!("redis://:{password}@{}/?{query}", self.address())
    }

    /// Settings that lead to the server.
    pub fn config(&self) -> RedisConfig {
        self.config_with(self.password)
    }

    /// Settings that lead to the server with another password.
    pub fn config_with(&self, password: &str) -> RedisConfig {
        let url = self.url(password, "").into();
        RedisConfig { url, prefix: "crypto".to_owned(), ttl_seconds: 300 }
    }

    /// Waits until `subscribers` connections have subscribed to the updates.
    pub fn until_subscribed(&self, subscribers: usize) {
        let mut connection = self.connect();
        until("the cache subscribes", || {
            let counts = redis::cmd("PUBSUB").arg("NUMSUB").arg("crypto:updates").query(&mut connection);
            let (_, count): (String, usize) = counts.unwrap();
            (count == subscribers).then_some(())
        });
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}
