//! Runs the real binary, and makes what it reads.
#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod process;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The binary, without any setting of the environment that runs the tests.
pub(crate) fn tallow() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tallow"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TALLOW__")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// A replay of these files into a folder.
pub(crate) fn backtest(files: &[PathBuf], out: &Path) -> Command {
    let mut command = tallow();
    command.arg("backtest").arg("--from").args(files).arg("--out").arg(out);
    command
}

/// How a process ended: its exit code and what it wrote to standard error.
pub(crate) fn ended(output: &Output) -> (Option<i32>, String) {
    assert!(output.stdout.is_empty(), "nothing belongs on standard output");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Runs it to an end that must be a success.
pub(crate) fn succeed(command: &mut Command) -> String {
    let (code, stderr) = ended(&command.output().expect("started"));
    assert_eq!(code, Some(0), "{stderr}");
    stderr
}

/// Runs it to an end with this exit code and one line on standard error, which is returned.
pub(crate) fn fail(command: &mut Command, code: i32) -> String {
    let (ended_with, stderr) = ended(&command.output().expect("started"));
    assert_eq!(ended_with, Some(code), "{stderr}");
    let line = stderr.strip_prefix("tallow: ").and_then(|line| line.strip_suffix('\n'));
    let line = line.unwrap_or_else(|| panic!("not one line of tallow: {stderr:?}"));
    assert!(!line.contains('\n'), "{stderr}");
    line.to_owned()
}

/// Runs it with this on its standard input.
pub(crate) fn with_input(command: &mut Command, input: &[u8]) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    child.stdin.take().expect("a pipe").write_all(input).expect("taken");
    child.wait_with_output().expect("ended")
}

/// Writes a file into a folder.
pub(crate) fn file(folder: &Path, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, content).expect("written");
    path
}

/// The text of a file of results.
pub(crate) fn text(out: &Path, name: &str) -> String {
    fs::read_to_string(out.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The names of the files in a folder, hidden ones too, in order.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// `summary.json`.
pub(crate) fn summary(out: &Path) -> serde_json::Value {
    serde_json::from_str(&text(out, "summary.json")).expect("JSON")
}

/// The buckets that records ended in, by name; checks that they add up to the records read.
pub(crate) fn buckets(out: &Path) -> Vec<(&'static str, u64)> {
    const BUCKETS: [&str; 7] =
        ["on_time", "late", "malformed", "invalid", "future", "too_late", "tombstones"];
    let summary = summary(out);
    let count = |name: &str| summary[name].as_u64().unwrap_or_else(|| panic!("{name} is no count"));
    let all = BUCKETS.map(|name| (name, count(name)));
    assert_eq!(all.iter().map(|(_, count)| count).sum::<u64>(), count("records_in"), "{summary}");
    all.into_iter().filter(|(_, count)| *count > 0).collect()
}

/// A recording of a real market beside the checkout. Where it is missing that is said, and with `TALLOW_REQUIRE_ALL`
/// a failure.
pub(crate) fn recording(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("TALLOW_REQUIRE_ALL").is_none(), "{} is missing", path.display());
    let _ = writeln!(std::io::stderr(), "skipped: {} is missing", path.display());
    None
}
