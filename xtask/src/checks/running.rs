//! The checks of running programs: chaos, the page, clients, attacks; and the deployment's file.

use super::context::Checks;
use super::report::Output;
use crate::process;

impl Checks {
    pub(super) fn chaos(&self, have_services: bool) {
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

    pub(super) fn page_and_clients(&self) {
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

    pub(super) fn attacks(&self) {
        if !self.leave_out(&["hostile traffic"]) {
            let arguments = ["--seconds", "15"];
            let attacks = |output: &Output| output.run(&mut self.command("scripts/hostile", &arguments));
            self.report.step("hostile traffic", attacks);
        }
    }

    /// Docker's own opinion of the compose file, which needs no engine. The tests have checked it
    /// against the specification.
    pub(super) fn compose(&self) {
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
