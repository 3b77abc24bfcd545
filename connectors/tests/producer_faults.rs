//! The producer against librdkafka's mock cluster, which fails on demand: what passes by itself
//! changes nothing, and what does not is told.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey as Api, RDKafkaRespErr as Fault};
use std::time::{Duration, Instant};
use tallow_connectors::logs::kafka::{Deliveries, KafkaConfig, KafkaProducer, ProducerRecord};
use tallow_model::error::{Action, chain};
use tallow_testing::topic::Topic;
use tallow_testing::wait::LIMIT;

const TOPIC: &str = "ticks";

type Cluster = MockCluster<'static, DefaultProducerContext>;

fn cluster() -> (Cluster, KafkaProducer) {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, 3, 1).unwrap();
    let config = KafkaConfig {
        bootstrap_servers: cluster.bootstrap_servers(),
        topic: TOPIC.to_owned(),
        alerts_topic: "unused".to_owned(),
        dead_letters_topic: "unused".to_owned(),
        partitions: 3,
        replication_factor: 1,
        group: "unused".to_owned(),
        options: Vec::new(),
    };
    let producer = KafkaProducer::open(&config, "tallow-tests").unwrap();
    (cluster, producer)
}

/// Sends these numbers to partition 1.
fn send(producer: &KafkaProducer, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let payload = number.to_string();
        let record = ProducerRecord {
            topic: TOPIC,
            partition: Some(1),
            key: None,
            payload: Some(payload.as_bytes()),
            headers: &[],
            timestamp_ms: None,
        };
        producer.send(&record, LIMIT).unwrap();
    }
}

/// Returns the numbers in the topic.
fn read(cluster: &Cluster) -> Vec<u32> {
    let records = Topic::existing(&cluster.bootstrap_servers(), TOPIC.to_owned(), 3).read();
    let number = |payload: Vec<u8>| String::from_utf8(payload).unwrap().parse().unwrap();
    records.into_iter().map(|record| number(record.payload.unwrap())).collect()
}

#[test]
fn faults_that_pass_leave_no_gap_no_repetition_and_the_order() {
    let (cluster, producer) = cluster();
    // The last two: written, and the answer lost.
    let faults = [
        Fault::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        Fault::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        Fault::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
        Fault::RD_KAFKA_RESP_ERR__TRANSPORT,
        Fault::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    ];
    cluster.request_errors(Api::Produce, &faults);
    for start in (0..2_000).step_by(100) {
        send(&producer, start..start + 100);
        if start < 500 {
            // A request of their own.
            producer.flush(LIMIT).unwrap();
        }
    }
    producer.flush(LIMIT).unwrap();
    assert_eq!(producer.counts(), Deliveries { queued: 2_000, acknowledged: 2_000, failed: 0 });
    assert_eq!(read(&cluster), (0..2_000).collect::<Vec<u32>>());
}

#[test]
fn a_broker_that_comes_back_gets_what_has_waited_and_the_problem_is_over() {
    let (cluster, producer) = cluster();
    send(&producer, 0..10);
    producer.flush(LIMIT).unwrap();
    assert_eq!(producer.problem(), None);
    cluster.broker_down(1).unwrap();
    send(&producer, 10..500);
    assert_eq!(producer.flush(Duration::from_millis(20)).unwrap_err().action(), Action::Retry);
    let deadline = Instant::now() + LIMIT;
    while producer.problem().is_none() {
        assert!(Instant::now() < deadline, "no problem is told");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(producer.counts(), Deliveries { queued: 500, acknowledged: 10, failed: 0 });
    cluster.broker_up(1).unwrap();
    producer.flush(LIMIT).unwrap();
    assert_eq!(producer.problem(), None);
    assert_eq!(read(&cluster), (0..500).collect::<Vec<u32>>());
}

#[test]
fn a_fatal_error_is_told_as_one_to_stop_for_and_again_each_time() {
    let (cluster, producer) = cluster();
    let refused = [Fault::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED; 20];
    cluster.request_errors(Api::InitProducerId, &refused);
    send(&producer, 0..5);
    for _ in 0..2 {
        let error = producer.flush(LIMIT).unwrap_err();
        assert_eq!(error.action(), Action::Stop);
        let told = chain(&error);
        assert!(
            told.starts_with(&format!("sink kafka: {} can't go on: ", cluster.bootstrap_servers())),
            "{told}"
        );
    }
    assert!(!producer.is_usable());
    let record = ProducerRecord {
        topic: TOPIC,
        partition: None,
        key: None,
        payload: Some(b"x"),
        headers: &[],
        timestamp_ms: None,
    };
    assert_eq!(producer.send(&record, LIMIT).unwrap_err().action(), Action::Stop);
    assert_eq!(producer.counts().acknowledged, 0);
}

#[test]
fn a_topic_that_is_gone_fails_its_records_and_says_so() {
    let (cluster, producer) = cluster();
    cluster.topic_error(TOPIC, Fault::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED).unwrap();
    send(&producer, 0..3);
    let error = producer.flush(LIMIT).unwrap_err();
    assert_eq!(error.action(), Action::Stop);
    assert!(
        chain(&error).starts_with("sink kafka: a record was refused by topic ticks: "),
        "{}",
        chain(&error)
    );
    let deadline = Instant::now() + LIMIT;
    while producer.counts().waiting() > 0 {
        assert!(Instant::now() < deadline, "{:?}", producer.counts());
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(producer.failures().iter().map(|(_, count)| count).sum::<u64>(), 3);
}
