//! `scripts/test`: its lines and its exit code, on a machine whose cargo succeeds at once.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod machine;

use machine::Machine;
use std::process::{Command, Output, Stdio};

/// A cargo that fails at the command in FAILS, and has installed every tool.
const CARGO: &str = r#"#!/usr/bin/env bash
echo "cargo $*" >> "$STAND_IN/calls"
case "$*" in
    *"$FAILS"*)
        echo "the reason"
        exit 1
        ;;
esac
"#;

/// Runs `scripts/test --fast`.
fn check(machine: &Machine, fails: &str, is_all_required: bool) -> Output {
    machine.install("cargo", CARGO);
    let mut script = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/test"));
    if is_all_required {
        script.env("TALLOW_REQUIRE_ALL", "1");
    } else {
        script.env_remove("TALLOW_REQUIRE_ALL");
    }
    script
        .arg("--fast")
        .env("PATH", machine.path("bin"))
        .env("STAND_IN", machine.folder.path())
        .env("FAILS", fails)
        .env("XTASK_BIN", env!("CARGO_BIN_EXE_xtask"))
        .env("CARGO_TARGET_DIR", machine.path("target"))
        .env("TALLOW_SERVICES", machine.path("services"))
        .env_remove("TALLOW_NO_DOCKER")
        .env_remove("TALLOW_TOOLS")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn lines(output: &Output) -> Vec<String> {
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn the_last_line_counts_the_steps() {
    let machine = Machine::new();
    let output = check(&machine, "no command", false);
    let lines = lines(&output);
    assert!(output.status.success(), "{lines:#?}");
    let passed = lines.iter().filter(|line| line.contains(": passed (")).count();
    let skipped = lines.iter().filter(|line| line.starts_with("skipped: ")).count();
    assert_eq!(lines.last().unwrap(), &format!("{passed} passed, 0 failed, {skipped} skipped"));
    assert!(passed >= 8 && lines.contains(&"skipped: chaos: --fast".to_owned()), "{lines:#?}");
    let calls = machine.calls();
    assert!(calls.contains("up -d --wait") && calls.contains(" stop "), "services were not stopped: {calls}");
}

#[test]
fn a_step_that_fails_is_named_and_keeps_no_other_from_running() {
    let machine = Machine::new();
    let output = check(&machine, "clippy --workspace", false);
    let lines = lines(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(lines.contains(&"the reason".to_owned()), "{lines:#?}");
    assert!(lines.iter().any(|line| line.starts_with("failed: lints")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.starts_with("--- tests: passed")), "{lines:#?}");
    assert!(lines.last().unwrap().contains(" passed, 1 failed, "), "{lines:#?}");
}

#[test]
fn programs_that_can_not_be_built_fail_what_needs_them() {
    let machine = Machine::new();
    let output = check(&machine, "nextest list", true);
    let lines = lines(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(lines.iter().any(|line| line.starts_with("failed: tests")), "{lines:#?}");
    assert!(!machine.calls().contains("nextest run"), "{lines:#?}");
}

#[test]
fn an_unknown_argument_is_refused() {
    let refused = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/test"))
        .arg("--quick")
        .env("XTASK_BIN", env!("CARGO_BIN_EXE_xtask"))
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(2));
}
