//! Prometheus and Grafana, against the metrics that the program really has.

use super::{read, services, texts, yaml};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tallow_testing::process::Tallow;
use tallow_testing::wait::until;

/// The jobs of Prometheus, and the services that each asks.
fn jobs() -> BTreeMap<String, BTreeSet<String>> {
    let settings = yaml(&read("config/prometheus.yml"));
    let mut jobs = BTreeMap::new();
    for job in settings["scrape_configs"].as_array().unwrap() {
        let mut asked = BTreeSet::new();
        for target in texts(&job["static_configs"][0]["targets"]) {
            let (service, port) = target.split_once(':').unwrap();
            let environment = services()[service]["environment"].to_string();
            assert!(environment.contains(&format!("0.0.0.0:{port}")), "{target}");
            asked.insert(service.to_owned());
        }
        jobs.insert(job["job_name"].as_str().unwrap().to_owned(), asked);
    }
    jobs
}

/// The panels of the dashboard that show something.
fn panels() -> Vec<Value> {
    let dashboard: Value = serde_json::from_str(&read("config/grafana/dashboards/tallow.json")).unwrap();
    let mut panels = dashboard["panels"].as_array().unwrap().clone();
    panels.retain(|panel| panel["type"] != "row");
    panels
}

/// The metrics of a program that runs, by the names that Prometheus gives them, and the label of
/// each that has values.
fn metrics() -> BTreeMap<String, Option<String>> {
    let data = tempfile::tempdir().unwrap();
    let data = data.path().join("data");
    let settings = [("TALLOW__SERVER__LISTEN", "127.0.0.1:0"), ("TALLOW__UP__DATA", data.to_str().unwrap())];
    let run = |last: &[&str]| {
        let mut tallow = Tallow::start(&["up", "--no-backfill"], &settings);
        let text = until("all metrics", || {
            tallow.still_runs();
            tallow.address()?;
            let (status, text) = tallow.get("/metrics");
            (status == 200 && last.iter().all(|name| text.contains(name))).then_some(text)
        });
        tallow.stop();
        text
    };
    // The last to come are the watermark, once something has been read, and then those of the first
    // checkpoint; the next start takes that one up.
    let last = ["tallow_watermark_timestamp_seconds", "tallow_checkpoint_bytes"];
    run(&last);
    let text = run(&[&last[..], &["tallow_restore_duration_seconds"]].concat());
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let named = types.map(|(name, kind)| match kind {
        "counter" => format!("{name}_total"),
        "gauge" => name.to_owned(),
        "histogram" => format!("{name}_bucket"),
        other => panic!("{name} is a {other}"),
    });
    let label = |name: &String| {
        let sample = text.lines().find_map(|line| line.strip_prefix(&format!("{name}{{")))?;
        // The bound of a histogram's bucket is no label that tells one series from another.
        let labels = sample.split_once('}')?.0.split(',').filter_map(|label| Some(label.split_once('=')?.0));
        labels.filter(|label| *label != "le").map(str::to_owned).next()
    };
    named.map(|name| (name.clone(), label(&name))).collect()
}

/// Fails unless Prometheus could read the expression.
fn parse(expression: &str) {
    promql_parser::parser::parse(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
}

/// The names in an expression that begin with `tallow_`.
fn names(expression: &str) -> impl Iterator<Item = &str> {
    expression.match_indices("tallow_").map(|(start, _)| {
        let rest = &expression[start..];
        &rest[..rest.find(|it: char| !it.is_ascii_lowercase() && it != '_').unwrap_or(rest.len())]
    })
}

#[test]
fn prometheus_asks_both_processes_of_the_dataflow_and_the_server() {
    let asked: Vec<String> = jobs().into_values().flatten().collect();
    assert_eq!(asked, ["dataflow-0", "dataflow-1", "server"]);
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
    for panel in panels() {
        assert_eq!(panel["datasource"]["uid"], source["uid"], "{}", panel["title"]);
        assert!(!panel["targets"].as_array().unwrap().is_empty(), "{}", panel["title"]);
    }
}

#[test]
fn the_dashboard_shows_metrics_that_there_are_and_shows_them_all() {
    let (metrics, jobs) = (metrics(), jobs());
    let mut shown = BTreeSet::new();
    for panel in panels() {
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap();
            parse(expression);
            let by = expression.split_once("by (").map(|(_, rest)| rest.split_once(')').unwrap().0);
            let by = by.map(|by| by.strip_prefix("le, ").unwrap_or(by)).filter(|by| *by != "le");
            for name in names(expression) {
                let label = metrics.get(name).unwrap_or_else(|| panic!("there is no {name}"));
                if let (Some(by), Some(label)) = (by.filter(|by| *by != "instance"), label) {
                    assert_eq!(by, label, "{expression}");
                }
                // The server tells of the dataflow too: without a job everything would count twice.
                let (_, selector) = expression.split_once(name).unwrap();
                let job = selector.strip_prefix("{job=\"").map(|rest| rest.split_once('"').unwrap().0);
                match job {
                    Some(job) => assert!(jobs.contains_key(job), "{expression}"),
                    None => assert_eq!(by, Some("instance"), "{expression}"),
                }
                shown.insert(name.to_owned());
            }
        }
    }
    assert_eq!(shown, metrics.into_keys().collect());
}

#[test]
fn prometheus_is_given_rules_about_metrics_and_labels_that_there_are() {
    let prometheus = yaml(&read("config/prometheus.yml"));
    assert_eq!(texts(&prometheus["rule_files"]), ["/etc/prometheus/alerts.yml"]);
    let mounted = services()["prometheus"]["volumes"].to_string();
    assert!(mounted.contains("./config/alerts.yml:/etc/prometheus/alerts.yml:ro"), "{mounted}");
    let (metrics, jobs) = (metrics(), jobs());
    let rules = yaml(&read("config/alerts.yml"));
    let mut alerts = BTreeSet::new();
    for rule in rules["groups"][0]["rules"].as_array().unwrap() {
        let name = rule["alert"].as_str().unwrap();
        let expression = rule["expr"].as_str().unwrap();
        parse(expression);
        assert!(alerts.insert(name), "{name} is there twice");
        for metric in names(expression) {
            assert!(metrics.contains_key(metric), "{name}: there is no {metric}");
        }
        for (_, rest) in
            expression.match_indices("job=\"").map(|(at, found)| expression.split_at(at + found.len()))
        {
            let job = rest.split_once('"').unwrap().0;
            assert!(jobs.contains_key(job), "{name}: there is no job {job}");
        }
        for text in ["summary", "description"] {
            assert!(rule["annotations"][text].as_str().is_some_and(|text| text.len() > 20), "{name}: {text}");
        }
        assert!(["critical", "warning"].contains(&rule["labels"]["severity"].as_str().unwrap()), "{name}");
    }
    for about in ["SourceStale", "WatermarkStuck", "CheckpointOld", "DeadLettersRising", "SinkQueueFull"] {
        assert!(alerts.contains(&*format!("Tallow{about}")), "{about}");
    }
}
