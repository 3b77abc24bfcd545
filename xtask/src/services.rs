//! `scripts/services`: PostgreSQL, Redis and Apache Kafka as instances of a checkout's own.
//!
//! The instances have free ports, and their data and logs in one folder. Where a Docker engine with
//! Compose answers, they are the containers of `docker-compose.yml`; otherwise they are processes
//! of this machine.

mod daemon;
mod docker;
mod folder;
mod install;
mod kafka;
mod native;
mod postgres;
mod redis;
mod service;

use anyhow::{Context, Result};
use clap::Subcommand;
use docker::Containers;
use folder::Folder;
use native::Processes;
pub(crate) use service::Service;
use std::env;
use std::path::{Path, PathBuf};

/// The arguments of `scripts/services`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Installs what is missing, starts the services, and waits until each answers
    Up(Names),
    /// Stops the services; their data stays
    Down(Names),
    /// Stops and starts the services, on the same ports
    Restart(Names),
    /// Prints a line for each service; fails unless all answer
    Status(Names),
    /// Prints export lines of the settings that lead to the services
    Env(Names),
    /// Deletes topics from Kafka
    TopicsDelete {
        #[arg(value_name = "TOPIC", required = true)]
        topics: Vec<String>,
    },
}

#[derive(clap::Args)]
struct Names {
    /// The services that are meant; all of them if none is named
    #[arg(value_enum, value_name = "NAME")]
    names: Vec<Service>,
}

impl Names {
    fn services(&self) -> Vec<Service> {
        if self.names.is_empty() { Service::ALL.to_vec() } else { self.names.clone() }
    }
}

/// PostgreSQL, Redis and Kafka of one folder.
pub(crate) struct Services {
    root: PathBuf,
    instances: Instances,
}

/// The two ways to have the services.
enum Instances {
    Containers(Containers),
    Processes(Processes),
}

/// Runs a command, and returns whether it found everything as it should be.
pub(crate) fn run(root: &Path, arguments: Arguments) -> Result<bool> {
    let services = Services::open(root)?;
    match arguments.command {
        Command::Up(names) => services.up(&names.services())?,
        Command::Down(names) => services.down(&names.services())?,
        Command::Restart(names) => {
            services.down(&names.services())?;
            services.up(&names.services())?;
        }
        Command::Status(names) => return Ok(services.print_status(&names.services())),
        Command::Env(names) => {
            for (name, value) in services.settings(&names.services())? {
                println!("export {name}={value}");
            }
        }
        Command::TopicsDelete { topics } => services.delete_topics(&topics)?,
    }
    Ok(true)
}

/// The folder of this set of instances: TALLOW_SERVICES, or `services` in cargo's target folder.
fn services_folder(root: &Path) -> PathBuf {
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("TALLOW_SERVICES").unwrap_or_else(|| {
        variable("CARGO_TARGET_DIR").unwrap_or_else(|| root.join("target")).join("services")
    })
}

impl Services {
    /// The services of the folder that the environment names. A Docker engine is asked for once.
    pub(crate) fn open(root: &Path) -> Result<Services> {
        let folder = Folder::open(&services_folder(root))?;
        let instances = if docker::is_wanted() && docker::answers() {
            Instances::Containers(Containers::new(root, folder))
        } else {
            Instances::Processes(Processes::new(root, folder))
        };
        Ok(Services { root: root.to_owned(), instances })
    }

    fn folder(&self) -> &Folder {
        match &self.instances {
            Instances::Containers(containers) => &containers.folder,
            Instances::Processes(processes) => &processes.folder,
        }
    }

    /// Installs what is missing, starts the services, and waits until each answers.
    pub(crate) fn up(&self, services: &[Service]) -> Result<()> {
        // Two commands that start the same services at the same time would take each other's ports.
        let _lock = self.folder().lock()?;
        let is_docker = matches!(self.instances, Instances::Containers(_));
        install::install_missing(&self.root, services, is_docker)?;
        match &self.instances {
            Instances::Containers(containers) => containers.up(services),
            Instances::Processes(processes) => processes.up(services),
        }
    }

    /// Stops the services.
    pub(crate) fn down(&self, services: &[Service]) -> Result<()> {
        let _lock = self.folder().lock()?;
        match &self.instances {
            Instances::Containers(containers) => containers.down(services),
            Instances::Processes(processes) => processes.down(services),
        }
    }

    /// The address and the process or container of a service that answers.
    fn status(&self, service: Service) -> Option<String> {
        match &self.instances {
            Instances::Containers(containers) => containers.status(service),
            Instances::Processes(processes) => processes.status(service),
        }
    }

    /// Whether all services answer.
    pub(crate) fn all_answer(&self) -> bool {
        Service::ALL.iter().all(|service| self.status(*service).is_some())
    }

    /// Prints a line for each service, and returns whether all answer.
    pub(crate) fn print_status(&self, services: &[Service]) -> bool {
        let mut all_answer = true;
        for service in services {
            let status = self.status(*service);
            all_answer &= status.is_some();
            let state = status.map_or_else(|| "not running".to_owned(), |it| format!("running on {it}"));
            println!("{}: {state}", service.name());
        }
        all_answer
    }

    /// The settings that lead to the services, by the names of their variables.
    pub(crate) fn settings(&self, services: &[Service]) -> Result<Vec<(&'static str, String)>> {
        let folder = self.folder();
        let mut settings = Vec::new();
        for service in services {
            let address = match &self.instances {
                Instances::Containers(containers) => containers.address(*service),
                Instances::Processes(processes) => processes.address(*service),
            };
            let address = address
                .with_context(|| format!("{} has no address; try: scripts/services up", service.name()))?;
            settings.push(match service {
                Service::Postgres => {
                    let user = match &self.instances {
                        Instances::Containers(_) => format!("tallow:{}", folder.password()?),
                        Instances::Processes(_) => "tallow".to_owned(),
                    };
                    ("TALLOW__POSTGRES__URL", format!("postgres://{user}@{address}/tallow"))
                }
                Service::Redis => ("TALLOW__REDIS__URL", format!("redis://{address}")),
                Service::Kafka => ("TALLOW__KAFKA__BOOTSTRAP_SERVERS", address),
            });
        }
        // Checkpoints are in a folder, which needs no service.
        if Service::ALL.iter().all(|service| services.contains(service)) {
            let checkpoints = folder.path().join("checkpoints");
            settings.push(("TALLOW__CHECKPOINT__URL", format!("file:{}", checkpoints.display())));
        }
        let server = match &self.instances {
            Instances::Containers(_) => 8000,
            Instances::Processes(_) => folder.port("server").context("scripts/services up has never run")?,
        };
        settings.push(("TALLOW__SERVER__LISTEN", format!("127.0.0.1:{server}")));
        Ok(settings)
    }

    /// Deletes topics from Kafka.
    pub(crate) fn delete_topics(&self, topics: &[String]) -> Result<()> {
        let pattern = topic_pattern(topics);
        match &self.instances {
            Instances::Containers(containers) => containers.delete_topics(&pattern),
            Instances::Processes(processes) => processes.delete_topics(&pattern),
        }
    }
}

/// The regular expression of some topics' names, in which only dots mean something else to Kafka's
/// tool.
fn topic_pattern(topics: &[String]) -> String {
    topics.join("|").replace('.', "\\.")
}
