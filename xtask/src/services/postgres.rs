//! PostgreSQL as a process of this machine.
//!
//! PostgreSQL refuses to run as root, so root runs it as the user `postgres` that its package
//! makes. That user may not be allowed to enter the folder of the services. The data are in the
//! folder for temporary files then, and the log is opened here and handed over.

use super::daemon::{self, START_TIMEOUT};
use super::folder::Folder;
use super::service::Service;
use crate::process;
use anyhow::{Context, Result, bail};
use rustix::process::geteuid;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The user that root runs PostgreSQL as.
const USER: &str = "postgres";

/// Makes the database unless there is one.
const CREATE_DATABASE: &str = "SELECT 'CREATE DATABASE tallow' \
    WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'tallow') \\gexec\n";

/// The folder of PostgreSQL's programs, of the newest version.
pub(super) fn programs() -> Option<PathBuf> {
    let version = |path: &PathBuf| -> Option<u32> { path.file_name()?.to_str()?.parse().ok() };
    let entries = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut folders: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    folders.sort_by_key(|path| std::cmp::Reverse(version(path)));
    let installed = folders.into_iter().map(|folder| folder.join("bin"));
    let in_path = process::find_program("pg_ctl").and_then(|it| Some(it.parent()?.to_owned()));
    let is_complete = |folder: &PathBuf| {
        ["initdb", "psql", "pg_isready"].iter().all(|it| process::is_program(&folder.join(it)))
    };
    installed.chain(in_path).find(is_complete)
}

/// A command that runs as the user of the database.
fn as_user(program: impl AsRef<Path>) -> Command {
    let mut command = if geteuid().is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", USER, "--"]).arg(program.as_ref());
        command
    } else {
        Command::new(program.as_ref())
    };
    // PostgreSQL's programs complain about a working folder that they may not enter.
    command.current_dir("/");
    command
}

/// The first folder on the way to `folder`, itself included, that the user of the database may not
/// enter.
fn barrier(folder: &Path) -> Option<PathBuf> {
    let may_enter = |folder: &Path| process::succeeds(as_user("test").arg("-x").arg(folder));
    if may_enter(folder) {
        return None;
    }
    let mut folders: Vec<&Path> = folder.ancestors().collect();
    folders.reverse();
    folders.into_iter().find(|it| !may_enter(it)).map(Path::to_owned)
}

/// The folder of the data: in the folder of the services, unless the user of the database may not
/// enter that.
pub(super) fn data(folder: &Folder) -> Result<PathBuf> {
    if !geteuid().is_root() || barrier(folder.path()).is_none() {
        return Ok(folder.path().join("postgres"));
    }
    Ok(std::env::temp_dir().join(format!("tallow-postgres-{}", folder.number()?)))
}

pub(super) fn answers(folder: &Folder) -> bool {
    let (Some(programs), Some(port)) = (programs(), folder.port("postgres")) else { return false };
    let mut command = Command::new(programs.join("pg_isready"));
    process::succeeds(command.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]))
}

pub(super) fn start(folder: &Folder) -> Result<()> {
    let programs = programs().context("initdb, psql and pg_isready are not installed")?;
    if geteuid().is_root() && process::find_program("runuser").is_none() {
        bail!("PostgreSQL refuses to run as root, and there is no runuser to run it as the user {USER}");
    }
    let data = data(folder)?;
    if !data.join("PG_VERSION").exists() {
        initialize(folder, &programs, &data)?;
    }
    let port = folder.allot("postgres")?;
    let preload = if has_timescale(&programs) { "timescaledb" } else { "" };
    // One line: pg_ctl hands the options to a shell, which ends a command at the end of a line.
    let options = format!(
        "-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=200 \
         -c shared_preload_libraries='{preload}'"
    );
    let mut command = as_user(programs.join("pg_ctl"));
    command.arg("-D").arg(&data).args([
        "-w",
        "-t",
        &START_TIMEOUT.as_secs().to_string(),
        "-s",
        "start",
        "-o",
    ]);
    let started = run_logged(folder, command.arg(options));
    // The number is there too if the server was started and did not become ready.
    if let Some(pid) = postmaster(&data) {
        folder.set_pid("postgres", pid)?;
    }
    if started.is_err() {
        return Err(daemon::failure(folder, Service::Postgres, "the server does not start"));
    }
    create_database(&programs, port)
}

/// Makes the folder of the data; an error that names the folder which the user of the database may
/// not enter.
fn initialize(folder: &Folder, programs: &Path, data: &Path) -> Result<()> {
    if let Some(above) = data.parent()
        && let Some(barrier) = barrier(above)
    {
        bail!(
            "PostgreSQL runs as the user {USER}, who may not enter {}; its data would be in {}",
            barrier.display(),
            data.display()
        );
    }
    let _ = fs::remove_dir_all(data);
    fs::create_dir_all(data).with_context(|| format!("make the folder {}", data.display()))?;
    if geteuid().is_root() {
        process::run(Command::new("chown").arg(USER).arg(data))?;
    }
    let mut command = as_user(programs.join("initdb"));
    command.arg("-D").arg(data).args(["-U", "tallow", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"]);
    match run_logged(folder, &mut command) {
        Ok(()) => Ok(()),
        Err(_) => Err(daemon::failure(folder, Service::Postgres, "initdb failed")),
    }
}

fn run_logged(folder: &Folder, command: &mut Command) -> Result<()> {
    let log = folder.open_log("postgres")?;
    let errors = log.try_clone().context("duplicate the log")?;
    process::run(command.stdin(Stdio::null()).stdout(log).stderr(errors))
}

/// The number of the server's process, which the server writes on the first line of a file in its
/// data.
fn postmaster(data: &Path) -> Option<u32> {
    fs::read_to_string(data.join("postmaster.pid")).ok()?.lines().next()?.trim().parse().ok()
}

/// Whether the extension TimescaleDB is installed.
fn has_timescale(programs: &Path) -> bool {
    let share = process::output(Command::new(programs.join("pg_config")).arg("--sharedir"));
    share.is_ok_and(|share| Path::new(share.trim()).join("extension/timescaledb.control").exists())
}

fn create_database(programs: &Path, port: u16) -> Result<()> {
    let mut command = Command::new(programs.join("psql"));
    command.args(["-q", "-X", "-h", "127.0.0.1", "-p", &port.to_string(), "-U", "tallow", "-d", "postgres"]);
    command.args(["-v", "ON_ERROR_STOP=1"]);
    process::run_with_input(&mut command, CREATE_DATABASE).context("create the database")
}
