//! Rules of the whole repository: the crates that a crate may know, and texts that no file may
//! contain.
//!
//! The arrows are `tallow → {runtime → dataflow, connectors, server} → model`. The tests also list
//! the libraries that a layer must not know.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tallow_testing::sources::sources;

/// The crates of the workspace beside the root package.
const MEMBERS: [&str; 9] =
    ["model", "dataflow", "connectors", "runtime", "server", "testing", "benches", "fuzz", "xtask"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn table(path: &str) -> toml::Table {
    toml::from_str(&std::fs::read_to_string(root().join(path)).unwrap()).unwrap()
}

/// Returns the names of the dependencies of a crate on every platform, those of its tests only
/// with `with_tests`.
fn dependencies(folder: &str, with_tests: bool) -> BTreeSet<String> {
    let manifest = table(&format!("{folder}/Cargo.toml"));
    let mut kinds = vec!["dependencies", "build-dependencies"];
    if with_tests {
        kinds.push("dev-dependencies");
    }
    let mut names = BTreeSet::new();
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let targets = targets.iter().flat_map(|targets| targets.values().filter_map(toml::Value::as_table));
    for table in std::iter::once(&manifest).chain(targets) {
        for section in kinds.iter().filter_map(|kind| table.get(*kind)?.as_table()) {
            for (name, spec) in section {
                let renamed = spec.get("package").and_then(toml::Value::as_str);
                names.insert(renamed.unwrap_or(name).to_owned());
            }
        }
    }
    names
}

/// Returns the dependencies that are crates of this workspace.
fn own(folder: &str, with_tests: bool) -> Vec<String> {
    dependencies(folder, with_tests).into_iter().filter(|name| name.starts_with("tallow")).collect()
}

#[test]
fn the_arrow_of_dependency_points_one_way() {
    let arrows = |folder: &str| own(folder, false);
    assert_eq!(arrows("model"), Vec::<String>::new());
    assert_eq!(arrows("dataflow"), ["tallow-model"]);
    assert_eq!(arrows("connectors"), ["tallow-model"]);
    assert_eq!(arrows("runtime"), ["tallow-dataflow", "tallow-model"]);
    assert_eq!(arrows("server"), ["tallow-model"]);
    let all = ["tallow-connectors", "tallow-dataflow", "tallow-model", "tallow-runtime", "tallow-server"];
    assert_eq!(arrows("."), all);
}

#[test]
fn every_member_of_the_workspace_has_its_place_in_these_tests() {
    let manifest = table("Cargo.toml");
    let members: Vec<_> = manifest["workspace"]["members"].as_array().unwrap().iter().collect();
    let members: Vec<&str> = members.iter().map(|member| member.as_str().unwrap()).collect();
    assert_eq!(members, MEMBERS);
    for folder in MEMBERS.into_iter().chain(["."]) {
        let lints = &table(&format!("{folder}/Cargo.toml"))["lints"];
        assert_eq!(lints["workspace"].as_bool(), Some(true), "{folder} has lints of its own");
    }
}

#[test]
fn only_the_dataflow_and_its_benchmarks_know_timely_and_differential() {
    for folder in [".", "model", "runtime", "server", "connectors", "fuzz"] {
        for name in ["timely", "differential-dataflow"] {
            assert!(!dependencies(folder, true).contains(name), "{folder} depends on {name}");
        }
    }
}

#[test]
fn the_dataflow_has_no_way_to_the_world_outside() {
    // The list names allowed dependencies, so that every new dependency is looked at here.
    let allowed = [
        "abomonation",
        "differential-dataflow",
        "foldhash",
        "hashbrown",
        "jiff",
        "libm",
        "serde",
        "tallow-model",
        "timely",
    ];
    let found = dependencies("dataflow", false);
    let others: Vec<_> = found.iter().filter(|name| !allowed.contains(&name.as_str())).collect();
    assert!(others.is_empty(), "the dataflow depends on {others:?}");
}

#[test]
fn nothing_but_the_dataflow_knows_abomonation() {
    for folder in [".", "model", "runtime", "server", "connectors", "benches", "fuzz"] {
        assert!(!dependencies(folder, true).contains("abomonation"), "{folder} depends on abomonation");
    }
}

#[test]
fn the_server_knows_no_store_and_the_connectors_serve_nothing() {
    let never = [
        ("model", ["rusqlite", "tokio-postgres", "redis", "rdkafka"]),
        ("runtime", ["rusqlite", "tokio-postgres", "redis", "rdkafka"]),
        ("server", ["rusqlite", "tokio-postgres", "redis", "rdkafka"]),
        ("connectors", ["hyper-util", "tokio-tungstenite", "axum", "clap"]),
    ];
    for (folder, names) in never {
        for name in names {
            assert!(!dependencies(folder, false).contains(name), "{folder} depends on {name}");
        }
    }
}

#[test]
fn every_source_file_says_first_what_it_is_for() {
    let mut seen = 0;
    for (path, text) in sources() {
        if path.extension().is_some_and(|extension| extension == "rs") {
            assert!(text.starts_with("//! "), "{} does not open with //!", path.display());
            seen += 1;
        }
    }
    assert!(seen > 100, "only {seen} source files were found");
}

#[test]
fn two_files_alone_are_exempt_from_the_ban_of_unsafe_code() {
    assert_eq!(table("Cargo.toml")["workspace"]["lints"]["rust"]["unsafe_code"].as_str(), Some("deny"));
    let exemptions = ["allow", "expect", "warn"].map(|level| format!("{level}(unsafe_code"));
    let is_exempt = |text: &str| {
        let text: String = text.split_whitespace().collect();
        exemptions.iter().any(|exemption| text.contains(exemption))
    };
    let exempt: BTreeSet<PathBuf> =
        sources().into_iter().filter(|(_, text)| is_exempt(text)).map(|(path, _)| path).collect();
    assert_eq!(
        exempt,
        ["connectors/src/logs/kafka/queue.rs", "dataflow/src/wire.rs"].map(PathBuf::from).into()
    );
}

#[test]
fn no_file_names_a_folder_of_a_machine() {
    // In two pieces, because this file is looked at too.
    let homes = [
        ("/ho", "me/"),
        ("/Us", "ers/"),
        ("/ro", "ot/"),
        ("/wo", "rk/"),
        ("/pri", "vate/"),
        ("C:\\", "Users"),
    ];
    let homes = homes.map(|(start, end)| format!("{start}{end}"));
    let here = root().to_str().unwrap();
    for (path, text) in sources() {
        for place in homes.iter().map(String::as_str).chain([here]) {
            assert!(!text.contains(place), "{} contains {place}", path.display());
        }
    }
}

#[test]
fn crates_come_from_the_public_registry_alone() {
    let lock = table("Cargo.lock");
    for package in lock["package"].as_array().unwrap() {
        let source = package.get("source").and_then(toml::Value::as_str);
        let public = "registry+https://github.com/rust-lang/crates.io-index";
        assert!(source.is_none_or(|source| source == public), "{} comes from {source:?}", package["name"]);
    }
    // A mirror of the registry belongs to a machine, so no file of the repository names one.
    for name in ["config.toml", "config"] {
        assert!(!root().join(".cargo").join(name).exists(), ".cargo/{name} is in the repository");
    }
}
