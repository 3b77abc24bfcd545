//! A machine on which every program that matters is a stand-in that notes its calls.
#![allow(dead_code, reason = "each test binary uses a part of the machine")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The programs that talk to the services, and their packages.
pub(crate) const CLIENTS: [(&str, &str); 3] =
    [("psql", "postgresql-client"), ("redis-cli", "redis-tools"), ("kcat", "kcat")];

/// The part of Docker that the script uses. A container runs from `up` to `stop`. The volume of the
/// database keeps its first password, whatever becomes of the container.
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

/// Debian's apt-get, which installs a package by making an empty program.
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

/// A machine with Docker and without the programs that talk to the services.
pub(crate) struct Machine {
    pub(crate) folder: tempfile::TempDir,
}

impl Machine {
    pub(crate) fn new() -> Machine {
        let machine = Machine { folder: tempfile::tempdir().unwrap() };
        let programs = machine.path("bin");
        fs::create_dir(&programs).unwrap();
        for (name, text) in
            [("docker", DOCKER), ("apt-get", APT_GET), ("sudo", "#!/usr/bin/env bash\nexec \"$@\"\n")]
        {
            fs::write(programs.join(name), text).unwrap();
            fs::set_permissions(programs.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        for directory in ["/bin", "/usr/bin", "/usr/sbin"] {
            for program in fs::read_dir(directory).unwrap().map(Result::unwrap) {
                let name = program.file_name();
                if CLIENTS.iter().all(|(client, _)| *client != name) && !programs.join(&name).exists() {
                    symlink(program.path(), programs.join(&name)).unwrap();
                }
            }
        }
        machine
    }

    /// Puts a program into the machine's only folder of programs.
    pub(crate) fn install(&self, name: &str, text: &str) {
        let program = self.path("bin").join(name);
        // A link leads to the program of the real machine.
        let _ = fs::remove_file(&program);
        fs::write(&program, text).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = script(arguments, &self.path("services"));
        command.env("PATH", self.path("bin")).env("STAND_IN", self.folder.path());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    pub(crate) fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Returns the calls of Docker and apt-get since the last time.
    pub(crate) fn calls(&self) -> String {
        let calls = fs::read_to_string(self.path("calls")).unwrap_or_default();
        fs::write(self.path("calls"), "").unwrap();
        calls
    }
}

/// `scripts/services` on the instances of a folder.
pub(crate) fn script(arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/services"));
    command
        .args(arguments)
        .env("XTASK_BIN", env!("CARGO_BIN_EXE_xtask"))
        .env("TALLOW_SERVICES", folder)
        .env_remove("TALLOW_NO_DOCKER")
        .stdin(Stdio::null());
    command
}
