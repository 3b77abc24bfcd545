//! A broker of the test's own that goes away and comes back.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use tallow_connectors::logs::kafka::{KafkaAlerts, KafkaLog};
use tallow_model::error::Action;
use tallow_model::store::Sink;
use tallow_model::{AlertStatus, ReadStatus};
use tallow_testing::kafka_log::{All, Writer, config, read};
use tallow_testing::samples::{MIDNIGHT, alert, settled_alert, step};
use tallow_testing::services;
use tallow_testing::topic::Topic;
use tallow_testing::wait::until;

/// A broker that is stopped when dropped.
pub(crate) struct OwnBroker(tempfile::TempDir);

impl OwnBroker {
    pub(crate) fn start() -> OwnBroker {
        let broker = OwnBroker(tempfile::tempdir().unwrap());
        broker.run(&["up", "kafka"]);
        broker
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/services");
        let output = Command::new(script)
            .args(arguments)
            .env("TALLOW_SERVICES", self.0.path())
            .env("TALLOW_NO_DOCKER", "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn address(&self) -> String {
        self.listener("kafka")
    }

    /// The address at which the broker asks for a login.
    pub(crate) fn address_with_login(&self) -> String {
        self.listener("kafka-sasl")
    }

    fn listener(&self, name: &str) -> String {
        let port = std::fs::read_to_string(self.0.path().join(name).with_extension("port")).unwrap();
        format!("127.0.0.1:{}", port.trim())
    }
}

impl OwnBroker {
    /// Kills the broker; `up` starts it again.
    pub(crate) fn kill(&self) {
        let pid = std::fs::read_to_string(self.0.path().join("kafka.pid")).unwrap();
        assert!(Command::new("kill").args(["-KILL", pid.trim()]).status().unwrap().success());
    }
}

impl Drop for OwnBroker {
    fn drop(&mut self) {
        self.run(&["down", "kafka"]);
    }
}

#[test]
fn an_outage_is_no_silence_and_nothing_is_lost_or_repeated_over_it() {
    if services::kafka().is_none() {
        return;
    }
    let broker = OwnBroker::start();
    let config = config(&broker.address(), "ticks");
    let topics = [(&config.topic, 2), (&config.alerts_topic, 1)]
        .map(|(name, partitions)| Topic::make(&config.bootstrap_servers, name.clone(), partitions, &[]));
    let writer = Writer::new(&config, &[("enable.idempotence", "true"), ("reconnect.backoff.max.ms", "500")]);
    writer.write_many(2, 100, "before");
    let log = KafkaLog::open(&config).unwrap();
    let second = KafkaLog::open(&config).unwrap();
    let mut readers = log.worker(0, 1, &BTreeMap::new()).unwrap().readers;
    let mut alerts = KafkaAlerts::open(&config, 0..1, 0..0).unwrap();
    let mut all = All::new();
    let mut caught_up = |all: &mut All| {
        let mut statuses = readers.iter_mut().map(|reader| read(reader, 1_000, all));
        statuses.all(|status| matches!(status, ReadStatus::CaughtUp))
    };
    until("the end", || caught_up(&mut all).then_some(()));
    assert_eq!(log.status().problem, None);

    broker.run(&["down", "kafka"]);
    // A question that was under way may end first, in other words.
    until("the problem", || {
        let problem = log.status().problem?;
        (problem.contains(&config.bootstrap_servers) && problem.contains("Connection refused")).then_some(())
    });
    until("the readers to be pending", || (!caught_up(&mut all)).then_some(()));
    // A stop does not wait for the broker, which stays down.
    drop(second.worker(0, 1, &BTreeMap::new()).unwrap());
    drop(second);
    // Each attempt to write alerts ends while the broker is down, and none is queued twice.
    let steps = [step(vec![], vec![settled_alert(alert("BTC", MIDNIGHT, 5.0), AlertStatus::Raised, 0)])];
    for _ in 0..2 {
        assert_eq!(alerts.write(&steps).unwrap_err().action(), Action::Retry);
    }
    assert!(!caught_up(&mut all), "still pending");
    assert_eq!(alerts.stored_through(), None);

    broker.run(&["up", "kafka"]);
    until("the alert to be written", || alerts.write(&steps).is_ok().then_some(()));
    writer.write_many(2, 100, "after");
    until("all records", || {
        caught_up(&mut all);
        all.values().all(|records| records.offsets.len() >= 200).then_some(())
    });
    until("the end", || caught_up(&mut all).then_some(()));
    until("no problem", || log.status().problem.is_none().then_some(()));
    for records in all.values() {
        assert_eq!(records.offsets, (0..200).collect::<Vec<u64>>());
        assert_eq!(records.failure, None);
    }
    assert_eq!(topics[1].read().len(), 1);
}
