//! Topics, a database and Redis keys that belong to one run of a command, and are removed at its
//! end.

use crate::interrupt::{self, Program};
use crate::process;
use crate::services::{Service, Services};
use anyhow::{Context, Result};
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// The command of a script that wants names of its own.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The first part of the names
    name: String,
    /// The program that gets the settings as environment variables, and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// Starts the services, and runs a program with the settings that lead to names of its own.
/// TALLOW_ISOLATED is their prefix.
pub(crate) fn run(root: &Path, arguments: &Arguments) -> Result<bool> {
    interrupt::watch()?;
    let services = Services::open(root)?;
    services.up(&Service::ALL)?;
    let isolated = Isolated::create(&services, &arguments.name)?;
    let Some((program, rest)) = arguments.command.split_first() else { return Ok(false) };
    let mut command = isolated.command(program);
    command.env("TALLOW_ISOLATED", &isolated.id).args(rest);
    Ok(Program::start(&mut command)?.wait()?.success())
}

pub(crate) struct Isolated<'a> {
    services: &'a Services,
    /// The prefix of all names.
    id: String,
    /// The URL of the database of the services.
    server: String,
    settings: Vec<(&'static str, String)>,
}

impl<'a> Isolated<'a> {
    /// Makes the database. The services must run.
    pub(crate) fn create(services: &'a Services, name: &str) -> Result<Isolated<'a>> {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).context("read the clock")?.as_secs();
        let id = format!("{name}_{seconds}_{}", std::process::id());
        let mut settings = services.settings(&Service::ALL)?;
        settings.extend([
            ("TALLOW__KAFKA__TOPIC", format!("{id}-prices")),
            ("TALLOW__KAFKA__ALERTS_TOPIC", format!("{id}-alerts")),
            ("TALLOW__KAFKA__DEAD_LETTERS_TOPIC", format!("{id}-dead-letters")),
            ("TALLOW__KAFKA__GROUP", id.clone()),
            ("TALLOW__REDIS__PREFIX", id.clone()),
            ("TALLOW__RUN__LISTEN", "127.0.0.1:0".to_owned()),
        ]);
        let mut isolated = Isolated { services, id, server: String::new(), settings };
        isolated.server = isolated.setting("TALLOW__POSTGRES__URL")?.to_owned();
        let (address, _) =
            isolated.server.rsplit_once('/').context("the URL of PostgreSQL has no database")?;
        let url = format!("{address}/{}", isolated.id);
        isolated.set("TALLOW__POSTGRES__URL", url);
        isolated.set("TALLOW__SERVER__LISTEN", "127.0.0.1:0".to_owned());
        isolated.execute(&format!("CREATE DATABASE {}", isolated.id))?;
        Ok(isolated)
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn setting(&self, name: &str) -> Result<&str> {
        let found = self.settings.iter().find(|(it, _)| *it == name);
        Ok(&found.with_context(|| format!("{name} has no value"))?.1)
    }

    /// Gives a setting a value.
    pub(crate) fn set(&mut self, name: &'static str, value: String) {
        self.settings.retain(|(it, _)| *it != name);
        self.settings.push((name, value));
    }

    /// A program with the settings.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    /// A call of Redis.
    pub(crate) fn redis(&self, arguments: &[&str]) -> Result<String> {
        process::output(
            Command::new("redis-cli").args(["-u", self.setting("TALLOW__REDIS__URL")?]).args(arguments),
        )
    }

    /// Executes a statement on the database of the services.
    fn execute(&self, statement: &str) -> Result<()> {
        let mut command = Command::new("psql");
        command.args(["-X", "-q", &self.server, "-c", statement]);
        process::output(&mut command).map(|_| ())
    }

    fn delete_keys(&self) -> Result<()> {
        let keys = self.redis(&["--scan", "--pattern", &format!("{}:*", self.id)])?;
        let keys: Vec<&str> = keys.lines().filter(|key| !key.is_empty()).collect();
        keys.chunks(100).try_for_each(|keys| self.redis(&[&["del"], keys].concat()).map(|_| ()))
    }

    fn delete_topics(&self) -> Result<()> {
        let names =
            ["TALLOW__KAFKA__TOPIC", "TALLOW__KAFKA__ALERTS_TOPIC", "TALLOW__KAFKA__DEAD_LETTERS_TOPIC"];
        let topics: Result<Vec<String>> =
            names.iter().map(|name| Ok(self.setting(name)?.to_owned())).collect();
        self.services.delete_topics(&topics?)
    }
}

impl Drop for Isolated<'_> {
    /// Removes everything that can be removed, and prints what can't.
    fn drop(&mut self) {
        let database = self.execute(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.id));
        for outcome in [database, self.delete_topics(), self.delete_keys()] {
            if let Err(error) = outcome {
                eprintln!("{}: {error:#}", self.id);
            }
        }
    }
}
