//! Processes of Tallow that serve HTTP, and `scripts/xtask served`: a command beside a server of
//! its own.

use crate::http;
use crate::interrupt::{self, Program};
use crate::process;
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The longest wait for a process. A machine that is busy takes its time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// The command of a script that asks a server of its own.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Settings of the server as NAME=VALUE; the caller's are not used
    #[arg(value_name = "NAME=VALUE")]
    settings: Vec<String>,
    /// The program that finds the server's URL in TALLOW_URL, and its arguments
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Starts `tallow up --seed 7`, waits until it is ready, and runs a program. Fails if the program
/// fails or if the server is not ready after it; the server's log is printed then.
pub(crate) fn run(root: &Path, arguments: &Arguments) -> Result<bool> {
    interrupt::watch()?;
    let folder = tempfile::tempdir().context("make a temporary folder")?;
    let mut command = Command::new(find_tallow(root, Profile::Debug)?);
    command.args(["up", "--seed", "7", "--port", "0", "--data"]).arg(folder.path().join("data"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TALLOW__") {
            command.env_remove(name);
        }
    }
    for setting in &arguments.settings {
        let (name, value) =
            setting.split_once('=').with_context(|| format!("{setting} is not NAME=VALUE"))?;
        command.env(name, value);
    }
    let server = Served::start(command, "up", folder.path(), "/ready")?;
    let Some((program, rest)) = arguments.command.split_first() else { return Ok(false) };
    let mut command = Command::new(program);
    command.args(rest).env("TALLOW_URL", format!("http://{}", server.address));
    let succeeded = Program::start(&mut command)?.wait()?.success();
    if !server.answers("/ready") {
        bail!("the server is not ready any more:{}", server.log());
    }
    if !succeeded {
        eprintln!("the server's log:{}", server.log());
    }
    Ok(succeeded)
}

/// The cargo profile of the program `tallow`.
pub(crate) enum Profile {
    Debug,
    Release,
}

/// The program in TALLOW_BIN; without it, one that is built.
pub(crate) fn find_tallow(root: &Path, profile: Profile) -> Result<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|it| !it.is_empty()).map(PathBuf::from);
    if let Some(program) = variable("TALLOW_BIN") {
        return Ok(program);
    }
    let (arguments, folder): (&[&str], _) = match profile {
        Profile::Debug => (&[], "debug"),
        Profile::Release => (&["--release"], "release"),
    };
    let mut build = Command::new("cargo");
    build.args(["build", "--quiet", "--package", "tallow", "--manifest-path"]).arg(root.join("Cargo.toml"));
    process::run(build.args(arguments))?;
    let target = variable("CARGO_TARGET_DIR").unwrap_or_else(|| root.join("target"));
    Ok(target.join(folder).join("tallow"))
}

/// A process of Tallow that serves HTTP, ended when it is dropped.
pub(crate) struct Served {
    pub(crate) program: Program,
    /// The host and port.
    pub(crate) address: String,
    log: PathBuf,
}

impl Served {
    /// Starts a process that chooses its port, and waits until it answers a path with 200. Its log
    /// is in a folder.
    pub(crate) fn start(mut command: Command, name: &str, folder: &Path, path: &str) -> Result<Served> {
        let log = folder.join(format!("{name}.log"));
        let open = || File::options().create(true).append(true).open(&log).context("make a log");
        // The log names the address.
        command.env("TALLOW__LOGGING__LEVEL", "info").env("NO_COLOR", "1");
        command.stdin(Stdio::null()).stdout(open()?).stderr(open()?);
        let program = Program::start(&mut command)?;
        let mut served = Served { program, address: String::new(), log };
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(address) =
                fs::read_to_string(&served.log).ok().and_then(|it| http::first_address(&it))
            {
                served.address = address;
                if served.answers(path) {
                    return Ok(served);
                }
            }
            if !served.program.is_running() || Instant::now() >= deadline {
                bail!("tallow {name} does not answer {path}:{}", served.log());
            }
            sleep(process::POLL_INTERVAL);
        }
    }

    /// Whether the process answers a path with 200.
    pub(crate) fn answers(&self, path: &str) -> bool {
        http::get(&self.address, path).is_ok_and(|response| response.status == 200)
    }

    /// The lines of the log, indented.
    fn log(&self) -> String {
        process::tail(&self.log, usize::MAX)
    }
}
