//! `docker-compose.yml` and the `Dockerfile`: valid, and fit to be started by a stranger.
//!
//! `compose_spec` has a type for every key of the Compose Specification and refuses what it does
//! not know, so the file is checked on a machine without Docker too.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod commands;
mod files;
mod monitoring;

use compose_spec::service::healthcheck::Healthcheck;
use compose_spec::{Compose, Options};
use files::{interpolated, read, yaml};
use serde_json::Value;

/// The services without an address to ask.
const UNASKED: [&str; 2] = ["migrate", "producer"];

fn parse(text: &str) -> Result<Compose, String> {
    Options::default().apply_merge(true).from_yaml_str(text).map_err(|error| error.to_string())
}

/// The file with the defaults of all variables but the passwords.
fn compose() -> Value {
    yaml(&interpolated(&read("docker-compose.yml")))
}

fn services() -> serde_json::Map<String, Value> {
    compose()["services"].as_object().unwrap().clone()
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().map(|it| it.as_str().unwrap()).collect()
}

#[test]
fn the_compose_file_follows_the_specification() {
    let compose = parse(&interpolated(&read("docker-compose.yml"))).unwrap();
    compose.validate_all().unwrap();
}

#[test]
fn a_misspelt_key_would_be_found() {
    let text = interpolated(&read("docker-compose.yml"));
    for (right, wrong) in [("healthcheck:", "health_check:"), ("interval: 10s", "intervall: 10s")] {
        assert!(text.contains(right));
        assert!(parse(&text.replace(right, wrong)).is_err(), "{wrong} was taken");
    }
}

#[test]
fn every_service_is_pinned_checked_and_without_privileges() {
    let compose = parse(&interpolated(&read("docker-compose.yml"))).unwrap();
    assert!(!compose.services.is_empty());
    for (name, service) in &compose.services {
        let tag = service.image.as_ref().and_then(|image| image.tag()).unwrap_or_default();
        let version = tag.trim_start_matches('v').splitn(3, '.').collect::<Vec<_>>();
        assert!(version.len() == 3 && version[0].parse::<u32>().is_ok(), "{name} has the tag {tag:?}");
        match &service.healthcheck {
            Some(Healthcheck::Command(_)) => {}
            Some(Healthcheck::Disable) if UNASKED.contains(&name.as_str()) => {}
            other => panic!("the health check of {name} is {other:?}"),
        }
        assert!(service.restart.is_some(), "{name} is not started again");
        assert!(!service.privileged, "{name} is privileged");
    }
}

#[test]
fn nothing_is_published_beyond_this_machine() {
    for (name, service) in services() {
        for port in texts(&service["ports"]) {
            assert!(port.starts_with("127.0.0.1:"), "{name} publishes {port}");
        }
    }
}

#[test]
fn there_is_no_secret_in_the_file() {
    let written = yaml(&read("docker-compose.yml"));
    let mut secrets = 0;
    for (name, service) in written["services"].as_object().unwrap() {
        for (variable, value) in service["environment"].as_object().into_iter().flatten() {
            let value = value.as_str().unwrap();
            let secret = match value.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@')) {
                Some((user, _)) => user.split_once(':').unwrap().1,
                None if ["PASSWORD", "KEY"].iter().any(|what| variable.ends_with(what)) => value,
                None => continue,
            };
            secrets += 1;
            let variable_alone = secret.starts_with("${") && secret.find('}') == Some(secret.len() - 1);
            assert!(
                variable_alone && interpolated(secret).replace("given", "").is_empty(),
                "{variable} of {name}"
            );
        }
    }
    assert!(secrets >= 4);
}

#[test]
fn the_services_that_tests_use_are_those_of_the_script() {
    let (script, services) = (read("xtask/src/services/docker.rs"), services());
    for (name, service, port) in
        [("Kafka", "kafka", "29092"), ("Postgres", "timescaledb", "5432"), ("Redis", "redis", "6379")]
    {
        for value in [service, port] {
            assert!(script.contains(&format!("Service::{name} => \"{value}\"")), "{name}: {value}");
        }
        let published = texts(&services[service]["ports"]);
        assert!(published.iter().any(|it| it.ends_with(&format!(":{port}"))), "{service}: {published:?}");
    }
    // Kafka tells its clients where they find it: there, or they come to nobody.
    let advertised = services["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].as_str().unwrap();
    assert_eq!(advertised, "INSIDE://kafka:9092,HOST://localhost:29092");
    // Every required variable is given by the script, or it could start nothing.
    for variable in files::required(&read("docker-compose.yml")) {
        assert!(script.contains(&format!("\"{variable}\"")), "{variable}");
        assert!(read("xtask/src/checks/running.rs").contains(&format!("\"{variable}\"")), "{variable}");
    }
}

#[test]
fn the_processes_of_the_dataflow_make_one_cluster() {
    let (compose, services) = (compose(), services());
    let hosts: Vec<&str> = compose["configs"]["hosts"]["content"].as_str().unwrap().lines().collect();
    for (number, host) in hosts.iter().enumerate() {
        let service = &services[host.split_once(':').unwrap().0];
        let command = texts(&service["command"]).join(" ");
        let cluster = format!("-n {} -p {number} --hostfile /etc/tallow/hosts", hosts.len());
        assert!(command.starts_with("run ") && command.ends_with(&cluster), "{command}");
        assert_eq!(service["configs"][0]["target"], "/etc/tallow/hosts");
        let listens = service["environment"]["TALLOW__RUN__LISTEN"].as_str().unwrap();
        assert_eq!(listens, "0.0.0.0:8001");
        let pipelines = services["server"]["environment"]["TALLOW__SERVER__PIPELINES"].as_str().unwrap();
        assert!(pipelines.split(',').any(|it| it == format!("http://dataflow-{number}:8001")), "{pipelines}");
    }
}

#[test]
fn the_image_is_built_from_pinned_images_and_run_by_nobody_special() {
    let dockerfile = read("Dockerfile");
    let argument = |instruction: &'static str| {
        dockerfile.lines().filter_map(move |line| line.strip_prefix(instruction)?.split_whitespace().next())
    };
    for image in argument("FROM ") {
        let (_, tag) = image.split_once(':').unwrap_or_default();
        assert!(tag.starts_with(|first: char| first.is_ascii_digit()), "{image} is not pinned");
    }
    assert!(argument("USER ").next_back().is_some_and(|user| user != "root"));
    assert_eq!(dockerfile.matches("HEALTHCHECK ").count(), 1);
}

#[test]
fn the_image_is_built_with_the_features_that_are_asked_for() {
    let written = read("docker-compose.yml").replace("${TALLOW_FEATURES:-}", "tls");
    for (name, service) in yaml(&interpolated(&written))["services"].as_object().unwrap() {
        if service["image"].as_str().unwrap().starts_with("tallow:") {
            assert_eq!(service["build"]["args"]["FEATURES"], "tls", "{name}");
        }
    }
    let dockerfile = read("Dockerfile");
    assert!(dockerfile.contains("ARG FEATURES=\n") && dockerfile.contains("--features \"$FEATURES\""));
    let manifest: toml::Table = toml::from_str(&read("Cargo.toml")).unwrap();
    assert!(manifest["features"]["tls"].is_array());
}

#[test]
fn the_image_is_built_with_the_toolchain_that_the_workspace_asks_for() {
    let manifest: toml::Table = toml::from_str(&read("Cargo.toml")).unwrap();
    let version = manifest["workspace"]["package"]["rust-version"].as_str().unwrap();
    assert!(read("Dockerfile").contains(&format!("FROM rust:{version}.")), "not Rust {version}");
}
