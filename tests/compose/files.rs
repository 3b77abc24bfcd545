//! The files of the deployment, read as Compose, Prometheus and Grafana read them.

use super::{compose, parse, services, texts};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// The metrics of the contract, a histogram by the name of its buckets.
const CONTRACT: [&str; 24] = [
    "tallow_records_in_total",
    "tallow_records_total",
    "tallow_watermark_lag_seconds",
    "tallow_source_idle_seconds",
    "tallow_pending_records",
    "tallow_candles_settled_total",
    "tallow_corrections_total",
    "tallow_alerts_total",
    "tallow_window_close_delay_seconds_bucket",
    "tallow_checkpoint_duration_seconds",
    "tallow_checkpoint_bytes",
    "tallow_checkpoint_last_success_timestamp_seconds",
    "tallow_restore_duration_seconds",
    "tallow_sink_write_seconds_bucket",
    "tallow_sink_queue",
    "tallow_sink_retries_total",
    "tallow_ws_clients",
    "tallow_ws_conflated_total",
    "tallow_ws_evicted_total",
    "tallow_http_request_duration_seconds_bucket",
    "tallow_ready",
    "tallow_sink_up",
    "tallow_uptime_seconds",
    "tallow_watermark_timestamp_seconds",
];

pub(crate) fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Any YAML, `<<` merged: an extension of a compose file, which may be anything.
pub(crate) fn yaml(text: &str) -> Value {
    let lines: String = text.lines().map(|line| format!("  {line}\n")).collect();
    let compose =
        compose_spec::Options::default().from_yaml_str(&format!("services: {{}}\nx-file:\n{lines}"));
    let mut value = compose.unwrap().extensions.into_iter().next().unwrap().1;
    value.apply_merge().unwrap();
    serde_json::to_value(value).unwrap()
}

/// What stands between `${` and `}`, and around it.
fn variables(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    text.split("${").enumerate().map(|(number, part)| match number {
        0 => (part, None),
        _ => part.split_once('}').map(|(variable, rest)| (rest, Some(variable))).unwrap(),
    })
}

/// The text with the defaults of all variables, and `given` for those that have none.
pub(crate) fn interpolated(text: &str) -> String {
    let mut whole = String::new();
    for (rest, variable) in variables(text) {
        match variable.map(|variable| (variable.split_once(":-"), variable.split_once(":?"))) {
            Some((Some((_, default)), _)) => whole.push_str(default),
            Some((None, Some(_))) => whole.push_str("given"),
            Some((None, None)) => panic!("{variable:?} has neither a default nor what to say without it"),
            None => {}
        }
        whole.push_str(rest);
    }
    whole.replace("$$", "$")
}

/// The variables that must be given.
pub(crate) fn required(text: &str) -> BTreeSet<&str> {
    variables(text).filter_map(|(_, variable)| Some(variable?.split_once(":?")?.0)).collect()
}

#[test]
fn what_is_mounted_is_there() {
    let (services, volumes) = (services(), compose()["volumes"].as_object().unwrap().clone());
    let mut mounted = 0;
    for (name, service) in services {
        for volume in texts(&service["volumes"]) {
            let source = volume.split_once(':').unwrap().0;
            match source.strip_prefix("./") {
                Some(file) => {
                    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(file).exists(), "{name}: {file}")
                }
                None => assert!(volumes.contains_key(source), "{name}: {source} is no volume"),
            }
            mounted += 1;
        }
    }
    assert!(mounted >= volumes.len());
}

#[test]
fn prometheus_reads_services_that_there_are() {
    let settings = yaml(&read("config/prometheus.yml"));
    let mut read_services = BTreeSet::new();
    for job in settings["scrape_configs"].as_array().unwrap() {
        for target in texts(&job["static_configs"][0]["targets"]) {
            let (service, port) = target.split_once(':').unwrap();
            let environment = services()[service]["environment"].to_string();
            assert!(environment.contains(&format!("0.0.0.0:{port}")), "{target}");
            read_services.insert(service.to_owned());
        }
    }
    assert_eq!(read_services, ["dataflow-0", "dataflow-1", "server"].map(str::to_owned).into());
}

#[test]
fn grafana_finds_its_data_and_its_dashboard() {
    let sources = yaml(&read("config/grafana/provisioning/datasources/prometheus.yml"));
    let source = &sources["datasources"][0];
    assert_eq!(source["url"], "http://prometheus:9090");
    assert!(services()["prometheus"]["ports"][0].as_str().unwrap().ends_with(":9090"));
    let providers = yaml(&read("config/grafana/provisioning/dashboards/tallow.yml"));
    let folder = &providers["providers"][0]["options"]["path"];
    assert_eq!(folder, "/etc/grafana/dashboards");
    assert!(services()["grafana"]["volumes"].to_string().contains(":/etc/grafana/dashboards:ro"));
    let dashboard: Value = serde_json::from_str(&read("config/grafana/dashboards/tallow.json")).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        if panel["type"] != "row" {
            assert_eq!(panel["datasource"]["uid"], source["uid"], "{}", panel["title"]);
            assert!(!panel["targets"].as_array().unwrap().is_empty(), "{}", panel["title"]);
        }
    }
}

#[test]
fn the_dashboard_shows_metrics_that_there_are() {
    let dashboard = read("config/grafana/dashboards/tallow.json");
    let is_name = |byte: &u8| byte.is_ascii_lowercase() || *byte == b'_';
    let names: BTreeSet<&str> = dashboard
        .match_indices("tallow_")
        .map(|(start, _)| {
            let rest = &dashboard[start..];
            &rest[..rest.bytes().take_while(|byte| is_name(byte)).count()]
        })
        .collect();
    assert!(names.len() > 15);
    for name in names {
        assert!(CONTRACT.contains(&name), "{name}");
    }
}

#[test]
fn a_variable_without_a_default_has_to_be_given() {
    let text = "a: ${A:-b}:${C:?why}\nd: $$e ${F:-}\n";
    assert_eq!(interpolated(text), "a: b:given\nd: $e \n");
    assert_eq!(required(text), ["C"].into());
    assert!(parse("services: {}").is_ok());
}
