//! `tallow launch`: several processes of the pipeline on this machine, looked after. When one ends, the others are ended
//! too, and all start again from the newest checkpoint: a process of a cluster can't go on without the others.
//!
//! ```text
//! launch ─┬─► tallow run -p 0 ─┐
//!         └─► tallow run -p 1 ─┴─► each line of their logs, with the process before it
//! ```
//!
//! - **Waits.** Half a second before the first start anew, twice as long each time that the processes ended before they
//!   were ready, half a minute at most. After several such times in a row it gives up: that is a crash loop.
//! - **Bad usage.** A process that ends with 2 will not do better the next time: nothing is started again.
//! - **End.** A signal to stop is passed on. Processes whose supervisor is gone notice that their standard input has
//!   ended, and stop by themselves.

mod group;

use crate::cli::LaunchFlags;
use crate::config::Config;
use anyhow::{Context, bail};
use group::{Ended, Group};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tallow_connectors::retry::{Backoff, BackoffSettings};

/// The waits before the processes are started again.
const BACKOFF: BackoffSettings =
    BackoffSettings { first: Duration::from_millis(500), longest: Duration::from_secs(30) };
/// How often in a row they may end before they are ready.
const MOST_FAILURES: u32 = 5;
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
    let mut backoff = Backoff::new(BACKOFF);
    let mut failures = 0;
    let mut from_scratch = flags.from_scratch;
    loop {
        let hosts = hosts(flags.processes)?;
        let arguments = |process: u16| {
            let mut arguments = flags.passed_on.clone();
            let listen = listen(config.run.listen, process);
            arguments.extend(
                [
                    "run",
                    "--until-input-ends",
                    "-w",
                    &config.dataflow.workers.to_string(),
                    "-n",
                    &flags.processes.to_string(),
                    "-p",
                    &process.to_string(),
                    "--listen",
                    &listen.to_string(),
                    "--hostfile",
                ]
                .map(Into::into),
            );
            arguments.push(hosts.path().into());
            if from_scratch {
                arguments.push("--from-scratch".into());
            }
            arguments
        };
        let mut group = Group::start(&program, flags.processes, arguments)?;
        let ended = loop {
            if stop.load(Ordering::Relaxed) {
                return group.stop();
            }
            if let Some(ended) = group.ended()? {
                break ended;
            }
            std::thread::sleep(LOOK);
        };
        from_scratch &= !group.was_ready();
        let was_ready = group.was_ready();
        let Ended { process, status, last_words } = ended;
        tracing::warn!(process, %status, last_words, "process has ended, ending the others");
        group.stop()?;
        if status.code() == Some(2) {
            return Err(Refused(last_words).into());
        }
        failures = if was_ready { 0 } else { failures + 1 };
        if was_ready {
            backoff = Backoff::new(BACKOFF);
        }
        if failures == MOST_FAILURES {
            bail!(
                "the processes have ended {failures} times in a row before they were ready, the last time because of: {last_words}"
            );
        }
        let wait = backoff.next_wait();
        tracing::info!(wait_seconds = wait.as_secs_f64(), "starting all processes again");
        let until = Instant::now() + wait;
        while Instant::now() < until && !stop.load(Ordering::Relaxed) {
            std::thread::sleep(LOOK);
        }
        if stop.load(Ordering::Relaxed) {
            return Ok(());
        }
    }
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

/// Where a process says how it is: the first at the address of the settings, the others at the ports after that.
fn listen(first: SocketAddr, process: u16) -> SocketAddr {
    let port = if first.port() == 0 { 0 } else { first.port().saturating_add(process) };
    SocketAddr::new(first.ip(), port)
}
