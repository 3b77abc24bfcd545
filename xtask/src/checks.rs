//! `scripts/test`: every check of a change, in an order in which nothing is compiled twice and
//! nothing waits alone.
//!
//! 1. Format and lints. The lints compile Kafka's client with TLS, so that this build is checked
//!    too.
//! 2. The services are started, and all tests and programs are built.
//! 3. Side by side: the tests; chaos, which mostly waits; the page and the clients; and, with a low
//!    priority, everything else that compiles: fuzzing, Miri and the documentation.
//! 4. The attacks, which measure how long a server's clients wait.

mod compiled;
mod context;
mod nextest;
mod report;
mod running;
mod sources;

mod workspace;

use crate::interrupt;
use crate::services::{Service, Services};
use anyhow::Result;
use context::Checks;
use report::Report;
use std::path::Path;
use std::thread;
use workspace::Workspace;

/// The choices of `scripts/test`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Leaves out documentation, dependencies, chaos, attacks, clients, the page, fuzzing and Miri
    #[arg(long)]
    fast: bool,
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
        if is_built {
            self.attacks();
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
}
