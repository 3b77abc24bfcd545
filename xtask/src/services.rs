//! `scripts/services`: PostgreSQL, Redis and Apache Kafka as instances of a checkout's own.
//!
//! The instances have free ports, and their data and logs in one folder. Where a Docker engine with Compose answers, they are
//! the containers of `docker-compose.yml`; otherwise they are processes of this machine.

mod docker;
mod folder;
mod install;
mod kafka;
mod native;
mod postgres;
mod redis;

use anyhow::{Context, Result};
use clap::{Subcommand, ValueEnum};
use docker::Containers;
use folder::Folder;
use native::Processes;
use std::env;
use std::path::{Path, PathBuf};

/// What `scripts/services` is asked to do.
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

/// One of the services, in the order in which they are listed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Service {
    Postgres,
    Redis,
    Kafka,
}

impl Service {
    const ALL: [Service; 3] = [Service::Postgres, Service::Redis, Service::Kafka];

    /// The service's name on the command line, and the stem of its files.
    fn name(self) -> &'static str {
        match self {
            Service::Postgres => "postgres",
            Service::Redis => "redis",
            Service::Kafka => "kafka",
        }
    }
}

/// The two ways to have the services.
enum Instances {
    Containers(Containers),
    Processes(Processes),
}

/// Runs a command, and returns whether it found everything as it should be.
pub(crate) fn run(root: &Path, arguments: Arguments) -> Result<bool> {
    let folder = Folder::open(&services_folder(root))?;
    let is_docker = docker::is_wanted() && docker::answers();
    let instances = if is_docker {
        Instances::Containers(Containers::new(root, folder))
    } else {
        Instances::Processes(Processes::new(root, folder))
    };
    match arguments.command {
        Command::Up(names) => {
            let _lock = instances.lock()?;
            instances.up(root, &names.services())?;
        }
        Command::Down(names) => {
            let _lock = instances.lock()?;
            instances.down(&names.services())?;
        }
        Command::Restart(names) => {
            let _lock = instances.lock()?;
            instances.down(&names.services())?;
            instances.up(root, &names.services())?;
        }
        Command::Status(names) => return Ok(instances.print_status(&names.services())),
        Command::Env(names) => instances.print_settings(&names.services())?,
        Command::TopicsDelete { topics } => {
            let pattern = topic_pattern(&topics);
            match &instances {
                Instances::Containers(containers) => containers.delete_topics(&pattern)?,
                Instances::Processes(processes) => processes.delete_topics(&pattern)?,
            }
        }
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

impl Instances {
    fn folder(&self) -> &Folder {
        match self {
            Instances::Containers(containers) => &containers.folder,
            Instances::Processes(processes) => &processes.folder,
        }
    }

    /// Keeps other commands that start or stop instances of this folder waiting: two that start the same services at the
    /// same time would take each other's ports.
    fn lock(&self) -> Result<impl Drop + use<>> {
        self.folder().lock()
    }

    fn up(&self, root: &Path, services: &[Service]) -> Result<()> {
        let is_docker = matches!(self, Instances::Containers(_));
        install::install_missing(root, services, is_docker)?;
        match self {
            Instances::Containers(containers) => containers.up(services),
            Instances::Processes(processes) => processes.up(services),
        }
    }

    fn down(&self, services: &[Service]) -> Result<()> {
        match self {
            Instances::Containers(containers) => containers.down(services),
            Instances::Processes(processes) => processes.down(services),
        }
    }

    /// Prints a line for each service, and returns whether all answer.
    fn print_status(&self, services: &[Service]) -> bool {
        let mut all_answer = true;
        for service in services {
            let found = match self {
                Instances::Containers(containers) => containers.status(*service),
                Instances::Processes(processes) => processes.status(*service),
            };
            match found {
                Some(ref instance) => println!("{}: running on {instance}", service.name()),
                None => println!("{}: not running", service.name()),
            }
            all_answer &= found.is_some();
        }
        all_answer
    }

    fn print_settings(&self, services: &[Service]) -> Result<()> {
        let folder = self.folder();
        for service in services {
            let address = match self {
                Instances::Containers(containers) => containers.address(*service),
                Instances::Processes(processes) => processes.address(*service),
            }
            .with_context(|| format!("{} has no address; try: scripts/services up", service.name()))?;
            match service {
                Service::Postgres => {
                    let user = match self {
                        Instances::Containers(_) => format!("tallow:{}", folder.password()?),
                        Instances::Processes(_) => "tallow".to_owned(),
                    };
                    println!("export TALLOW__POSTGRES__URL=postgres://{user}@{address}/tallow");
                }
                Service::Redis => println!("export TALLOW__REDIS__URL=redis://{address}"),
                Service::Kafka => println!("export TALLOW__KAFKA__BOOTSTRAP_SERVERS={address}"),
            }
        }
        // Checkpoints are in a folder, which needs no service.
        if Service::ALL.iter().all(|service| services.contains(service)) {
            println!("export TALLOW__CHECKPOINT__URL=file:{}", folder.path().join("checkpoints").display());
        }
        let server = match self {
            Instances::Containers(_) => 8000,
            Instances::Processes(_) => folder.port("server").context("scripts/services up has never run")?,
        };
        println!("export TALLOW__SERVER__LISTEN=127.0.0.1:{server}");
        Ok(())
    }
}

/// The regular expression of some topics' names, in which only dots mean something else to Kafka's tool.
fn topic_pattern(topics: &[String]) -> String {
    topics.join("|").replace('.', "\\.")
}

/// Tells the user on standard error: standard output belongs to the export lines.
fn say(text: &str) {
    eprintln!("services: {text}");
}
