//! `docker-compose.yml` and the `Dockerfile`: valid, and fit to be started by a stranger.
//!
//! `compose_spec` has a type for every key of the Compose Specification and refuses what it does not know, so the
//! file is checked on a machine without Docker too.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use compose_spec::Compose;
use compose_spec::service::healthcheck::Healthcheck;

fn read(name: &str) -> String {
    std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

fn parse(text: &str) -> Result<Compose, String> {
    Compose::options().from_yaml_str(text).map_err(|error| error.to_string())
}

#[test]
fn the_compose_file_follows_the_specification() {
    let compose = parse(&read("docker-compose.yml")).unwrap();
    compose.validate_all().unwrap();
}

#[test]
fn a_misspelt_key_would_be_found() {
    let text = read("docker-compose.yml");
    for (right, wrong) in [("healthcheck:", "health_check:"), ("interval: 10s", "intervall: 10s")] {
        assert!(text.contains(right));
        assert!(parse(&text.replace(right, wrong)).is_err(), "{wrong} was taken");
    }
}

#[test]
fn every_service_is_pinned_checked_and_without_privileges() {
    let compose = parse(&read("docker-compose.yml")).unwrap();
    assert!(!compose.services.is_empty());
    for (name, service) in &compose.services {
        let tag = service.image.as_ref().and_then(|image| image.tag());
        assert!(tag.is_some_and(|tag| tag != "latest"), "{name} has no pinned tag");
        assert!(matches!(service.healthcheck, Some(Healthcheck::Command(_))), "{name} has no health check");
        assert!(!service.privileged, "{name} is privileged");
        assert!(service.environment.is_empty(), "{name} has settings here and not in its image");
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
fn the_image_is_built_with_the_toolchain_that_the_workspace_asks_for() {
    let manifest: toml::Table = toml::from_str(&read("Cargo.toml")).unwrap();
    let version = manifest["workspace"]["package"]["rust-version"].as_str().unwrap();
    assert!(read("Dockerfile").contains(&format!("FROM rust:{version}.")), "not Rust {version}");
}
