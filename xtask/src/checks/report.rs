//! The report of `scripts/test`: a block for each step, and the counts at the end.

use crate::interrupt::Program;
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The output of a step's programs.
pub(super) enum Output {
    /// The terminal.
    Terminal,
    /// A file, which is printed when the step has ended.
    File(File),
}

impl Output {
    /// Runs a program; an error if it fails.
    pub(super) fn run(&self, command: &mut Command) -> Result<()> {
        command.stdin(Stdio::null());
        if let Output::File(file) = self {
            let duplicate = || file.try_clone().context("duplicate the log");
            command.stdout(duplicate()?).stderr(duplicate()?);
        }
        Program::start(command)?.succeed()
    }
}

#[derive(Default)]
struct Outcomes {
    passed: usize,
    failures: Vec<String>,
    skips: Vec<String>,
}

pub(super) struct Report {
    /// Leaving out a check that this machine could do is a failure.
    is_all_required: bool,
    logs: PathBuf,
    outcomes: Mutex<Outcomes>,
}

impl Report {
    /// A report of steps whose logs are kept in a folder.
    pub(super) fn new(logs: &Path, is_all_required: bool) -> Result<Report> {
        fs::create_dir_all(logs).with_context(|| format!("make the folder {}", logs.display()))?;
        Ok(Report { is_all_required, logs: logs.to_owned(), outcomes: Mutex::default() })
    }

    fn outcomes(&self) -> MutexGuard<'_, Outcomes> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a step whose output is seen as it comes, and returns whether it passed.
    pub(super) fn step(&self, name: &str, step: impl FnOnce(&Output) -> Result<()>) -> bool {
        println!("\n=== {name}");
        let start = Instant::now();
        let outcome = step(&Output::Terminal);
        self.close(self.outcomes(), name, start, outcome)
    }

    /// Runs a step beside others, and prints its output when it has ended.
    pub(super) fn step_beside(&self, name: &str, step: impl FnOnce(&Output) -> Result<()>) -> bool {
        let path = self.logs.join(format!("{}.log", name.replace(' ', "-")));
        let start = Instant::now();
        let outcome = File::create(&path)
            .with_context(|| format!("write {}", path.display()))
            .and_then(|file| step(&Output::File(file)));
        // The lock keeps the blocks of two steps apart.
        let outcomes = self.outcomes();
        println!("\n=== {name}");
        let _ = std::io::stdout().write_all(&fs::read(&path).unwrap_or_default());
        self.close(outcomes, name, start, outcome)
    }

    fn close(
        &self,
        mut outcomes: MutexGuard<'_, Outcomes>,
        name: &str,
        start: Instant,
        outcome: Result<()>,
    ) -> bool {
        let seconds = start.elapsed().as_secs();
        match outcome {
            Ok(()) => {
                outcomes.passed += 1;
                println!("--- {name}: passed ({seconds} s)");
                true
            }
            Err(error) => {
                outcomes.failures.push(name.to_owned());
                println!("{error:#}\n--- {name}: FAILED ({seconds} s)");
                false
            }
        }
    }

    /// Leaves out a check that this machine can't do.
    pub(super) fn unable(&self, name: &str, reason: &str) {
        let mut outcomes = self.outcomes();
        outcomes.skips.push(format!("{name}: {reason}"));
        println!("\n=== {name}\n--- {name}: skipped, {reason}");
    }

    /// Leaves out a check that this machine could do; a failure if all checks are required.
    pub(super) fn skip(&self, name: &str, reason: &str) {
        if self.is_all_required { self.fail(name, reason) } else { self.unable(name, reason) }
    }

    /// Counts a check that can't be done as failed.
    pub(super) fn fail(&self, name: &str, reason: &str) {
        let mut outcomes = self.outcomes();
        outcomes.failures.push(format!("{name}: {reason}"));
        println!("\n=== {name}\n--- {name}: FAILED, {reason}");
    }

    /// Prints the failures, the checks that were left out and the counts, and returns whether
    /// nothing failed.
    pub(super) fn finish(&self) -> bool {
        let outcomes = self.outcomes();
        println!();
        outcomes.failures.iter().for_each(|failure| println!("failed: {failure}"));
        outcomes.skips.iter().for_each(|skip| println!("skipped: {skip}"));
        let (failed, skipped) = (outcomes.failures.len(), outcomes.skips.len());
        println!("{} passed, {failed} failed, {skipped} skipped", outcomes.passed);
        failed == 0
    }
}
