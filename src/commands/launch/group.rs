//! The processes of one start, and their log lines.

use super::readiness::Readiness;
use anyhow::{Context, anyhow};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The time that all processes have to stop before they are killed. The supervisor itself has 5 s.
const STOP_TIMEOUT: Duration = Duration::from_millis(4_500);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// The processes of one start.
pub(super) struct Group {
    processes: Vec<Process>,
    readiness: Readiness,
}

/// A process that has ended without a request to stop.
pub(super) struct Ended {
    pub(super) process: usize,
    pub(super) status: ExitStatus,
    /// The last error that the process printed; its exit status if it printed none.
    pub(super) last_words: String,
}

struct Process {
    child: Child,
    /// Kept open: the process stops when its input ends.
    _input: Option<ChildStdin>,
    last_error: LastError,
    readers: Vec<JoinHandle<()>>,
}

/// The last error that a process printed.
type LastError = Arc<Mutex<Option<String>>>;

impl Group {
    /// Starts a process of `program` for each address at which one reports its status.
    ///
    /// # Errors
    /// If one can't be started. The others are stopped first.
    pub(super) fn start(
        program: &Path,
        listen: &[SocketAddr],
        arguments: impl Fn(u16) -> Vec<OsString>,
    ) -> anyhow::Result<Group> {
        let mut group = Group { processes: Vec::new(), readiness: Readiness::poll(listen)? };
        for (number, _) in (0..).zip(listen) {
            match Process::start(program, number, arguments(number)) {
                Ok(process) => {
                    tracing::info!(process = number, pid = process.child.id(), "process started");
                    group.processes.push(process);
                }
                Err(error) => {
                    group.stop()?;
                    return Err(error);
                }
            }
        }
        Ok(group)
    }

    /// Waits until one of the processes ends, and returns it; `None` if `stop` is set before.
    ///
    /// # Errors
    /// If the state of a process can't be read.
    pub(super) fn wait(&mut self, stop: &AtomicBool) -> anyhow::Result<Option<Ended>> {
        while !stop.load(Ordering::Relaxed) {
            let ended = self.ended()?;
            if ended.is_some() {
                return Ok(ended);
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(None)
    }

    fn ended(&mut self) -> anyhow::Result<Option<Ended>> {
        for (number, process) in self.processes.iter_mut().enumerate() {
            let Some(status) = process.child.try_wait().context("watch a process")? else { continue };
            // All lines of the process must be read before its last error is taken.
            process.readers.drain(..).for_each(|reader| drop(reader.join()));
            let last_error = process.last_error.lock().unwrap_or_else(PoisonError::into_inner).take();
            let last_words =
                last_error.unwrap_or_else(|| format!("process {number} has ended with {status}"));
            return Ok(Some(Ended { process: number, status, last_words }));
        }
        Ok(None)
    }

    /// Whether each process has answered `/ready`, with 200 or 503.
    pub(super) fn all_answered(&self) -> bool {
        self.readiness.all_answered()
    }

    /// Stops all processes and waits until they have ended. Kills those that take longer than
    /// [`STOP_TIMEOUT`].
    ///
    /// # Errors
    /// If a process can't be signalled or awaited.
    pub(super) fn stop(mut self) -> anyhow::Result<()> {
        for process in &mut self.processes {
            if process.child.try_wait()?.is_none() {
                kill_process(Pid::from_child(&process.child), Signal::TERM).context("stop a process")?;
            }
        }
        let deadline = Instant::now() + STOP_TIMEOUT;
        for (number, process) in self.processes.iter_mut().enumerate() {
            while process.child.try_wait()?.is_none() {
                if Instant::now() > deadline {
                    tracing::warn!(process = number, "process does not stop, killing it");
                    process.child.kill().context("kill a process")?;
                    process.child.wait()?;
                }
                std::thread::sleep(POLL_INTERVAL);
            }
        }
        for reader in self.processes.iter_mut().flat_map(|process| process.readers.drain(..)) {
            reader.join().map_err(|_| anyhow!("a thread that reads the log of a process has panicked"))?;
        }
        Ok(())
    }
}

impl Process {
    fn start(program: &Path, number: u16, arguments: Vec<OsString>) -> anyhow::Result<Process> {
        let mut child = Command::new(program)
            .args(arguments)
            // In one group with the supervisor, Ctrl-C at a terminal would signal the process too.
            // The signal that the supervisor passes on would then be the second, which ends a
            // process at once.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        let last_error = LastError::default();
        let outputs: [Option<Box<dyn Read + Send>>; 2] = [
            child.stdout.take().map(|output| Box::new(output) as _),
            child.stderr.take().map(|output| Box::new(output) as _),
        ];
        let mut readers = Vec::new();
        for output in outputs.into_iter().flatten() {
            let last_error = Arc::clone(&last_error);
            let reader = std::thread::Builder::new()
                .name(format!("process-{number}"))
                .spawn(move || pass_on(number, output, &last_error))
                .context("start a thread")?;
            readers.push(reader);
        }
        Ok(Process { _input: child.stdin.take(), child, last_error, readers })
    }
}

/// Prints the lines of a process with its number, and keeps the last error among them.
fn pass_on(number: u16, output: Box<dyn Read + Send>, last_error: &Mutex<Option<String>>) {
    for line in BufReader::new(output).split(b'\n') {
        let Ok(line) = line else { break };
        let line = String::from_utf8_lossy(&line);
        if let Some(error) = line.strip_prefix("tallow: ") {
            *last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_owned());
        }
        // If standard error is closed, nobody can be told.
        let _ = match line.strip_prefix('{') {
            // A line of JSON stays one.
            Some(fields) => writeln!(std::io::stderr().lock(), r#"{{"process":{number},{fields}"#),
            None => writeln!(std::io::stderr().lock(), "{number}| {line}"),
        };
    }
}
