//! `tallow launch`: a supervisor of several pipeline processes on this machine. When one ends, the
//! others are stopped too, and all start again from the newest checkpoint: a process of a cluster
//! can't continue without the others.
//!
//! ```text
//! launch ─┬─► tallow run -p 0 ─┐
//!         └─► tallow run -p 1 ─┴─► each line of their logs, prefixed with the process
//! ```
//!
//! - **Waits.** One second before the first restart, twice as long each time, half a minute at
//!   most. After `launch.max_failures` failures in a row the supervisor gives up: that is a crash
//!   loop. Once all processes have run for `launch.healthy_ms`, the wait and the count start anew.
//! - **From scratch.** `--from-scratch` is repeated at a restart until all processes have answered
//!   `/ready`, or have run for `launch.healthy_ms`.
//! - **Bad usage.** A process that exits with 2 would do so again: nothing is restarted.
//! - **End.** A signal to stop is passed on. A process whose supervisor is gone sees the end of its
//!   standard input, and stops.

mod group;
mod readiness;

use crate::cli::LaunchFlags;
use crate::config::Config;
use anyhow::{Context, bail};
use group::{Ended, Group};
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tallow_model::retry::{Backoff, BackoffSettings};

/// The exit code of a process that refuses its flags or settings.
const REFUSED: i32 = 2;
/// The waits before a restart.
const RESTART_WAITS: BackoffSettings =
    BackoffSettings { first: Duration::from_secs(1), longest: Duration::from_secs(30) };
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The error of processes that refuse their flags or settings.
#[derive(Debug)]
pub(crate) struct Refused(String);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// Runs the processes until `stop` is set.
///
/// # Errors
/// If the processes can't be started, refuse their settings, or are in a crash loop.
pub(crate) fn run(config: &Config, flags: &LaunchFlags, stop: &AtomicBool) -> anyhow::Result<()> {
    let program = std::env::current_exe().context("find this program")?;
    let healthy = Duration::from_millis(config.launch.healthy_ms);
    let mut backoff = Backoff::new(RESTART_WAITS);
    let mut failures = 0;
    let mut from_scratch = flags.from_scratch;
    loop {
        let hosts = hosts(flags.processes)?;
        let listen = addresses(config.run.listen, flags.processes)?;
        let arguments = |process| arguments(config, flags, process, &listen, hosts.path(), from_scratch);
        let started = Instant::now();
        let mut group = Group::start(&program, &listen, arguments)?;
        let Some(ended) = group.wait(stop)? else { return group.stop() };
        let ran = started.elapsed();
        from_scratch &= !group.all_answered() && ran < healthy;
        let Ended { process, status, last_words } = ended;
        tracing::warn!(process, %status, last_words, "process has ended, ending the others");
        group.stop()?;
        if status.code() == Some(REFUSED) {
            return Err(Refused(last_words).into());
        }
        if ran >= healthy {
            backoff = Backoff::new(RESTART_WAITS);
            failures = 0;
        }
        failures += 1;
        if failures == config.launch.max_failures {
            bail!(
                "the processes have ended {failures} times in a row, none after {} s or more; the last time: {last_words}",
                healthy.as_secs_f64()
            );
        }
        let wait = backoff.next_wait();
        tracing::info!(failures, wait_seconds = wait.as_secs_f64(), "starting all processes again");
        let until = Instant::now() + wait;
        while Instant::now() < until {
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }
}

/// The arguments of a process.
fn arguments(
    config: &Config,
    flags: &LaunchFlags,
    process: u16,
    listen: &[SocketAddr],
    hosts: &Path,
    from_scratch: bool,
) -> Vec<OsString> {
    let mut arguments = flags.passed_on.clone();
    arguments.extend(["run", "--until-input-ends"].map(OsString::from));
    for (flag, value) in [
        ("-w", config.dataflow.workers.to_string()),
        ("-n", flags.processes.to_string()),
        ("-p", process.to_string()),
        ("--listen", listen[usize::from(process)].to_string()),
    ] {
        arguments.extend([flag.into(), value.into()]);
    }
    arguments.extend(["--hostfile".into(), hosts.into()]);
    if from_scratch {
        arguments.push("--from-scratch".into());
    }
    arguments
}

/// Writes a host file of free addresses on this machine.
fn hosts(processes: u16) -> anyhow::Result<tempfile::NamedTempFile> {
    let addresses = free_addresses(Ipv4Addr::LOCALHOST.into(), processes)?;
    let lines: String = addresses.iter().map(|address| format!("{address}\n")).collect();
    let file = tempfile::NamedTempFile::new().context("create the host file")?;
    std::fs::write(file.path(), lines).context("write the host file")?;
    Ok(file)
}

/// Returns addresses with different ports that nobody listens on.
fn free_addresses(ip: IpAddr, count: u16) -> anyhow::Result<Vec<SocketAddr>> {
    let listeners = (0..count).map(|_| TcpListener::bind((ip, 0)));
    // All listeners stay open until the last address is known: no port is returned twice.
    let listeners: Vec<TcpListener> = listeners.collect::<Result<_, _>>().context("find free ports")?;
    let addresses = listeners.iter().map(TcpListener::local_addr);
    addresses.collect::<Result<_, _>>().context("find free ports")
}

/// Returns the addresses of the status servers: `first` for the first process, the ports after it
/// for the others. If the port of `first` is 0, all ports are free ones.
///
/// # Errors
/// If there are too few ports after that of `first`.
fn addresses(first: SocketAddr, processes: u16) -> anyhow::Result<Vec<SocketAddr>> {
    if first.port() == 0 {
        return free_addresses(first.ip(), processes);
    }
    let address = |process| Some(SocketAddr::new(first.ip(), first.port().checked_add(process)?));
    let addresses = (0..processes).map(address);
    let addresses: Option<Vec<SocketAddr>> = addresses.collect();
    addresses.ok_or_else(|| {
        Refused(format!("run.listen is {first}: there are not {processes} ports from there on")).into()
    })
}
