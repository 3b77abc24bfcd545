//! The Debian packages that the services and the programs that talk to them come from.

use super::postgres;
use super::service::Service;
use crate::process;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;

/// Installs the programs that talk to the services and, unless the services are containers, those
/// that are the services.
pub(super) fn install_missing(root: &Path, services: &[Service], is_docker: bool) -> Result<()> {
    let packages: Vec<&str> = services.iter().flat_map(|service| missing(*service, is_docker)).collect();
    if packages.is_empty() {
        return Ok(());
    }
    let install = process::run(Command::new(root.join("scripts/install")).args(&packages));
    install.with_context(|| format!("the services need {}", packages.join(" ")))
}

fn missing(service: Service, is_docker: bool) -> Vec<&'static str> {
    // The package, whether it is a server's, and whether it is there.
    let has = |program| process::find_program(program).is_some();
    let packages = match service {
        Service::Postgres => vec![
            ("postgresql", true, postgres::programs().is_some()),
            ("postgresql-client", false, has("psql")),
        ],
        Service::Redis => {
            vec![("redis-server", true, has("redis-server")), ("redis-tools", false, has("redis-cli"))]
        }
        Service::Kafka => vec![
            ("kcat", false, has("kcat")),
            ("default-jre-headless", true, has("java")),
            ("maven", true, has("mvn")),
        ],
    };
    let is_wanted = |is_server: bool| !(is_server && is_docker);
    let missing = packages.into_iter().filter(|(_, is_server, is_there)| is_wanted(*is_server) && !is_there);
    missing.map(|(package, ..)| package).collect()
}
