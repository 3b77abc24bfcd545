//! Processes that outlive the command that starts them.

use super::folder::Folder;
use super::service::Service;
use crate::process;
use anyhow::{Context, Result, anyhow};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The longest wait for a service that runs and does not answer yet. A machine that is busy takes
/// its time.
pub(super) const START_TIMEOUT: Duration = Duration::from_secs(300);
/// The lines of a log that are shown when its service fails.
const SHOWN_LINES: usize = 20;

/// Starts a program in a process group of its own, so that no signal of a terminal reaches it.
pub(super) fn spawn(folder: &Folder, service: Service, command: &mut Command) -> Result<()> {
    let log = folder.open_log(service.name())?;
    let errors = log.try_clone().context("duplicate the log")?;
    let command = command.stdin(Stdio::null()).stdout(log).stderr(errors).process_group(0);
    let child = command.spawn().with_context(|| format!("run {}", command.get_program().display()))?;
    folder.set_pid(service.name(), child.id())
}

/// Waits until the service answers; an error with the end of its log if it ends or takes too
/// long.
pub(super) fn await_answer(
    folder: &Folder,
    service: Service,
    answers: impl Fn(&Folder) -> bool,
) -> Result<()> {
    let deadline = Instant::now() + START_TIMEOUT;
    while !answers(folder) {
        if !folder.pid(service.name()).is_some_and(process::is_running) {
            return Err(failure(folder, service, "it has ended"));
        }
        if Instant::now() >= deadline {
            return Err(failure(folder, service, "it does not answer"));
        }
        thread::sleep(process::POLL_INTERVAL);
    }
    Ok(())
}

/// An error that ends with the last lines of the service's log.
pub(super) fn failure(folder: &Folder, service: Service, problem: &str) -> anyhow::Error {
    let log = folder.log(service.name());
    anyhow!("{problem}; the end of {}:{}", log.display(), process::tail(&log, SHOWN_LINES))
}
