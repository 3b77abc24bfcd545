//! The checks of the sources: format and lints.

use super::context::Checks;
use super::report::Output;
use crate::process;
use anyhow::{Result, bail};

/// The features of the build that is linted and documented, if OpenSSL is there.
const TLS: [&str; 2] = ["--features", "tallow/tls"];

impl Checks {
    pub(super) fn check_sources(&mut self) {
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
}
