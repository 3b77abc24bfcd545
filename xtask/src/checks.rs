//! `scripts/test`: every check of a change, in an order in which nothing is compiled twice and
//! nothing waits alone.
//!
//! 1. Format and lints. The lints compile Kafka's client with TLS, so that this build is checked
//!    too.
//! 2. The services are started, and all tests and programs are built.
//! 3. Side by side: the tests; chaos, which mostly waits; the page and the clients; and, with a low
//!    priority, everything else that compiles: fuzzing, Miri and the documentation.
//! 4. The attacks, which measure how long a server's clients wait.

mod report;
mod workspace;

use crate::interrupt;
use crate::process;
use crate::services::{Service, Services};
use anyhow::{Context, Result, bail};
use report::{Output, Report};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use workspace::{QUICK_RELEASE, Workspace};

const CARGO_DENY: &str = "0.20.2";
const CARGO_FUZZ: &str = "0.13.2";
const CARGO_NEXTEST: &str = "0.9.151";
/// The time for which libFuzzer looks for a failure, in seconds, unless TALLOW_FUZZ_SECONDS says
/// otherwise.
const FUZZ_SECONDS: &str = "20";
/// The features of the build that is linted and documented, if OpenSSL is there.
const TLS: [&str; 2] = ["--features", "tallow/tls"];

/// The choices of `scripts/test`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Leaves out documentation, dependencies, chaos, attacks, clients, the page, fuzzing and Miri
    #[arg(long)]
    fast: bool,
}

/// The arguments of the lints, as `cargo clippy -- -D warnings` hands them to its compiler.
const CLIPPY_ARGS: &str = "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__";

struct Checks {
    workspace: Workspace,
    report: Report,
    is_fast: bool,
    /// The features that lints and documentation share.
    features: &'static [&'static str],
}

/// Runs the checks, and returns whether none failed.
pub(crate) fn run(root: &Path, arguments: &Arguments) -> Result<bool> {
    interrupt::watch()?;
    let is_all_required = std::env::var_os("TALLOW_REQUIRE_ALL").is_some_and(|it| it == "1");
    let workspace = Workspace::new(root, is_all_required)?;
    let report = Report::new(&workspace.logs(), is_all_required)?;
    let mut checks = Checks { workspace, report, is_fast: arguments.fast, features: &[] };
    checks.check_sources();
    let services = Services::open(root)?;
    let were_running = services.all_answer();
    checks.start_services(&services);
    checks.check_behaviour(services.all_answer());
    if !were_running {
        services.down(&Service::ALL)?;
    }
    if interrupt::is_interrupted() {
        checks.report.fail("interrupted", "by a signal");
    }
    Ok(checks.report.finish())
}

