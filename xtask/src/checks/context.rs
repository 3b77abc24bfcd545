//! The context of a check: its commands, its report, and the choices of `scripts/test`.

use super::report::Report;
use super::workspace::Workspace;
use std::process::Command;

pub(super) struct Checks {
    pub(super) workspace: Workspace,
    pub(super) report: Report,
    pub(super) is_fast: bool,
    /// The features that lints and documentation share.
    pub(super) features: &'static [&'static str],
}

impl Checks {
    pub(super) fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = self.workspace.command(program);
        command.args(arguments);
        command
    }

    pub(super) fn background_command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = self.workspace.background_command(program);
        command.args(arguments);
        command
    }

    /// Leaves out checks if only the fast ones are asked for, and returns whether it did.
    pub(super) fn leave_out(&self, names: &[&str]) -> bool {
        if self.is_fast {
            names.iter().for_each(|name| self.report.unable(name, "--fast"));
        }
        self.is_fast
    }
}
