//! The services as containers of `docker-compose.yml`, on ports of the checkout's own.

use super::folder::Folder;
use super::service::Service;
use crate::process;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

pub(super) struct Containers {
    pub(super) folder: Folder,
    root: PathBuf,
}

/// Whether containers are to be used if they can: TALLOW_NO_DOCKER=1 says no.
pub(super) fn is_wanted() -> bool {
    std::env::var_os("TALLOW_NO_DOCKER").is_none_or(|value| value != "1")
}

/// Whether there is an engine, and Compose.
pub(super) fn answers() -> bool {
    process::find_program("docker").is_some()
        && process::succeeds(Command::new("docker").args(["compose", "version"]))
        && process::succeeds(Command::new("docker").arg("info"))
}

impl Service {
    /// The service's name in `docker-compose.yml`.
    fn container_name(self) -> &'static str {
        match self {
            Service::Postgres => "timescaledb",
            Service::Redis => "redis",
            Service::Kafka => "kafka",
        }
    }

    /// The port within the container that is published to this machine.
    fn container_port(self) -> &'static str {
        match self {
            Service::Postgres => "5432",
            Service::Redis => "6379",
            Service::Kafka => "29092",
        }
    }
}

impl Containers {
    pub(super) fn new(root: &Path, folder: Folder) -> Containers {
        Containers { folder, root: root.to_owned() }
    }

    /// A command of Compose. Every variable that the file requires has a value; Grafana is never
    /// started here.
    fn compose(&self, arguments: &[&str]) -> Result<Command> {
        let port = |service: Service| self.folder.port(service.name()).unwrap_or_default().to_string();
        let mut command = Command::new("docker");
        command
            .env("TALLOW_KAFKA_PORT", port(Service::Kafka))
            .env("TALLOW_POSTGRES_PORT", port(Service::Postgres))
            .env("TALLOW_REDIS_PORT", port(Service::Redis))
            .env("TALLOW_POSTGRES_PASSWORD", self.folder.password()?)
            .env("TALLOW_GRAFANA_PASSWORD", "unused")
            .args(["compose", "-f"])
            .arg(self.root.join("docker-compose.yml"))
            .args(["-p", &format!("tallow-{}", self.folder.number()?)])
            .args(arguments);
        Ok(command)
    }

    /// The id of the service's container, if one runs.
    fn container(&self, service: Service) -> Option<String> {
        let mut command = self.compose(&["ps", "-q", service.container_name()]).ok()?;
        process::output(&mut command).ok().map(|id| id.trim().to_owned()).filter(|id| !id.is_empty())
    }

    /// Starts the containers and waits for their health checks. If one fails, those that were
    /// started here are stopped.
    pub(super) fn up(&self, services: &[Service]) -> Result<()> {
        let mut stopped = Vec::new();
        for service in Service::ALL {
            if self.container(service).is_none() {
                self.folder.allot(service.name())?;
                stopped.push(service);
            }
        }
        let mut arguments = vec!["up", "-d", "--wait"];
        arguments.extend(services.iter().map(|service| service.container_name()));
        let started = self
            .run(&arguments)
            .and_then(|()| if services.contains(&Service::Postgres) { self.set_password() } else { Ok(()) });
        if started.is_err() {
            stopped.retain(|service| services.contains(service));
            if !stopped.is_empty() {
                self.down(&stopped)?;
            }
        }
        started
    }

    pub(super) fn down(&self, services: &[Service]) -> Result<()> {
        let mut arguments = vec!["stop"];
        arguments.extend(services.iter().map(|service| service.container_name()));
        self.run(&arguments)
    }

    /// Runs a command of Compose with its output on standard error.
    fn run(&self, arguments: &[&str]) -> Result<()> {
        process::run(self.compose(arguments)?.stdout(std::io::stderr()))
    }

    /// Gives the database the password of the folder. The database's volume outlives the folder and
    /// has the password of an earlier one. Within its container the database asks for none.
    fn set_password(&self) -> Result<()> {
        let statement = format!("ALTER ROLE tallow PASSWORD '{}'\n", self.folder.password()?);
        let arguments =
            ["exec", "-T", Service::Postgres.container_name(), "psql", "-q", "-X", "-U", "tallow", "-d"];
        let mut command = self.compose(&arguments)?;
        process::run_with_input(command.args(["tallow", "-v", "ON_ERROR_STOP=1"]), &statement)
            .context("set the password of the database")
    }

    /// The address and the container of a service that passes its health check.
    pub(super) fn status(&self, service: Service) -> Option<String> {
        let container = self.container(service)?;
        let mut command = Command::new("docker");
        command.args(["inspect", "-f", "{{.State.Health.Status}}", &container]);
        let health = process::output(&mut command).ok()?;
        let port = self.folder.port(service.name())?;
        (health.trim() == "healthy").then(|| format!("127.0.0.1:{port}, container {container}"))
    }

    pub(super) fn address(&self, service: Service) -> Result<String> {
        let mut command = self.compose(&["port", service.container_name(), service.container_port()])?;
        Ok(process::output(&mut command)?.trim().to_owned())
    }

    pub(super) fn delete_topics(&self, pattern: &str) -> Result<()> {
        let tool =
            ["exec", "-T", "kafka", "/opt/kafka/bin/kafka-topics.sh", "--bootstrap-server", "localhost:9092"];
        process::run(self.compose(&tool)?.args(["--delete", "--if-exists", "--topic", pattern]))
    }
}
