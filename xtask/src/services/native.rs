//! The services as processes of this machine, which outlive the command that starts them.

use super::folder::Folder;
use super::service::{Service, say};
use super::{daemon, kafka, postgres, redis};
use crate::process;
use anyhow::{Context, Result, anyhow, bail};
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// The longest wait for a service that was asked to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(120);

pub(super) struct Processes {
    pub(super) folder: Folder,
    root: PathBuf,
}

impl Processes {
    pub(super) fn new(root: &Path, folder: Folder) -> Processes {
        Processes { folder, root: root.to_owned() }
    }

    /// Starts the services side by side. If one fails, those that were started here are stopped
    /// again.
    pub(super) fn up(&self, services: &[Service]) -> Result<()> {
        if self.folder.port("server").is_none() {
            self.folder.allot("server")?;
        }
        let attempts: Vec<(Service, bool, Result<()>)> = thread::scope(|scope| {
            let attempt = |service: Service| {
                let was_alive = self.is_alive(service);
                let outcome = if was_alive { self.await_answer(service) } else { self.start(service) };
                (service, was_alive, outcome)
            };
            let threads: Vec<_> =
                services.iter().map(|service| scope.spawn(move || attempt(*service))).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
        });
        let failures: Vec<String> = attempts
            .iter()
            .filter_map(|(service, _, outcome)| {
                Some(format!("{}: {:#}", service.name(), outcome.as_ref().err()?))
            })
            .collect();
        if failures.is_empty() && attempts.len() == services.len() {
            return Ok(());
        }
        let started: Vec<Service> =
            attempts.iter().filter(|(_, was_alive, _)| !was_alive).map(|(service, ..)| *service).collect();
        for failure in &failures {
            say(failure);
        }
        let alive = started.iter().filter(|service| self.is_alive(**service));
        let names: Vec<&str> = alive.map(|service| service.name()).collect();
        if !names.is_empty() {
            say(&format!("stopping what was started: {}", names.join(", ")));
        }
        self.down(&started)?;
        bail!("not all services could be started")
    }

    fn start(&self, service: Service) -> Result<()> {
        match service {
            Service::Postgres => postgres::start(&self.folder),
            Service::Redis => redis::start(&self.folder),
            Service::Kafka => kafka::start(&self.folder, &self.root),
        }
    }

    fn await_answer(&self, service: Service) -> Result<()> {
        daemon::await_answer(&self.folder, service, |_| self.answers(service))
    }

    pub(super) fn down(&self, services: &[Service]) -> Result<()> {
        let outcomes: Vec<Result<()>> = thread::scope(|scope| {
            let threads: Vec<_> =
                services.iter().map(|service| scope.spawn(move || self.stop(*service))).collect();
            let joined = threads.into_iter().map(|it| it.join().unwrap_or_else(|_| Err(anyhow!("panicked"))));
            joined.collect()
        });
        outcomes.into_iter().collect()
    }

    fn stop(&self, service: Service) -> Result<()> {
        let Some(pid) = self.live_pid(service) else {
            self.folder.remove_pid(service.name());
            return Ok(());
        };
        let signal = match service {
            // A fast shutdown: PostgreSQL ends its sessions.
            Service::Postgres => Signal::INT,
            Service::Redis | Service::Kafka => Signal::TERM,
        };
        process::end(pid, signal, STOP_TIMEOUT).with_context(|| format!("stop {}", service.name()))?;
        self.folder.remove_pid(service.name());
        Ok(())
    }

    /// The number of the service's process, if it runs. The number of a process that has ended is
    /// given out again, at the latest after a restart of the machine, so its command line is looked
    /// at.
    fn live_pid(&self, service: Service) -> Option<u32> {
        let pid = self.folder.pid(service.name()).filter(|pid| process::is_running(*pid))?;
        let command = process::command_line(pid)?;
        let marks = match service {
            Service::Postgres => vec![postgres::data(&self.folder).ok()?.to_str()?.to_owned()],
            // Redis replaces its command line by its address.
            Service::Redis => vec!["redis-server".to_owned(), self.folder.port("redis")?.to_string()],
            Service::Kafka => vec![kafka::settings_path(&self.folder).to_str()?.to_owned()],
        };
        marks.iter().all(|mark| command.contains(mark)).then_some(pid)
    }

    fn is_alive(&self, service: Service) -> bool {
        self.live_pid(service).is_some()
    }

    fn answers(&self, service: Service) -> bool {
        match service {
            Service::Postgres => postgres::answers(&self.folder),
            Service::Redis => redis::answers(&self.folder),
            Service::Kafka => kafka::answers(&self.folder),
        }
    }

    /// The address and the process of a service that answers.
    pub(super) fn status(&self, service: Service) -> Option<String> {
        let pid = self.live_pid(service)?;
        let port = self.folder.port(service.name())?;
        self.answers(service).then(|| format!("127.0.0.1:{port}, process {pid}"))
    }

    pub(super) fn address(&self, service: Service) -> Result<String> {
        let port = self.folder.port(service.name()).context("it has never been started")?;
        Ok(format!("127.0.0.1:{port}"))
    }

    pub(super) fn delete_topics(&self, pattern: &str) -> Result<()> {
        kafka::delete_topics(&self.folder, &self.root, pattern)
    }
}
