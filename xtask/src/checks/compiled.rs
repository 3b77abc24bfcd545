//! The checks that compile something of their own, with a low priority: dependencies, fuzzing,
//! Miri, documentation, and the exchange in its other encoding.

use super::context::Checks;
use super::report::Output;
use super::workspace::QUICK_RELEASE;
use crate::process;
use anyhow::{Context, Result};
use std::process::Command;

const CARGO_DENY: &str = "0.20.2";
const CARGO_FUZZ: &str = "0.13.2";
/// The time for which libFuzzer looks for a failure, in seconds, unless TALLOW_FUZZ_SECONDS says
/// otherwise.
const FUZZ_SECONDS: &str = "20";
/// The arguments of the lints, as `cargo clippy -- -D warnings` hands them to its compiler.
const CLIPPY_ARGS: &str = "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__";

impl Checks {
    pub(super) fn dependencies(&self) {
        if self.leave_out(&["dependencies"]) {
            return;
        }
        if !self.workspace.install_tool("cargo-deny", CARGO_DENY, &[]) {
            self.report.skip("dependencies", &format!("cargo-deny {CARGO_DENY} can't be installed"));
            return;
        }
        let deny = ["deny", "--log-level", "warn", "check"];
        self.report.step_beside("dependencies", |output| {
            output.run(self.command("cargo", &deny).args(["licenses", "bans", "sources"]))
        });
        // Fetched now, or before.
        let fetch = ["deny", "--log-level", "off", "fetch", "db"];
        if process::succeeds(&mut self.command("cargo", &fetch)) {
            self.report.step_beside("advisories", |output| {
                output.run(self.command("cargo", &deny).args(["--disable-fetch", "advisories"]))
            });
        } else {
            let reason = "the advisory database (github.com/RustSec/advisory-db) can't be fetched from here";
            self.report.unable("advisories", reason);
        }
    }

    /// The property of the fuzz target, which runs among the tests too, on any toolchain.
    pub(super) fn fuzz(&self) {
        if self.leave_out(&["fuzz"]) {
            return;
        }
        if !self.workspace.has_nightly() {
            self.report.unable("fuzz", "libFuzzer needs a nightly toolchain, and there is none");
        } else if process::find_program("c++").is_none() {
            self.report.unable("fuzz", "libFuzzer needs a C++ compiler, and there is none");
        } else if !self.workspace.install_tool("cargo-fuzz", CARGO_FUZZ, &[]) {
            self.report.skip("fuzz", &format!("cargo-fuzz {CARGO_FUZZ} can't be installed"));
        } else {
            let seconds = std::env::var("TALLOW_FUZZ_SECONDS").unwrap_or_else(|_| FUZZ_SECONDS.to_owned());
            self.report
                .step_beside(&format!("fuzz for {seconds} s"), |output| self.run_fuzz(output, &seconds));
        }
    }

    fn run_fuzz(&self, output: &Output, seconds: &str) -> Result<()> {
        let corpus = self.workspace.root().join("fuzz/corpus/decode");
        std::fs::create_dir_all(&corpus).with_context(|| format!("make the folder {}", corpus.display()))?;
        let fuzz = |command: &str| {
            let arguments = ["+nightly", "fuzz", command, "--sanitizer", "none", "decode"];
            let mut fuzz = self.background_command("cargo", &arguments);
            fuzz.envs(QUICK_RELEASE);
            fuzz
        };
        output.run(&mut fuzz("build"))?;
        let limit = format!("-max_total_time={seconds}");
        let mut run = fuzz("run");
        run.args(["fuzz/corpus/decode", "fuzz/seeds/decode", "--", &limit, "-max_len=4096"]);
        output.run(run.args(["-dict=fuzz/decode.dict", "-print_final_stats=1", "-verbosity=0"]))
    }

    /// The unsafe code of the exchange, interpreted: any undefined behaviour that its tests reach
    /// is a failure. The other file with unsafe code calls librdkafka, which Miri can't. What Miri
    /// compiles is kept in target/miri.
    pub(super) fn miri(&self) {
        const NAME: &str = "unsafe code under Miri";
        if self.leave_out(&[NAME]) {
            return;
        }
        let has_miri = || process::succeeds(&mut self.command("cargo", &["+nightly", "miri", "--version"]));
        let components = ["component", "add", "--toolchain", "nightly", "miri", "rust-src"];
        if !self.workspace.has_nightly() {
            self.report.unable(NAME, "Miri needs a nightly toolchain, and there is none");
        } else if !has_miri() && !process::succeeds(&mut self.command("rustup", &components)) {
            self.report.skip(NAME, "rustup can't install Miri");
        } else {
            let arguments =
                ["+nightly", "miri", "test", "--quiet", "--package", "tallow-dataflow", "--lib", "wire::"];
            let mut miri = self.background_command("cargo", &arguments);
            miri.env("MIRIFLAGS", "-Zmiri-symbolic-alignment-check -Zmiri-strict-provenance");
            self.report.step_beside(NAME, |output| output.run(&mut miri));
        }
    }

    /// The pages. Links of public items to private ones are found by the first run, links that lead
    /// nowhere by the second.
    pub(super) fn documentation(&self) {
        if !self.leave_out(&["documentation"]) {
            self.report.step_beside("documentation", |output| {
                output.run(&mut self.document(&[]))?;
                output.run(&mut self.document(&["--document-private-items"]))
            });
        }
    }

    pub(super) fn examples(&self) {
        self.report.step_beside("examples in the documentation", |output| {
            output.run(&mut self.background_command("cargo", &["test", "--workspace", "--doc", "--quiet"]))
        });
    }

    /// The metadata of the dependencies, and of the crates themselves, are those of the lints: with
    /// the same features, with `--examples`, which brings the dependencies of tests in, and with
    /// the same compiler.
    fn document(&self, arguments: &[&str]) -> Command {
        let common = ["doc", "--workspace", "--no-deps", "--quiet", "--lib", "--bins", "--examples"];
        let mut doc = self.background_command("cargo", &common);
        doc.args(self.features).args(arguments).env("RUSTDOCFLAGS", "-D warnings");
        if let Some(clippy) = self.workspace.clippy_driver() {
            doc.env("RUSTC_WORKSPACE_WRAPPER", clippy).env("CLIPPY_ARGS", CLIPPY_ARGS);
        }
        doc
    }

    /// The exchange in the other encoding, which nothing else builds.
    pub(super) fn serde_exchange(&self) {
        let arguments = ["test", "--quiet", "--package", "tallow-dataflow", "--features", "serde-exchange"];
        self.report.step_beside("tests with serde-exchange", |output| {
            output.run(self.background_command("cargo", &arguments).args(["--test", "cluster"]))
        });
    }
}
