//! The sink of alerts, and sinks without a topic.

use tallow_connectors::logs::kafka::{KafkaAlerts, KafkaConfig, KafkaDeadLetters};
use tallow_model::error::Action;
use tallow_model::rows::AlertMessage;
use tallow_model::store::Sink;
use tallow_model::{AlertStatus, EventTime, Step};
use tallow_testing::kafka_log::{Writer, config};
use tallow_testing::samples::{MIDNIGHT, MINUTE, alert, frontier, settled_alert, step};
use tallow_testing::services;
use tallow_testing::topic::{Read, Topic};

/// The topics of alerts and dead letters, and the settings that lead to them.
pub(crate) fn topics(what: &str, partitions: i32) -> Option<([Topic; 2], KafkaConfig)> {
    let brokers = services::kafka()?;
    let config = config(&brokers, &services::unique(what));
    let make = |name: &String| Topic::make(&brokers, name.clone(), partitions, &[]);
    Some(([make(&config.alerts_topic), make(&config.dead_letters_topic)], config))
}

/// An alert of each symbol in the minute, raised.
fn raised(minute: u64) -> Step {
    let raised = |name| settled_alert(alert(name, MIDNIGHT + minute * MINUTE, 5.0), AlertStatus::Raised, 0);
    step(Vec::new(), ["BTC", "ETH", "SOL"].map(raised).to_vec())
}

pub(crate) fn messages(topic: &Topic) -> Vec<AlertMessage> {
    let message = |read: Read| serde_json::from_slice(&read.payload.unwrap()).unwrap();
    topic.read().into_iter().map(message).collect()
}

#[test]
fn alerts_are_the_contracts_json_keyed_by_symbol() {
    let Some(([topic, _], config)) = topics("alerts", 1) else { return };
    let mut sink = KafkaAlerts::open(&config, 0..1, 0..0).unwrap();
    assert_eq!((sink.name(), sink.stored_through()), ("kafka-alerts", None));
    let step = raised(0);
    sink.write(std::slice::from_ref(&step)).unwrap();
    assert_eq!(sink.stored_through(), step.frontier);
    let read = topic.read();
    assert_eq!(
        read.iter().map(|it| it.key.as_deref().unwrap()).collect::<Vec<_>>(),
        [b"BTC", b"ETH", b"SOL"]
    );
    let json: serde_json::Value = serde_json::from_slice(read[0].payload.as_ref().unwrap()).unwrap();
    assert_eq!(json["alert_id"], format!("BTC:1m:{MIDNIGHT}:zscore"));
    assert_eq!((&json["status"], &json["alert_type"]), (&"raised".into(), &"PRICE_SPIKE".into()));
    assert_eq!(json["timestamp"], "2025-11-16T00:01:00Z");
    assert_eq!(json["settled_at"], "2025-11-16T00:01:00Z");
}

#[test]
fn a_restart_that_replays_the_log_repeats_no_alert_and_adds_what_is_new() {
    let Some(([topic, _], config)) = topics("replayed", 2) else { return };
    let steps: Vec<Step> = (0..20).map(raised).collect();
    let mut retracted = raised(3);
    for settled in &mut retracted.alerts {
        settled.status = AlertStatus::Retracted;
        settled.settled_at = EventTime(settled.settled_at.millis() + 30_000);
    }
    let mut sink = KafkaAlerts::open(&config, 0..1, 0..0).unwrap();
    sink.write(&steps[..12]).unwrap();
    sink.write(std::slice::from_ref(&retracted)).unwrap();
    sink.write(std::slice::from_ref(&retracted)).unwrap();
    drop(sink);
    assert_eq!(topic.read().len(), 39);

    let mut sink = KafkaAlerts::open(&config, 0..1, 0..0).unwrap();
    sink.write(&steps[..4]).unwrap();
    sink.write(&[retracted]).unwrap();
    sink.write(&steps[4..]).unwrap();
    assert_eq!(topic.read().len(), 63);
    let mut versions: Vec<_> =
        messages(&topic).into_iter().map(|it| (it.alert_id, it.settled_at, it.status)).collect();
    let in_order = versions.clone();
    versions.sort();
    versions.dedup();
    assert_eq!(versions.len(), 63, "nothing is there twice");
    let id = format!("BTC:1m:{}:zscore", MIDNIGHT + 3 * MINUTE);
    let of_one = in_order.iter().filter(|it| it.0 == id);
    assert_eq!(of_one.map(|it| it.2).collect::<Vec<_>>(), [AlertStatus::Raised, AlertStatus::Retracted]);
}

#[test]
fn what_others_have_written_into_the_topic_of_alerts_does_no_harm() {
    let Some(([topic, _], mut config)) = topics("foreign", 1) else { return };
    config.topic.clone_from(&config.alerts_topic);
    let writer = Writer::new(&config, &[]);
    for payload in [None, Some(""), Some("no JSON"), Some(r#"{"alert_id":"BTC:1m:0:zscore"}"#)] {
        writer.write(0, payload, 0);
    }
    writer.flush();
    KafkaAlerts::open(&config, 0..1, 0..0).unwrap().write(&[raised(0)]).unwrap();
    assert_eq!(topic.read().len(), 7);
}

#[test]
fn progress_is_that_of_the_slowest_worker() {
    let Some(([topic, _], config)) = topics("progress", 1) else { return };
    let mut sink = KafkaAlerts::open(&config, 0..2, 0..0).unwrap();
    sink.write(&[frontier(0, Some(5_000))]).unwrap();
    assert_eq!(sink.stored_through(), None);
    sink.write(&[frontier(1, Some(3_000))]).unwrap();
    assert_eq!(sink.stored_through(), Some(EventTime(3_000)));
    assert_eq!(topic.read().len(), 0);
}

#[test]
fn without_a_topic_there_is_no_sink() {
    let Some(brokers) = services::kafka() else { return };
    let config = config(&brokers, "test_missing");
    for (error, name) in [
        (KafkaAlerts::open(&config, 0..1, 0..0).unwrap_err(), "test_missing_alerts"),
        (KafkaDeadLetters::open(&config, 0..1).unwrap_err(), "test_missing_dead_letters"),
    ] {
        assert_eq!(error.action(), Action::Stop);
        assert!(error.to_string().starts_with(&format!("topic {name} at ")), "{error}");
    }
}
