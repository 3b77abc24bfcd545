//! The commands that the checks run: cargo and the scripts, in the checkout, with the environment
//! that they share.

use crate::process;
use anyhow::{Context, Result};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Cargo's settings for a release build that is compiled quickly and runs briefly.
pub(super) const QUICK_RELEASE: [(&str, &str); 3] = [
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "none"),
];

pub(super) struct Workspace {
    root: PathBuf,
    target: PathBuf,
    tools: PathBuf,
    /// Variables that every command gets.
    variables: Vec<(OsString, OsString)>,
}

impl Workspace {
    pub(super) fn new(root: &Path, is_all_required: bool) -> Result<Workspace> {
        let root = root.canonicalize().with_context(|| format!("find {}", root.display()))?;
        let folder = |variable| env::var_os(variable).filter(|it| !it.is_empty()).map(|it| root.join(it));
        let target = folder("CARGO_TARGET_DIR").unwrap_or_else(|| root.join("target"));
        let tools = folder("TALLOW_TOOLS").unwrap_or_else(|| target.join("tools"));
        let mut workspace = Workspace { root, target, tools, variables: Vec::new() };
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(workspace.tools.join("bin")).chain(env::split_paths(&path));
        workspace.set("PATH", env::join_paths(folders).context("join the folders of PATH")?);
        workspace.set("XTASK_BIN", workspace.keep_program()?.into_os_string());
        if is_all_required {
            workspace.set("TALLOW_REQUIRE_ALL", "1".into());
            // The build fails unless the dashboard is built in.
            workspace.set("TALLOW_DASHBOARD", "required".into());
        }
        Ok(workspace)
    }

    /// A copy of this program, which the scripts run: cargo may replace the original when it builds
    /// all crates.
    fn keep_program(&self) -> Result<PathBuf> {
        let copy = self.logs().join("xtask");
        let new = copy.with_extension(std::process::id().to_string());
        let make = || {
            fs::create_dir_all(self.logs())?;
            fs::copy(env::current_exe()?, &new)?;
            fs::rename(&new, &copy)
        };
        make().with_context(|| format!("copy this program to {}", copy.display()))?;
        Ok(copy)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    /// The folder of the steps' logs.
    pub(super) fn logs(&self) -> PathBuf {
        self.target.join("checks")
    }

    /// Gives a variable to all later commands.
    pub(super) fn set(&mut self, name: &str, value: OsString) {
        self.variables.push((name.into(), value));
    }

    /// A command that runs in the checkout.
    pub(super) fn command(&self, program: &str) -> Command {
        // A script, or a program of PATH.
        let program = if program.contains('/') { self.root.join(program) } else { program.into() };
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        for (name, _) in env::vars_os() {
            if is_of_cargo_run(&name.to_string_lossy()) {
                command.env_remove(name);
            }
        }
        // An empty value would count as set.
        command
            .env_remove("TALLOW_REQUIRE_ALL")
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// A command that yields the processors to others.
    pub(super) fn background_command(&self, program: &str) -> Command {
        let mut command = self.command("nice");
        command.args(["-n", "10", program]);
        command
    }

    /// The compiler that `cargo clippy` uses.
    pub(super) fn clippy_driver(&self) -> Option<PathBuf> {
        let folder = process::output(self.command("rustc").args(["--print", "sysroot"])).ok()?;
        Some(Path::new(folder.trim()).join("bin/clippy-driver"))
            .filter(|program| process::is_program(program))
    }

    /// Whether `cargo +nightly` runs.
    pub(super) fn has_nightly(&self) -> bool {
        process::succeeds(self.command("cargo").args(["+nightly", "--version"]))
    }

    /// Installs a cargo command of a version unless it is there. `arguments` are those of `cargo
    /// install`.
    pub(super) fn install_tool(&self, name: &str, version: &str, arguments: &[&str]) -> bool {
        let program = self.tools.join("bin").join(name);
        let wanted = format!("{name} {version}");
        let is_wanted = |said: String| {
            let said = said.lines().next().unwrap_or_default().to_owned();
            said == wanted || said.starts_with(&format!("{wanted} "))
        };
        let mut ask = self.command("cargo");
        if program.exists() {
            ask = Command::new(&program);
        }
        if program.exists() && process::output(ask.arg("--version")).is_ok_and(is_wanted) {
            return true;
        }
        let mut install = self.background_command("cargo");
        install.envs(QUICK_RELEASE).env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
        install.args(["install", "--locked", "--quiet", "--root"]).arg(&self.tools);
        process::run(install.args(["--version", version, name]).args(arguments)).is_ok()
    }
}

/// Whether `cargo run` sets a variable, which would mislead a build.
fn is_of_cargo_run(name: &str) -> bool {
    name == "CARGO" || name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
}
