//! A broker that asks for a login: SASL PLAIN without TLS, which a build without OpenSSL can do.

use crate::absence::OwnBroker;
use std::collections::BTreeMap;
use std::time::Duration;
use tallow_connectors::logs::kafka::{
    KafkaAlerts, KafkaConfig, KafkaDeadLetters, KafkaLog, KafkaProducer, ProducerRecord, ensure_topics,
};
use tallow_model::error::{Action, Error, chain};
use tallow_model::store::Sink;
use tallow_model::{AlertStatus, Reject, RejectReason};
use tallow_testing::kafka_log::{config, read_all};
use tallow_testing::samples::{MIDNIGHT, alert, settled_alert, step};
use tallow_testing::services;
use tallow_testing::topic::Topic;
use tallow_testing::wait::LIMIT;

/// The time limit of one request of a producer.
const ATTEMPT: Duration = Duration::from_secs(2);

/// Settings with the user of the broker's listener, and a password.
fn login(broker: &OwnBroker, password: &str) -> KafkaConfig {
    let options = ["security.protocol=SASL_PLAINTEXT", "sasl.mechanism=PLAIN", "sasl.username=tallow"];
    let password = format!("sasl.password={password}");
    let options = options.map(str::to_owned).into_iter().chain([password]).map(Into::into);
    KafkaConfig { options: options.collect(), ..config(&broker.address_with_login(), "logged_in") }
}

#[test]
fn a_login_that_is_accepted_reads_and_writes_and_one_that_is_refused_stops() {
    // Where the services are, they can be started.
    if services::kafka().is_none() {
        return;
    }
    let broker = OwnBroker::start();
    let config = login(&broker, "in-the-clear");
    config.check().unwrap();
    assert!(ensure_topics(&config).unwrap().iter().all(|topic| topic.made));

    let producer = KafkaProducer::open(&config, "test").unwrap();
    assert_eq!(producer.partitions(&config.topic, LIMIT).unwrap(), 3);
    let payload = Some(&b"a tick"[..]);
    let record = ProducerRecord {
        topic: &config.topic,
        partition: Some(1),
        key: None,
        payload,
        headers: &[],
        timestamp_ms: None,
    };
    producer.send(&record, LIMIT).unwrap();
    producer.flush(LIMIT).unwrap();
    let log = KafkaLog::open(&config).unwrap();
    let mut readers = log.worker(0, 1, &BTreeMap::new()).unwrap().readers;
    assert_eq!(read_all(&mut readers)[&1].payloads, [Some("a tick".to_owned())]);

    let raised = settled_alert(alert("BTC", MIDNIGHT, 5.0), AlertStatus::Raised, 0);
    KafkaAlerts::open(&config, 0..1, 0..0).unwrap().write(&[step(vec![], vec![raised])]).unwrap();
    let (reason, detail, raw) = (RejectReason::Malformed, "not a tick".to_owned(), b"{".to_vec());
    let reject = Reject { partition: 0, offset: 7, log_time: None, reason, detail, raw };
    KafkaDeadLetters::open(&config, 0..1).unwrap().write_rejects(&[reject]).unwrap();
    for topic in [&config.alerts_topic, &config.dead_letters_topic] {
        assert_eq!(Topic::existing(&broker.address(), topic.clone(), 1).read().len(), 1, "{topic}");
    }

    let wrong = login(&broker, "hunter2");
    type Attempt = fn(&KafkaConfig) -> Result<(), Error>;
    let attempts: [(&str, Attempt); 5] = [
        ("topics", |config| ensure_topics(config).map(drop)),
        ("log", |config| KafkaLog::open(config).map(drop)),
        ("alerts", |config| KafkaAlerts::open(config, 0..1, 0..0).map(drop)),
        ("dead letters", |config| KafkaDeadLetters::open(config, 0..1).map(drop)),
        ("producer", |config| {
            KafkaProducer::open(config, "test")?.partitions(&config.topic, ATTEMPT).map(drop)
        }),
    ];
    for (what, attempt) in attempts {
        let refused = attempt(&wrong).unwrap_err();
        assert_eq!(refused.action(), Action::Stop, "{what}: {refused:?}");
        let told = chain(&refused);
        assert!(told.contains(&wrong.bootstrap_servers), "{what}: {told}");
        assert!(told.contains("Authentication failed"), "{what}: {told}");
        assert!(!told.contains("hunter2"), "{what}: {told}");
    }
}
