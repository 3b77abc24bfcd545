//! The tests of all crates, and the build of their programs.

use super::context::Checks;
use super::report::Output;
use anyhow::{Context, Result};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::thread;

const CARGO_NEXTEST: &str = "0.9.151";

impl Checks {
    /// Builds the tests of all crates and the programs that other checks start, and returns whether
    /// they are there.
    pub(super) fn build(&mut self) -> bool {
        let arguments = ["--no-default-features", "--features", "default-no-update"];
        if !self.workspace.install_tool("cargo-nextest", CARGO_NEXTEST, &arguments) {
            self.report.fail("tests", &format!("cargo-nextest {CARGO_NEXTEST} can't be installed"));
            return false;
        }
        let is_built = self.report.step("build", |output| self.build_tests(output));
        let programs = self.workspace.target().join("debug");
        for (variable, program) in
            [("TALLOW_BIN", "tallow"), ("CHAOS_BIN", "chaos"), ("HOSTILE_BIN", "hostile")]
        {
            self.workspace.set(variable, programs.join(program).into_os_string());
        }
        is_built
    }

    /// Builds everything, and writes the list of the test binaries. With that list the tests are
    /// run without cargo, which would wait for other builds.
    fn build_tests(&self, output: &Output) -> Result<()> {
        let list = ["nextest", "list", "--workspace", "--list-type", "binaries-only", "--cargo-quiet"];
        let mut build = self.command("cargo", &list);
        build.args(["--message-format", "json"]).stdout(create(&self.binaries_file())?);
        output.run(&mut build)?;
        let mut metadata = self.command("cargo", &["metadata", "--format-version", "1"]);
        output.run(metadata.stdout(create(&self.metadata_file())?))
    }

    fn binaries_file(&self) -> PathBuf {
        self.workspace.logs().join("test-binaries.json")
    }

    fn metadata_file(&self) -> PathBuf {
        self.workspace.logs().join("cargo-metadata.json")
    }

    /// All tests of all crates, twice as many at a time as there are cores: many wait for a service
    /// to die or to come back.
    pub(super) fn tests(&self, output: &Output) -> Result<()> {
        let threads = 2 * thread::available_parallelism().context("count the processors")?.get();
        let mut tests = self.command("cargo", &["nextest", "run", "--no-fail-fast", "--binaries-metadata"]);
        tests.arg(self.binaries_file()).arg("--cargo-metadata").arg(self.metadata_file());
        tests.args(["--status-level", "slow", "--final-status-level", "fail"]);
        output.run(tests.args(["--test-threads", &threads.to_string()]))
    }
}

fn create(path: &Path) -> Result<File> {
    File::create(path).with_context(|| format!("write {}", path.display()))
}
