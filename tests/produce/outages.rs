//! A broker that goes away, with a broker of the test's own.

use crate::process::{Producing, until};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use tallow_model::decode;
use tallow_testing::services::{kafka, unique};
use tallow_testing::topic::Topic;

/// A broker, stopped when dropped.
struct Broker {
    folder: tempfile::TempDir,
    address: String,
}

impl Broker {
    fn start() -> Broker {
        let mut broker = Broker { folder: tempfile::tempdir().unwrap(), address: String::new() };
        broker.service("up");
        let output = broker.script("env").arg("kafka").output().unwrap();
        let exports = String::from_utf8(output.stdout).unwrap();
        let address =
            exports.lines().find_map(|it| it.strip_prefix("export TALLOW__KAFKA__BOOTSTRAP_SERVERS="));
        broker.address = address.unwrap_or_else(|| panic!("no address in {exports}")).to_owned();
        broker
    }

    fn script(&self, command: &str) -> Command {
        let mut script = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/services"));
        script
            .arg(command)
            .env("TALLOW_SERVICES", self.folder.path())
            .env("TALLOW_NO_DOCKER", "1")
            .stdin(Stdio::null());
        script
    }

    /// `up` or `down`; both wait until it is so.
    fn service(&self, command: &str) {
        let output = self.script(command).arg("kafka").output().unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.script("down").arg("kafka").output();
    }
}

#[test]
fn an_outage_loses_nothing_and_doubles_nothing_and_a_stop_in_one_says_what_is_missing() {
    // Where the services are, they can be started.
    if kafka().is_none() {
        return;
    }
    let broker = Broker::start();
    let topic = Topic::make(&broker.address, unique("outage"), 3, &[]);
    let arguments = ["--feed", "sim", "--symbols", "BTC,ETH,SOL", "--rate", "300"];
    let producing = Producing::start(&broker.address, &topic.name, &arguments);
    until("records", || topic.count() > 500);
    broker.service("down");
    producing.says("Kafka is unreachable, records wait");
    broker.service("up");
    producing.says("Kafka is reachable again");
    let before = topic.count();
    until("records after the outage", || topic.count() > before + 500);
    producing.signal("TERM");
    let said = producing.succeeds();
    assert_eq!(said.matches("WARN").count(), 1, "{said}");

    let records = topic.read();
    assert!(said.contains(&format!("acknowledged={} failed=0", records.len())), "{said}");
    let mut ids = BTreeSet::new();
    for symbol in ["BTC", "ETH", "SOL"] {
        let lines: Vec<&[u8]> = records
            .iter()
            .filter(|record| record.key.as_deref() == Some(symbol.as_bytes()))
            .map(|record| record.payload.as_deref().unwrap())
            .collect();
        let id = |line: &&[u8]| -> (String, u64) {
            let json: serde_json::Value = serde_json::from_slice(line).unwrap();
            (symbol.to_owned(), json["trade_id"].as_u64().unwrap())
        };
        let own: Vec<(String, u64)> = lines.iter().map(id).collect();
        assert!(own.is_sorted_by(|a, b| a < b), "{symbol} is doubled or out of order");
        assert!(lines.iter().map(|line| decode(line).unwrap().time).is_sorted(), "{symbol} is out of order");
        ids.extend(own);
    }
    assert_eq!(ids.len(), records.len());

    let producing = Producing::start(&broker.address, &topic.name, &arguments);
    let before = topic.count();
    until("records again", || topic.count() > before + 100);
    broker.service("down");
    producing.says("Kafka is unreachable, records wait");
    producing.signal("INT");
    let said = producing.fails();
    assert!(said.ends_with("records were not acknowledged by Kafka"), "{said}");
}

#[test]
fn without_a_broker_it_waits_and_a_stop_ends_it() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let producing = Producing::start(&address, "any", &["--feed", "sim"]);
    producing.says("Kafka is unreachable, records wait");
    producing.signal("TERM");
    let said = producing.succeeds();
    assert!(said.contains("stopped before a broker was reached, no record was sent"), "{said}");
}
