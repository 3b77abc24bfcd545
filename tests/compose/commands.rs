//! The services that run Tallow, as the real program sees them: it takes their commands and
//! settings, and what it then fails at is only that the other services are not there.

use super::{compose, read, services, texts};
use serde_json::{Map, Value};
use std::net::TcpListener;
use std::path::Path;
use tallow_testing::process::Tallow;

/// The services that are containers of Tallow's image.
fn own() -> Map<String, Value> {
    let mut services = services();
    services.retain(|_, service| service["image"].as_str().unwrap().starts_with("tallow:"));
    services
}

/// Starts a service's own command with its own settings, where its file of hosts is this one. There
/// is nobody at the addresses of other services; that at which `run` would listen is taken, and
/// `serve` gets a free one.
fn start(service: &Value, hosts: &Path, taken: &str) -> Tallow {
    let path = |it| if it == "/etc/tallow/hosts" { hosts.to_str().unwrap() } else { it };
    let command: Vec<&str> = texts(&service["command"]).into_iter().map(path).collect();
    let addresses = [
        ("kafka:9092", "127.0.0.1:1"),
        ("timescaledb:5432", "127.0.0.1:1"),
        ("redis:6379", "127.0.0.1:1"),
        ("0.0.0.0:8000", "127.0.0.1:0"),
        ("0.0.0.0:8001", taken),
    ];
    let here =
        |value: &str| addresses.iter().fold(value.to_owned(), |it, (there, here)| it.replace(there, here));
    let environment = service["environment"].as_object().unwrap();
    let settings: Vec<(&str, String)> =
        environment.iter().map(|(name, value)| (&**name, here(value.as_str().unwrap()))).collect();
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, &**value)).collect();
    Tallow::start(&command, &settings)
}

#[test]
fn every_command_is_taken_with_its_settings() {
    let folder = tempfile::tempdir().unwrap();
    let hosts = folder.path().join("hosts");
    std::fs::write(&hosts, compose()["configs"]["hosts"]["content"].as_str().unwrap()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    let mut started = Vec::new();
    for (name, service) in own() {
        let command = texts(&service["command"])[0].to_owned();
        let mut process = start(&service, &hosts, &taken);
        // Exit code 2 would be that of a command line, a setting or a file of hosts that can't be.
        let fails = match &*command {
            "run" => format!("listen on {taken}"),
            "migrate" => "connect to 127.0.0.1:1/tallow".to_owned(),
            "serve" | "produce" => {
                process.says(if command == "serve" { "listening" } else { "producing" });
                process.stop();
                started.push(name);
                continue;
            }
            _ => panic!("{name} runs {command}"),
        };
        let (status, said) = process.ended();
        assert!(status.code() == Some(1) && said.contains(&fails), "{name}: {status}, {said}");
        started.push(name);
    }
    assert_eq!(started, ["dataflow-0", "dataflow-1", "migrate", "producer", "server"]);
}

#[test]
fn every_setting_that_is_named_is_a_key_of_the_schema() {
    let schema: toml::Table = toml::from_str(&read("config/default.toml")).unwrap();
    let named = [
        "docker-compose.yml",
        "Dockerfile",
        "README.md",
        "CONTRIBUTING.md",
        "docs/api-contract.md",
        "docs/security.md",
    ];
    let mut files: Vec<String> = named.map(str::to_owned).into();
    for script in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts")).unwrap() {
        let script = script.unwrap();
        if script.file_type().unwrap().is_file() {
            files.push(format!("scripts/{}", script.file_name().to_str().unwrap()));
        }
    }
    let programs = ["isolated.rs", "demo.rs", "services.rs"].map(|file| format!("xtask/src/{file}"));
    files.extend(programs);
    for file in files {
        let mut found = 0;
        for part in read(&file).split("TALLOW__").skip(1) {
            let end = part.find(|it: char| !it.is_ascii_uppercase() && !it.is_ascii_digit() && it != '_');
            let name = part[..end.unwrap_or(part.len())].to_lowercase();
            let (section, key) = name.split_once("__").unwrap_or((&name, ""));
            assert!(schema.get(section).is_some_and(|it| it.get(key).is_some()), "{file}: {section}.{key}");
            found += 1;
        }
        assert!(found > 0 || file.starts_with("scripts/"), "{file}");
    }
}
