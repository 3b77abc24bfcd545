//! `scripts/services`: with a program in Docker's place that notes its calls, and with processes
//! that fail to start.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says why")]

mod machine;

use machine::{CLIENTS, Machine, script};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// The value of an export line.
fn exported<'a>(exports: &'a str, name: &str) -> &'a str {
    let line =
        exports.lines().find_map(|line| line.strip_prefix("export ")?.strip_prefix(name)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("no {name} in {exports}"))
}

#[test]
fn a_container_that_is_unhealthy_counts_as_not_running() {
    let machine = Machine::new();
    let status = |health: &str| {
        let output = machine.run(&["status"]);
        assert_eq!(output.status.success(), health.is_empty(), "{output:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said.lines().count(), 3, "{said}");
        said
    };
    let none = "postgres: not running\nredis: not running\nkafka: not running\n";
    assert_eq!(status("none has been started"), none);
    machine.succeed(&["up"]);
    let said = status("");
    for (line, (name, container)) in
        said.lines().zip([("postgres", "timescaledb"), ("redis", "redis"), ("kafka", "kafka")])
    {
        let port = fs::read_to_string(machine.path(&format!("port-{container}"))).unwrap();
        assert_eq!(line, format!("{name}: running on {}, container id-{container}", port.trim()));
    }
    fs::write(machine.path("health-redis"), "starting\n").unwrap();
    assert!(status("one is not yet well").contains("redis: not running\n"));
    assert!(machine.run(&["status", "postgres", "kafka"]).status.success());
    machine.succeed(&["down"]);
    assert_eq!(status("all are stopped"), none);
}

#[test]
fn up_installs_clients_and_waits_for_the_named_containers() {
    let machine = Machine::new();
    machine.succeed(&["up", "redis"]);
    let calls = machine.calls();
    assert!(
        calls.contains("redis-tools") && !calls.contains("kcat") && !calls.contains("postgresql"),
        "{calls}"
    );
    assert!(calls.lines().any(|call| call.ends_with(" up -d --wait redis")), "{calls}");
    assert!(!calls.contains(" exec "), "nobody asked for the database: {calls}");
    machine.succeed(&["up"]);
    let calls = machine.calls();
    for (client, package) in [CLIENTS[0], CLIENTS[2]] {
        assert!(calls.contains(package) && machine.path("bin").join(client).exists(), "{calls}");
    }
    assert!(!calls.contains("java") && !calls.contains("maven"), "the servers are in containers: {calls}");
    assert!(calls.lines().any(|call| call.ends_with(" up -d --wait timescaledb redis kafka")), "{calls}");
    machine.succeed(&["up"]);
    assert!(!machine.calls().contains("apt-get"), "everything is there");
}

#[test]
fn the_settings_lead_to_the_containers() {
    let machine = Machine::new();
    assert!(!machine.run(&["env"]).status.success(), "nothing runs");
    machine.succeed(&["up"]);
    let exports = machine.succeed(&["env"]);
    let of = |name: &str| fs::read_to_string(machine.path(name)).unwrap().trim().to_owned();
    let url = |exports: &str| exported(exports, "TALLOW__POSTGRES__URL").to_owned();
    let expected = || format!("postgres://tallow:{}@{}/tallow", of("volume"), of("port-timescaledb"));
    assert_eq!(url(&exports), expected());
    assert_eq!(exported(&exports, "TALLOW__REDIS__URL"), format!("redis://{}", of("port-redis")));
    assert_eq!(exported(&exports, "TALLOW__KAFKA__BOOTSTRAP_SERVERS"), of("port-kafka"));

    // The folder goes with target, the volume does not.
    let first = of("volume");
    machine.succeed(&["down"]);
    fs::remove_dir_all(machine.path("services")).unwrap();
    machine.succeed(&["up"]);
    assert_ne!(of("volume"), first);
    assert_eq!(url(&machine.succeed(&["env"])), expected());
}

#[test]
fn docker_is_not_called_if_it_is_switched_off() {
    let machine = Machine::new();
    let output = machine.command(&["status"]).env("TALLOW_NO_DOCKER", "1").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(machine.calls(), "");
}

#[test]
fn a_foreign_process_with_the_number_of_a_service_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut stranger = Command::new("sleep").arg("600").spawn().unwrap();
    for name in ["postgres", "redis", "kafka"] {
        fs::write(folder.path().join(format!("{name}.pid")), stranger.id().to_string()).unwrap();
        fs::write(folder.path().join(format!("{name}.port")), "1").unwrap();
    }
    let run =
        |command: &str| script(&[command], folder.path()).env("TALLOW_NO_DOCKER", "1").output().unwrap();
    let status = run("status");
    assert_eq!(String::from_utf8_lossy(&status.stdout).matches("not running").count(), 3);
    let down = run("down");
    assert!(down.status.success(), "{}", String::from_utf8_lossy(&down.stderr));
    assert!(stranger.try_wait().unwrap().is_none(), "it was ended");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

/// Whether a server program is installed. A test that is skipped says so, and fails where every
/// test is required.
fn is_installed(service: &str) -> bool {
    let found = match service {
        "postgres" => Path::new("/usr/lib/postgresql").exists(),
        program => Command::new(program).arg("--version").output().is_ok(),
    };
    if !found {
        assert!(std::env::var_os("TALLOW_REQUIRE_ALL").is_none(), "{service} is not installed");
        eprintln!("skipped: {service} is not installed; scripts/services up installs it");
    }
    found
}

/// Starts services that can't all start, and returns what the script says about it.
fn fail_to_start(script: &mut Command) -> String {
    let output = script.env("TALLOW_NO_DOCKER", "1").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Asserts that no process of the services is left.
fn assert_none_runs(folder: &Path) {
    let status = script(&["status"], folder).env("TALLOW_NO_DOCKER", "1").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&status.stdout).matches("not running").count(), 3);
    let is_of_folder = |process: &fs::DirEntry| {
        let command = fs::read(process.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains(folder.to_str().unwrap())
    };
    let processes = fs::read_dir("/proc").into_iter().flatten().map(Result::unwrap);
    assert_eq!(processes.filter(is_of_folder).count(), 0, "a process is left");
    for name in ["postgres", "redis"] {
        assert!(!folder.join(name).with_extension("pid").exists(), "{name} has not been stopped");
    }
}

#[test]
fn a_service_that_fails_is_explained_and_stops_the_others() {
    if !is_installed("postgres") {
        return;
    }
    let machine = Machine::new();
    let folder = machine.path("services");
    // Users other than root enter it.
    fs::set_permissions(machine.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    machine.install("redis-server", "#!/bin/sh\necho no memory is left\nsleep 1\nexit 1\n");
    let said = fail_to_start(&mut machine.command(&["up", "postgres", "redis"]));
    assert!(said.contains("redis: it has ended") && said.contains("no memory is left"), "{said}");
    assert!(said.contains("stopping what was started: postgres"), "{said}");
    assert_none_runs(&folder);
}

#[test]
fn a_folder_that_the_database_may_not_enter_is_named() {
    if !is_installed("postgres") || !is_installed("redis-server") {
        return;
    }
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root runs PostgreSQL as another user");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let services = folder.path().join("services");
    let command = &mut script(&["up", "postgres", "redis"], &services);
    let said = fail_to_start(command.env("TMPDIR", folder.path()));
    let reason = format!("the user postgres, who may not enter {}", folder.path().display());
    assert!(said.contains(&reason), "{said}");
    assert_none_runs(&services);
    // The data are put into a folder for temporary files that every user may enter.
    let temporary = tempfile::tempdir().unwrap();
    fs::set_permissions(temporary.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for command in ["up", "down"] {
        let mut script = script(&[command, "postgres"], &services);
        let ended = script.env("TALLOW_NO_DOCKER", "1").env("TMPDIR", temporary.path()).output().unwrap();
        assert!(ended.status.success(), "{command}: {}", String::from_utf8_lossy(&ended.stderr));
    }
    assert_none_runs(&services);
}
