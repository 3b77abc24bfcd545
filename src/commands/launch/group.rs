//! The processes of one start, and what they say.

use anyhow::{Context, anyhow};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long all may take to stop before they are killed: whoever stops the supervisor gives it five seconds.
const LIMIT: Duration = Duration::from_millis(4_500);
/// How often they are looked at.
const LOOK: Duration = Duration::from_millis(10);

/// Processes that belong together.
pub(super) struct Group {
    processes: Vec<Process>,
}

/// A process that has ended by itself.
pub(super) struct Ended {
    pub(super) process: usize,
    pub(super) status: ExitStatus,
    /// The last problem that it has told of, or how it has ended.
    pub(super) last_words: String,
}

struct Process {
    child: Child,
    /// Kept open: the process stops when it ends.
    _input: Option<ChildStdin>,
    heard: Arc<Heard>,
    readers: Vec<JoinHandle<()>>,
}

/// What has been heard of a process.
#[derive(Default)]
struct Heard {
    ready: AtomicBool,
    problem: Mutex<Option<String>>,
}

impl Group {
    /// Starts so many processes of this program.
    ///
    /// # Errors
    /// When one can't be started; the others are ended then.
    pub(super) fn start(
        program: &Path,
        count: u16,
        arguments: impl Fn(u16) -> Vec<OsString>,
    ) -> anyhow::Result<Group> {
        let mut group = Group { processes: Vec::new() };
        for number in 0..count {
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

    /// Waits until one of the processes has ended; none when `stop` is set before.
    ///
    /// # Errors
    /// When the system does not say.
    pub(super) fn wait(&mut self, stop: &AtomicBool) -> anyhow::Result<Option<Ended>> {
        while !stop.load(Ordering::Relaxed) {
            let ended = self.ended()?;
            if ended.is_some() {
                return Ok(ended);
            }
            std::thread::sleep(LOOK);
        }
        Ok(None)
    }

    fn ended(&mut self) -> anyhow::Result<Option<Ended>> {
        for (number, process) in self.processes.iter_mut().enumerate() {
            let Some(status) = process.child.try_wait().context("look after a process")? else { continue };
            // Everything that it has said must have been heard.
            process.readers.drain(..).for_each(|reader| drop(reader.join()));
            let problem = process.heard.problem.lock().unwrap_or_else(PoisonError::into_inner).take();
            let last_words = problem.unwrap_or_else(|| format!("process {number} has ended with {status}"));
            return Ok(Some(Ended { process: number, status, last_words }));
        }
        Ok(None)
    }

    /// Whether all have said that they are ready.
    pub(super) fn was_ready(&self) -> bool {
        self.processes.iter().all(|process| process.heard.ready.load(Ordering::Relaxed))
    }

    /// Tells all to stop and waits until they have; one that does not is killed.
    ///
    /// # Errors
    /// When the system does not let it.
    pub(super) fn stop(mut self) -> anyhow::Result<()> {
        for process in &mut self.processes {
            if process.child.try_wait()?.is_none() {
                kill_process(Pid::from_child(&process.child), Signal::TERM).context("stop a process")?;
            }
        }
        let deadline = Instant::now() + LIMIT;
        for (number, process) in self.processes.iter_mut().enumerate() {
            while process.child.try_wait()?.is_none() {
                if Instant::now() > deadline {
                    tracing::warn!(process = number, "process does not stop, killing it");
                    process.child.kill().context("kill a process")?;
                    process.child.wait()?;
                }
                std::thread::sleep(LOOK);
            }
        }
        for reader in self.processes.iter_mut().flat_map(|process| process.readers.drain(..)) {
            reader.join().map_err(|_| anyhow!("a thread that reads a process's log has panicked"))?;
        }
        Ok(())
    }
}

impl Process {
    fn start(program: &Path, number: u16, arguments: Vec<OsString>) -> anyhow::Result<Process> {
        let mut child = Command::new(program)
            .args(arguments)
            // Ctrl-C at a terminal would reach them besides the supervisor, and the signal that this passes on would be
            // the second one, which ends a process at once.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        let heard = Arc::new(Heard::default());
        let outputs: [Option<Box<dyn Read + Send>>; 2] = [
            child.stdout.take().map(|output| Box::new(output) as _),
            child.stderr.take().map(|output| Box::new(output) as _),
        ];
        let mut readers = Vec::new();
        for output in outputs.into_iter().flatten() {
            let heard = Arc::clone(&heard);
            let reader = std::thread::Builder::new()
                .name(format!("process-{number}"))
                .spawn(move || pass_on(number, output, &heard))
                .context("start a thread")?;
            readers.push(reader);
        }
        Ok(Process { _input: child.stdin.take(), child, heard, readers })
    }
}

/// Passes on what a process says, line by line.
fn pass_on(number: u16, output: Box<dyn Read + Send>, heard: &Heard) {
    for line in BufReader::new(output).split(b'\n') {
        let Ok(line) = line else { break };
        let line = String::from_utf8_lossy(&line);
        if line.contains("tallow::commands::run: ready") || line.contains(r#""message":"ready""#) {
            heard.ready.store(true, Ordering::Relaxed);
        }
        if let Some(problem) = line.strip_prefix("tallow: ") {
            *heard.problem.lock().unwrap_or_else(PoisonError::into_inner) = Some(problem.to_owned());
        }
        // With standard error closed there is nobody to tell.
        let _ = match line.strip_prefix('{') {
            // A line of JSON stays one.
            Some(fields) => writeln!(std::io::stderr().lock(), r#"{{"process":{number},{fields}"#),
            None => writeln!(std::io::stderr().lock(), "{number}| {line}"),
        };
    }
}
