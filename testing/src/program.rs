//! Runs of the `tallow` program to their end, and the files for them.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The path of the `tallow` program: cargo names it, and builds it beside the folder of the tests.
fn program() -> PathBuf {
    std::env::var_os("CARGO_BIN_EXE_tallow").map(PathBuf::from).unwrap_or_else(|| {
        let test = std::env::current_exe().expect("the path of this program");
        test.parent().and_then(Path::parent).expect("a folder of tests").join("tallow")
    })
}

/// The program, without the settings in the environment of the tests.
pub fn tallow() -> Command {
    let mut command = Command::new(program());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TALLOW__")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// A backtest of these files into a folder.
pub fn backtest(files: &[PathBuf], out: &Path) -> Command {
    let mut command = tallow();
    command.arg("backtest").arg("--from").args(files).arg("--out").arg(out);
    command
}

/// Returns the exit code and the standard error output of a process.
pub fn ended(output: &Output) -> (Option<i32>, String) {
    assert!(output.stdout.is_empty(), "nothing belongs on standard output");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Runs a command, which must succeed, and returns its standard error output.
pub fn succeed(command: &mut Command) -> String {
    let (code, stderr) = ended(&command.output().expect("started"));
    assert_eq!(code, Some(0), "{stderr}");
    stderr
}

/// Runs a command, which must end with `code` and one line on standard error, and returns the line.
pub fn fail(command: &mut Command, code: i32) -> String {
    let (ended_with, stderr) = ended(&command.output().expect("started"));
    assert_eq!(ended_with, Some(code), "{stderr}");
    let line = stderr.strip_prefix("tallow: ").and_then(|line| line.strip_suffix('\n'));
    let line = line.unwrap_or_else(|| panic!("not one line of tallow: {stderr:?}"));
    assert!(!line.contains('\n'), "{stderr}");
    line.to_owned()
}

/// Runs a command with `input` on its standard input.
pub fn with_input(command: &mut Command, input: &[u8]) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    child.stdin.take().expect("a pipe").write_all(input).expect("taken");
    child.wait_with_output().expect("ended")
}

/// Writes a file into a folder and returns its path.
pub fn file(folder: &Path, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, content).expect("written");
    path
}

/// Returns the text of a file of results.
pub fn text(out: &Path, name: &str) -> String {
    fs::read_to_string(out.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Returns the names of the files in a folder, hidden ones too, in order.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Returns `summary.json` of a folder of results.
pub fn summary(out: &Path) -> serde_json::Value {
    serde_json::from_str(&text(out, "summary.json")).expect("JSON")
}

/// Returns the buckets that are not empty, after checking that all of them add up to the records
/// read.
pub fn buckets(out: &Path) -> Vec<(&'static str, u64)> {
    const BUCKETS: [&str; 7] =
        ["on_time", "late", "malformed", "invalid", "future", "too_late", "tombstones"];
    let summary = summary(out);
    let count = |name: &str| summary[name].as_u64().unwrap_or_else(|| panic!("{name} is no count"));
    let all = BUCKETS.map(|name| (name, count(name)));
    assert_eq!(all.iter().map(|(_, count)| count).sum::<u64>(), count("records_in"), "{summary}");
    all.into_iter().filter(|(_, count)| *count > 0).collect()
}
