//! `tallow launch`: several processes of the pipeline on this machine, looked after. When one ends, the others are ended
//! too, and all start again from the newest checkpoint: a process of a cluster can't go on without the others.
//!
//! ```text
//! launch ─┬─► tallow run -p 0 ─┐
//!         └─► tallow run -p 1 ─┴─► each line of their logs, with the process before it
//! ```
//!
//! - **Waits.** A second before the first start anew, twice as long each time, half a minute at most. After
//!   `launch.max_failures` in a row it gives up: that is a crash loop. Where all have run for `launch.healthy_ms`, both begin
//!   anew.
//! - **Bad usage.** A process that ends with 2 will not do better the next time: nothing is started again.
//! - **End.** A signal to stop is passed on. Processes whose supervisor is gone notice that their standard input has
//!   ended, and stop by themselves.

mod group;

use crate::cli::LaunchFlags;
use crate::config::Config;
use anyhow::{Context, bail};
use group::{Ended, Group};
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tallow_model::retry::{Backoff, BackoffSettings};

/// The exit code of a process that has refused what it was told to do.
const REFUSED: i32 = 2;
/// The waits before the processes are started again.
const BACKOFF: BackoffSettings =
    BackoffSettings { first: Duration::from_secs(1), longest: Duration::from_secs(30) };
/// How often the processes are looked at.
const LOOK: Duration = Duration::from_millis(20);

/// The processes have refused what they were told to do.
#[derive(Debug)]
pub(crate) struct Refused(String);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// Runs until `stop` is set, or the processes can't be kept running.
///
/// # Errors
/// When the processes can't be started, refuse, or end again and again.
pub(crate) fn run(config: &Config, flags: &LaunchFlags, stop: &AtomicBool) -> anyhow::Result<()> {
    let program = std::env::current_exe().context("find this program")?;
    let healthy = Duration::from_millis(config.launch.healthy_ms);
    let mut backoff = Backoff::new(BACKOFF);
    let mut failures = 0;
    let mut from_scratch = flags.from_scratch;
    loop {
        let hosts = hosts(flags.processes)?;
        let listen = addresses(config.run.listen, flags.processes)?;
        let arguments = |process| arguments(config, flags, process, &listen, hosts.path(), from_scratch);
        let started = Instant::now();
        let mut group = Group::start(&program, flags.processes, arguments)?;
        let Some(ended) = group.wait(stop)? else { return group.stop() };
        let ran = started.elapsed();
        from_scratch &= !group.was_ready() && ran < healthy;
        let Ended { process, status, last_words } = ended;
        tracing::warn!(process, %status, last_words, "process has ended, ending the others");
        group.stop()?;
        if status.code() == Some(REFUSED) {
            return Err(Refused(last_words).into());
        }
        if ran >= healthy {
            backoff = Backoff::new(BACKOFF);
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
            std::thread::sleep(LOOK);
        }
    }
}

/// What a process is started with.
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

/// A file of addresses on this machine that nobody listens on.
fn hosts(processes: u16) -> anyhow::Result<tempfile::NamedTempFile> {
    let bind = |_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let listeners: Vec<TcpListener> =
        (0..processes).map(bind).collect::<Result<_, _>>().context("find free ports")?;
    let addresses = listeners.iter().map(|listener| Ok(format!("{}\n", listener.local_addr()?)));
    let addresses = addresses.collect::<std::io::Result<String>>().context("find free ports")?;
    let file = tempfile::NamedTempFile::new().context("make a file of addresses")?;
    std::fs::write(file.path(), addresses).context("write a file of addresses")?;
    Ok(file)
}

/// Where the processes say how they are: the first at the address of the settings, the others at the ports after that.
///
/// # Errors
/// When there are not so many ports.
fn addresses(first: SocketAddr, processes: u16) -> anyhow::Result<Vec<SocketAddr>> {
    let port = |process| if first.port() == 0 { Some(0) } else { first.port().checked_add(process) };
    let addresses = (0..processes).map(|process| Some(SocketAddr::new(first.ip(), port(process)?)));
    let addresses: Option<Vec<SocketAddr>> = addresses.collect();
    addresses.ok_or_else(|| {
        Refused(format!("run.listen is {first}: there are not {processes} ports from there on")).into()
    })
}
