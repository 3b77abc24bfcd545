//! SIGINT and SIGTERM: the running programs are ended, and the command cleans up and fails.
//!
//! Each program has a process group of its own, so that a signal reaches its children too and no
//! terminal ends them while the command still needs them.

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// The process groups of the programs that run.
static GROUPS: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());
static IS_INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on a signal ends the programs that run, and [`is_interrupted`] turns true.
pub(crate) fn watch() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("listen for signals")?;
    std::thread::spawn(move || {
        for _ in signals.forever() {
            IS_INTERRUPTED.store(true, Ordering::SeqCst);
            for group in GROUPS.lock().iter().flat_map(|groups| groups.iter()) {
                signal(*group, Signal::TERM);
            }
        }
    });
    Ok(())
}

/// Whether a signal has come.
pub(crate) fn is_interrupted() -> bool {
    IS_INTERRUPTED.load(Ordering::SeqCst)
}

/// Sends a signal to a process group; one that has ended needs none.
fn signal(group: u32, signal: Signal) {
    if let Some(group) = i32::try_from(group).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, signal);
    }
}

/// A program in a process group of its own, ended when it is dropped.
pub(crate) struct Program {
    child: Child,
    name: String,
}

impl Program {
    pub(crate) fn start(command: &mut Command) -> Result<Program> {
        let name = crate::process::name(command);
        let mut groups = GROUPS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if is_interrupted() {
            bail!("interrupted before {name}");
        }
        let child = command.process_group(0).spawn().with_context(|| format!("run {name}"))?;
        groups.insert(child.id());
        Ok(Program { child, name })
    }

    /// Whether the program has not ended yet.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until the program ends.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus> {
        self.child.wait().with_context(|| format!("wait for {}", self.name))
    }

    /// Waits until the program ends; an error if it fails.
    pub(crate) fn succeed(mut self) -> Result<()> {
        let status = self.wait()?;
        if status.success() { Ok(()) } else { bail!("{} failed: {status}", self.name) }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.is_running() {
            signal(self.child.id(), Signal::TERM);
            let _ = self.child.wait();
        }
        if let Ok(mut groups) = GROUPS.lock() {
            groups.remove(&self.child.id());
        }
    }
}
