//! `scripts/services` where Docker answers, with a program in Docker's place that notes what it is asked; and what the
//! script leaves alone.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What tests and scripts talk to the services with.
const CLIENTS: [(&str, &str); 3] =
    [("psql", "postgresql-client"), ("redis-cli", "redis-tools"), ("kcat", "kcat")];

/// Docker, as far as the script asks it. A container runs from `up` to `stop`; the volume of the database keeps the password
/// that it was first given, whatever becomes of the container.
const DOCKER: &str = r#"#!/usr/bin/env bash
echo "$*" >> "$STAND_IN/calls"
case "$1 ${2-}" in
    "info " | "compose version") exit ;;
    "inspect -f") cat "$STAND_IN/health-${4#id-}" 2> /dev/null; exit ;;
esac
# compose -f FILE -p PROJECT COMMAND …
shift 5
command=$1
shift
case $command in
    up)
        for it in "$@"; do
            case $it in
                -*) ;;
                *) echo "${HEALTH:-healthy}" > "$STAND_IN/health-$it" ;;
            esac
        done
        [ -s "$STAND_IN/volume" ] || echo "$TALLOW_POSTGRES_PASSWORD" > "$STAND_IN/volume"
        echo "127.0.0.1:$TALLOW_POSTGRES_PORT" > "$STAND_IN/port-timescaledb"
        echo "127.0.0.1:$TALLOW_REDIS_PORT" > "$STAND_IN/port-redis"
        echo "127.0.0.1:$TALLOW_KAFKA_PORT" > "$STAND_IN/port-kafka"
        ;;
    stop) for it in "$@"; do rm -f "$STAND_IN/health-$it"; done ;;
    ps) [ ! -e "$STAND_IN/health-$2" ] || echo "id-$2" ;;
    port) cat "$STAND_IN/port-$1" ;;
    exec) sed -n "s/^ALTER ROLE tallow PASSWORD '\(.*\)'$/\1/p" > "$STAND_IN/volume" ;;
esac
"#;

/// Debian's, which installs by making an empty program.
const APT_GET: &str = r#"#!/usr/bin/env bash
echo "apt-get $*" >> "$STAND_IN/calls"
for it in "$@"; do
    case $it in
        postgresql-client) name=psql ;;
        redis-tools) name=redis-cli ;;
        kcat) name=kcat ;;
        *) continue ;;
    esac
    printf '#!/bin/sh\n' > "$STAND_IN/bin/$name"
    chmod +x "$STAND_IN/bin/$name"
done
"#;

/// A machine with Docker, and without the clients.
struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    fn new() -> Machine {
        let machine = Machine { folder: tempfile::tempdir().unwrap() };
        let programs = machine.path("bin");
        fs::create_dir(&programs).unwrap();
        for (name, text) in
            [("docker", DOCKER), ("apt-get", APT_GET), ("sudo", "#!/usr/bin/env bash\nexec \"$@\"\n")]
        {
            fs::write(programs.join(name), text).unwrap();
            fs::set_permissions(programs.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        for directory in ["/bin", "/usr/bin"] {
            for program in fs::read_dir(directory).unwrap().map(Result::unwrap) {
                let name = program.file_name();
                if CLIENTS.iter().all(|(client, _)| *client != name) && !programs.join(&name).exists() {
                    symlink(program.path(), programs.join(&name)).unwrap();
                }
            }
        }
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = script(arguments, &self.path("services"));
        command.env("PATH", self.path("bin")).env("STAND_IN", self.folder.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What Docker and Debian have been asked since the last time.
    fn calls(&self) -> String {
        let calls = fs::read_to_string(self.path("calls")).unwrap_or_default();
        fs::write(self.path("calls"), "").unwrap();
        calls
    }
}

fn script(arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/services"));
    command
        .args(arguments)
        .env("TALLOW_SERVICES", folder)
        .env_remove("TALLOW_NO_DOCKER")
        .stdin(Stdio::null());
    command
}

/// What the exports say, by name.
fn exported<'a>(exports: &'a str, name: &str) -> &'a str {
    let line =
        exports.lines().find_map(|line| line.strip_prefix("export ")?.strip_prefix(name)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("no {name} in {exports}"))
}

#[test]
fn containers_that_do_not_run_or_are_not_well_are_no_services() {
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
fn up_brings_the_clients_and_waits_for_the_containers_that_are_asked_for() {
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
fn the_settings_lead_to_the_containers_with_the_password_that_the_database_has() {
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
fn without_docker_it_is_not_asked() {
    let machine = Machine::new();
    let output = machine.command(&["status"]).env("TALLOW_NO_DOCKER", "1").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(machine.calls(), "");
}

#[test]
fn a_process_that_has_the_number_of_a_service_of_before_is_left_alone() {
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