impl Checks {
    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = self.workspace.command(program);
        command.args(arguments);
        command
    }

    fn background_command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = self.workspace.background_command(program);
        command.args(arguments);
        command
    }

    /// Leaves out checks if only the fast ones are asked for, and returns whether it did.
    fn leave_out(&self, names: &[&str]) -> bool {
        if self.is_fast {
            names.iter().for_each(|name| self.report.unable(name, "--fast"));
        }
        self.is_fast
    }

    // --- format and lints -------------------------------------------------------------------------------------------

    fn check_sources(&mut self) {
        self.report.step("tools", |output| self.components(output));
        self.report
            .step("format", |output| output.run(&mut self.command("cargo", &["fmt", "--all", "--check"])));
        let mut name = "lints";
        if self.has_openssl() {
            self.features = &TLS;
            name = "lints, with the feature tls";
        } else {
            self.report.skip("build with tls", "OpenSSL's headers and pkg-config can't be installed");
        }
        self.report.step(name, |output| {
            let arguments = ["clippy", "--workspace", "--all-targets", "--quiet"];
            let mut clippy = self.command("cargo", &arguments);
            output.run(clippy.args(self.features).args(["--", "-D", "warnings"]))
        });
    }

    fn components(&self, output: &Output) -> Result<()> {
        let mut versions = ["fmt", "clippy"].map(|tool| self.command("cargo", &[tool, "--version"]));
        if versions.iter_mut().all(|version| output.run(version).is_ok()) {
            return Ok(());
        }
        if process::find_program("rustup").is_none() {
            bail!("rustfmt or clippy is missing, and there is no rustup to install them");
        }
        output.run(&mut self.command("rustup", &["component", "add", "rustfmt", "clippy"]))
    }

    /// Whether OpenSSL can be built against.
    fn has_openssl(&self) -> bool {
        process::succeeds(&mut self.command("pkg-config", &["--exists", "openssl"]))
            || process::succeeds(&mut self.command("scripts/install", &["libssl-dev", "pkg-config"]))
    }

    // --- services and programs --------------------------------------------------------------------------------------

    fn start_services(&mut self, services: &Services) {
        self.report.step("services", |_| {
            if !services.all_answer() {
                services.up(&Service::ALL)?;
            }
            services.print_status(&Service::ALL);
            Ok(())
        });
        match services.settings(&Service::ALL) {
            Ok(settings) if services.all_answer() => {
                settings.into_iter().for_each(|(name, value)| self.workspace.set(name, value.into()));
            }
            _ => self
                .report
                .skip("tests with PostgreSQL, Redis and Kafka", "scripts/services can't start them"),
        }
    }

    /// Builds the tests of all crates and the programs that other checks start, and returns whether
    /// they are there.
    fn build(&mut self) -> bool {
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

    /// Builds everything, and writes the list of the test binaries. With that list the tests are run
    /// without cargo, which would wait for other builds.
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

    // --- side by side -----------------------------------------------------------------------------------------------

    fn check_behaviour(&mut self, have_services: bool) {
        let is_built = self.build();
        let checks: &Checks = self;
        thread::scope(|scope| {
            if is_built {
                scope.spawn(|| checks.report.step_beside("tests", |output| checks.tests(output)));
                scope.spawn(|| checks.chaos(have_services));
                scope.spawn(|| checks.page_and_clients());
            }
            scope.spawn(|| {
                checks.dependencies();
                checks.fuzz();
                checks.miri();
                checks.documentation();
                checks.serde_exchange();
                checks.examples();
            });
        });
        if is_built && !self.leave_out(&["hostile traffic"]) {
            self.report.step("hostile traffic", |output| {
                output.run(&mut self.command("scripts/hostile", &["--seconds", "15"]))
            });
        }
        if !is_built {
            self.report
                .fail("tests, chaos, the page, clients and attacks", "their programs could not be built");
        }
        if !self.workspace.root().join("../shared/data").is_dir() {
            self.report.skip("recorded market data", "../shared/data is missing");
        }
        self.compose();
    }

    /// All tests of all crates, twice as many at a time as there are cores: many wait for a service
    /// to die or to come back.
    fn tests(&self, output: &Output) -> Result<()> {
        let threads = 2 * thread::available_parallelism().context("count the processors")?.get();
        let mut tests = self.command("cargo", &["nextest", "run", "--no-fail-fast", "--binaries-metadata"]);
        tests.arg(self.binaries_file()).arg("--cargo-metadata").arg(self.metadata_file());
        tests.args(["--status-level", "slow", "--final-status-level", "fail"]);
        output.run(tests.args(["--test-threads", &threads.to_string()]))
    }

    fn chaos(&self, have_services: bool) {
        if self.leave_out(&["chaos"]) {
            return;
        }
        if have_services {
            let chaos = |output: &Output| output.run(&mut self.command("scripts/chaos", &["--short"]));
            self.report.step_beside("chaos", chaos);
        } else {
            self.report.skip("chaos", "scripts/services can't start what it harms");
        }
    }

    fn page_and_clients(&self) {
        if self.leave_out(&["dashboard", "clients of the dialects", "schemathesis"]) {
            return;
        }
        let script = |name: &str, script: &str| {
            self.report.step_beside(name, |output| output.run(&mut self.command(script, &[])));
        };
        if process::find_program("npm").is_some() {
            script("dashboard", "scripts/dashboard");
        } else {
            self.report.skip("dashboard", "Node.js and npm are not installed");
        }
        script("clients of the dialects", "scripts/clients");
        script("schemathesis", "scripts/schemathesis");
    }

    fn dependencies(&self) {
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
    fn fuzz(&self) {
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
    fn miri(&self) {
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
    fn documentation(&self) {
        if !self.leave_out(&["documentation"]) {
            self.report.step_beside("documentation", |output| {
                output.run(&mut self.document(&[]))?;
                output.run(&mut self.document(&["--document-private-items"]))
            });
        }
    }

    fn examples(&self) {
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
    fn serde_exchange(&self) {
        let arguments = ["test", "--quiet", "--package", "tallow-dataflow", "--features", "serde-exchange"];
        self.report.step_beside("tests with serde-exchange", |output| {
            output.run(self.background_command("cargo", &arguments).args(["--test", "cluster"]))
        });
    }

    /// Docker's own opinion of the compose file, which needs no engine. The tests have checked it
    /// against the specification.
    fn compose(&self) {
        const NAME: &str = "docker compose config";
        if !process::succeeds(&mut self.command("docker", &["compose", "version"])) {
            self.report.unable(NAME, "Docker's compose plugin is not installed");
            return;
        }
        let mut config = self.command("docker", &["compose", "config", "--quiet"]);
        config.env("TALLOW_POSTGRES_PASSWORD", "given").env("TALLOW_GRAFANA_PASSWORD", "given");
        self.report.step(NAME, |output| output.run(&mut config));
    }
}

fn create(path: &Path) -> Result<File> {
    File::create(path).with_context(|| format!("write {}", path.display()))
}
