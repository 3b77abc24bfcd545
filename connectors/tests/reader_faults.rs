//! Readers against librdkafka's mock cluster, which fails on demand: what passes by itself loses
//! and repeats nothing, and what does not ends the reading with its reason.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey as Api, RDKafkaRespErr as Fault};
use std::collections::BTreeMap;
use std::time::Duration;
use tallow_connectors::logs::kafka::{Bound, KafkaConfig, KafkaDeadLetters, KafkaLog, KafkaRange};
use tallow_testing::kafka_log::{Records, Writer, config, read_all};

const RECORDS: i64 = 500;

type Cluster = MockCluster<'static, DefaultProducerContext>;

/// A topic with a partition of so many records.
fn cluster() -> (Cluster, KafkaConfig) {
    let cluster = MockCluster::new(1).unwrap();
    let config = config(&cluster.bootstrap_servers(), "ticks");
    for topic in [&config.topic, &config.dead_letters_topic] {
        cluster.create_topic(topic, 1, 1).unwrap();
    }
    Writer::new(&config, &[]).write_many(1, RECORDS, "record");
    (cluster, config)
}

fn read_live(config: &KafkaConfig) -> Records {
    let log = KafkaLog::open(config).unwrap();
    let mut readers = log.worker(0, 1, &BTreeMap::new()).unwrap().readers;
    read_all(&mut readers).remove(&0).unwrap()
}

fn read_range(config: &KafkaConfig) -> Records {
    let range = KafkaRange::resolve(config, &config.topic, Bound::Beginning, Bound::End).unwrap();
    read_all(&mut range.worker(0, 1).unwrap()).remove(&0).unwrap()
}

#[test]
fn what_passes_by_itself_loses_and_repeats_nothing() {
    let (cluster, config) = cluster();
    for read in [read_live, read_range] {
        cluster.request_errors(
            Api::Fetch,
            &[
                Fault::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                Fault::RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE,
                Fault::RD_KAFKA_RESP_ERR__TRANSPORT,
                Fault::RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
            ],
        );
        let records = read(&config);
        assert_eq!(records.failure, None);
        assert_eq!(records.offsets, (0..RECORDS as u64).collect::<Vec<_>>());
    }
}

#[test]
fn a_refusal_and_damage_end_the_reading_and_are_told() {
    for (fault, told) in [
        (Fault::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, "authorization"),
        (Fault::RD_KAFKA_RESP_ERR_INVALID_MSG, "damaged"),
    ] {
        let (cluster, config) = cluster();
        // As often as anyone may ask again.
        cluster.request_errors(Api::Fetch, &[fault; 20]);
        let failure = read_live(&config).failure.unwrap();
        assert!(failure.starts_with("read partition 0 of topic ticks at "), "{failure}");
        assert!(failure.to_lowercase().contains(told), "{failure}");
        cluster.clear_request_errors(Api::Fetch);
        assert_eq!(read_live(&config).failure, None, "nothing of it is left");
    }
}

#[test]
fn a_range_that_may_not_be_read_or_is_damaged_fails() {
    for fault in [Fault::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, Fault::RD_KAFKA_RESP_ERR_INVALID_MSG] {
        let (cluster, config) = cluster();
        cluster.request_errors(Api::Fetch, &[fault; 20]);
        let records = read_range(&config);
        assert!(records.failure.is_some(), "{fault:?}");
        assert_eq!(records.offsets, [0; 0]);
    }
}

#[test]
fn a_group_that_may_not_be_read_keeps_nobody_from_reading_back() {
    let (cluster, config) = cluster();
    // So that the refusal is there before the end of the topic.
    cluster.broker_round_trip_time(1, Duration::from_millis(200)).unwrap();
    cluster.request_errors(Api::FindCoordinator, &[Fault::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED; 100]);
    KafkaDeadLetters::open(&config, 0..1).unwrap();
}
