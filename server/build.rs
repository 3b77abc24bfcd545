//! Builds the dashboard with Node.js and npm, into the files that the server embeds.
//!
//! Without Node.js, with one that is too old, or without its packages, the build continues with a
//! document that says so. A fault of the dashboard itself fails the build. `TALLOW_DASHBOARD=off`
//! leaves it out; with `TALLOW_DASHBOARD=required` a build without it fails.

use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

#[path = "build/node.rs"]
mod node;

/// Files of the dashboard that the build reads: not its tests, and not its own output.
const SOURCES: [&str; 6] =
    ["src", "index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts"];

/// The environment variable that switches the dashboard.
const SWITCH: &str = "TALLOW_DASHBOARD";

/// The reason why there is no dashboard.
enum Failure {
    /// This machine can't build it.
    Unable(String),
    /// It can't be built anywhere.
    Broken(String),
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed={SWITCH}");
    for source in SOURCES {
        println!("cargo::rerun-if-changed=dashboard/{source}");
    }
    let dashboard = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("dashboard");
    let out = PathBuf::from(std::env::var("OUT_DIR")?).join("dashboard");
    let switch = std::env::var(SWITCH).unwrap_or_default();
    let why = match &*switch {
        "off" => format!("it was built with {SWITCH}=off"),
        "" | "required" => match build(&dashboard, &out) {
            Ok(()) => return Ok(()),
            Err(Failure::Unable(why)) if switch.is_empty() => {
                println!("cargo::warning=no dashboard: {why}");
                why
            }
            Err(Failure::Unable(why) | Failure::Broken(why)) => return Err(why.into()),
        },
        other => return Err(format!("{SWITCH} is {other:?} and not off or required").into()),
    };
    write_substitute(&out, &why)
}

fn build(dashboard: &Path, out: &Path) -> Result<(), Failure> {
    find_node().map_err(Failure::Unable)?;
    install(dashboard)?;
    let vite = dashboard.join("node_modules/vite/bin/vite.js");
    let mut command = Command::new("node");
    command.arg(vite).arg("build").arg("--logLevel").arg("warn").arg("--outDir").arg(out);
    run(command.current_dir(dashboard)).map_err(Failure::Broken)
}

/// Looks for a Node.js that can build the dashboard; the error names what was found.
fn find_node() -> Result<(), String> {
    let output = Command::new("node").arg("--version").output();
    let output =
        output.map_err(|error| format!("Node.js (node) was not found when it was built: {error}"))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    match node::version(&printed) {
        Some(version) if node::is_enough(version) => Ok(()),
        Some(_) => {
            Err(format!("it was built with Node.js {}, but {} is needed", printed.trim(), node::WANTED))
        }
        None => Err(format!(
            "node --version ended with {} and {:?} when it was built",
            output.status,
            printed.trim()
        )),
    }
}

/// Installs the packages of the lock file, unless they are present. One build at a time: builds may
/// have different target folders, but all share this one.
fn install(dashboard: &Path) -> Result<(), Failure> {
    let lock_path = dashboard.join("node_modules.lock");
    let tried = |error| Failure::Unable(format!("lock {}: {error}", lock_path.display()));
    let lock = File::create(&lock_path).map_err(tried)?;
    lock.lock().map_err(tried)?;
    let modified = |path: &str| -> Option<SystemTime> {
        fs::metadata(dashboard.join(path)).and_then(|metadata| metadata.modified()).ok()
    };
    let installed = modified("node_modules/.package-lock.json");
    if installed.is_some() && installed >= modified("package-lock.json") {
        return Ok(());
    }
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    run(Command::new(npm).arg("ci").current_dir(dashboard)).map_err(Failure::Unable)
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("run {command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("run {command:?}: {}: {}", output.status, said.trim()))
}

/// Writes a document that says why there is no dashboard.
fn write_substitute(out: &Path, why: &str) -> Result<(), Box<dyn Error>> {
    let line = why.lines().next().unwrap_or_default();
    let line = line.replace('&', "&amp;").replace('<', "&lt;");
    if out.exists() {
        fs::remove_dir_all(out)?;
    }
    fs::create_dir_all(out)?;
    let document = format!(
        r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Tallow</title>
<h1>Tallow</h1>
<p>The server runs. This build of it has no dashboard: {line}.</p>
<p>With Node.js {wanted} and npm in the path,
<code>cargo clean --package tallow-server &amp;&amp; cargo build</code> makes one.
The data is there all the same, as at <a href="/api/v1/latest/all">/api/v1/latest/all</a>.</p>
</html>
"#,
        wanted = node::WANTED
    );
    fs::write(out.join("index.html"), document)?;
    Ok(())
}
