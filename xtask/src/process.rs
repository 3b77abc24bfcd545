//! Other programs: running them, reading what they print, and watching those that outlive this one.

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The time between two looks at something that is waited for.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Runs a program to its end; an error if it fails. Its output goes where the command sends it.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("run {}", name(command)))?;
    if status.success() { Ok(()) } else { bail!("{} failed: {status}", name(command)) }
}

/// Runs a program and returns its standard output; an error if it fails, with its standard error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("run {}", name(command)))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("{} failed: {}: {}", name(command), output.status, complaint.trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("read the output of {}", name(command)))
}

/// Runs a program that reads `input`, with its output on standard error.
pub(crate) fn run_with_input(command: &mut Command, input: &str) -> Result<()> {
    let mut child = command.stdin(Stdio::piped()).stdout(std::io::stderr()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let status = child.wait()?;
    if status.success() { Ok(()) } else { bail!("{} failed: {status}", name(command)) }
}

/// Whether a program runs and succeeds. Its output is dropped.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// The name of a program, with its first argument if that is a subcommand.
pub(crate) fn name(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let first = command.get_args().next().filter(|it| !it.as_encoded_bytes().starts_with(b"-"));
    let words = [Some(program), first].into_iter().flatten().map(|it| it.to_string_lossy());
    words.collect::<Vec<_>>().join(" ")
}

/// The path of a program, from the folders of PATH.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|program| is_program(program))
}

/// Whether a file can be executed.
pub(crate) fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

/// Whether there is a process of this number that has not ended. A process that has ended keeps its
/// number until its parent has read its exit status.
pub(crate) fn is_running(pid: u32) -> bool {
    let Some(number) = to_pid(pid) else { return false };
    if test_kill_process(number).is_err_and(|error| error != rustix::io::Errno::PERM) {
        return false;
    }
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return true };
    stat.rsplit_once(')').is_none_or(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

/// The command line of a process, its words separated by spaces.
pub(crate) fn command_line(pid: u32) -> Option<String> {
    match fs::read(format!("/proc/{pid}/cmdline")) {
        Ok(bytes) => Some(String::from_utf8_lossy(&bytes).replace('\0', " ")),
        Err(_) => output(Command::new("ps").args(["-ww", "-o", "args=", "-p", &pid.to_string()])).ok(),
    }
}

/// Sends a signal, waits until the process has ended, and kills it after `patience`.
pub(crate) fn end(pid: u32, signal: Signal, patience: Duration) -> Result<()> {
    let number = to_pid(pid).ok_or_else(|| anyhow!("{pid} is no number of a process"))?;
    let deadline = Instant::now() + patience;
    // A process that ends in between is what was wanted.
    let send = |signal| match kill_process(number, signal) {
        Err(error) if error != rustix::io::Errno::SRCH => Err(error).context(format!("signal process {pid}")),
        _ => Ok(()),
    };
    send(signal)?;
    while is_running(pid) {
        if Instant::now() >= deadline {
            send(Signal::KILL)?;
        }
        sleep(POLL_INTERVAL);
    }
    Ok(())
}

fn to_pid(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

/// The last `lines` lines of a file, indented; empty if it can't be read.
pub(crate) fn tail(path: &Path, lines: usize) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines = text.lines().rev().take(lines).collect::<Vec<_>>();
    lines.into_iter().rev().map(|line| format!("\n    {line}")).collect()
}
