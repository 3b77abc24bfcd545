//! The producer against a real broker: what it writes is read by another client.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![allow(clippy::print_stderr, reason = "what is skipped is said")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tallow_connectors::logs::kafka::{Deliveries, KafkaConfig, KafkaProducer, ProducerRecord};
use tallow_model::error::{Action, chain};
use tallow_model::secret::Secret;
use tallow_testing::services::{kafka, unique};
use tallow_testing::topic::Topic;
use tallow_testing::wait::LIMIT;

fn config(brokers: &str, options: &[&str]) -> KafkaConfig {
    KafkaConfig {
        bootstrap_servers: brokers.to_owned(),
        topic: "unused".to_owned(),
        alerts_topic: "unused".to_owned(),
        dead_letters_topic: "unused".to_owned(),
        partitions: 3,
        replication_factor: 1,
        group: "unused".to_owned(),
        options: options.iter().map(|option| Secret::from((*option).to_owned())).collect(),
    }
}

fn producer(brokers: &str, options: &[&str]) -> KafkaProducer {
    KafkaProducer::open(&config(brokers, options), "tallow-tests").unwrap()
}

fn record<'a>(topic: &'a str, key: Option<&'a [u8]>, payload: &'a [u8]) -> ProducerRecord<'a> {
    ProducerRecord { topic, partition: None, key, payload: Some(payload), headers: &[], timestamp_ms: None }
}

#[test]
fn keys_land_in_the_partitions_of_the_java_client() {
    let Some(brokers) = kafka() else { return };
    // What Java's `Utils.murmur2` gives for these bytes, as its own tests have it.
    let hashes: [(&str, i32); 6] = [
        ("21", -973_932_308),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ("abc", 479_470_107),
    ];
    let topic = Topic::make(&brokers, unique("murmur"), 7, &[]);
    let producer = producer(&brokers, &[]);
    for (key, _) in hashes {
        producer.send(&record(&topic.name, Some(key.as_bytes()), b"x"), LIMIT).unwrap();
    }
    producer.flush(LIMIT).unwrap();
    let read: BTreeMap<Vec<u8>, i32> =
        topic.read().into_iter().map(|read| (read.key.unwrap(), read.partition)).collect();
    for (key, hash) in hashes {
        assert_eq!(read[key.as_bytes()], (hash & 0x7fff_ffff) % 7, "{key}");
    }
}

#[test]
fn a_record_arrives_as_it_was_given() {
    let Some(brokers) = kafka() else { return };
    let topic = Topic::make(&brokers, unique("given"), 3, &[]);
    let producer = producer(&brokers, &[]);
    let headers: [(&str, &[u8]); 2] = [("reason", b"too late"), ("detail", b"\xff\x00")];
    let given = ProducerRecord {
        topic: &topic.name,
        partition: Some(2),
        key: Some(b"BTC"),
        payload: Some(b"\x00 not JSON \xff"),
        headers: &headers,
        timestamp_ms: Some(1_763_271_031_120),
    };
    producer.send(&given, LIMIT).unwrap();
    producer.send(&ProducerRecord { payload: None, headers: &[], ..given }, LIMIT).unwrap();
    producer.flush(LIMIT).unwrap();
    let read = topic.read();
    assert_eq!(read.len(), 2);
    assert_eq!((read[0].partition, read[0].timestamp), (2, 1_763_271_031_120));
    assert_eq!((read[0].key.as_deref(), read[0].payload.as_deref()), (given.key, given.payload));
    let expected: Vec<(String, Vec<u8>)> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect();
    assert_eq!(read[0].headers, expected);
    assert_eq!((read[1].payload.as_deref(), read[1].headers.len()), (None, 0));
}

#[test]
fn everything_arrives_once_and_in_order_and_is_counted() {
    const RECORDS: u64 = 50_000;
    let Some(brokers) = kafka() else { return };
    let topic = Topic::make(&brokers, unique("order"), 3, &[]);
    let producer = producer(&brokers, &[]);
    let keys = ["BTC", "ETH", "SOL", "XRP", "ADA"];
    for n in 0..RECORDS {
        let key = keys[n as usize % keys.len()];
        producer.send(&record(&topic.name, Some(key.as_bytes()), n.to_string().as_bytes()), LIMIT).unwrap();
    }
    producer.flush(LIMIT).unwrap();
    let all = Deliveries { queued: RECORDS, acknowledged: RECORDS, failed: 0 };
    assert_eq!((producer.counts(), producer.problem()), (all, None));

    let mut by_key: BTreeMap<Vec<u8>, Vec<u64>> = BTreeMap::new();
    for read in topic.read() {
        let number = String::from_utf8(read.payload.unwrap()).unwrap().parse().unwrap();
        by_key.entry(read.key.unwrap()).or_default().push(number);
    }
    for (index, key) in keys.iter().enumerate() {
        let expected: Vec<u64> = (index as u64..RECORDS).step_by(keys.len()).collect();
        assert!(by_key[key.as_bytes()] == expected, "{key} is not in order");
    }
}

#[test]
fn records_are_compressed_on_their_way() {
    let Some(brokers) = kafka() else { return };
    // Uncompressed, the payload alone is more than a batch of this topic may have.
    let topic = Topic::make(&brokers, unique("small"), 1, &[("max.message.bytes", "4096")]);
    let payload = "all the same ".repeat(2_000);
    let compressing = producer(&brokers, &[]);
    compressing.send(&record(&topic.name, None, payload.as_bytes()), LIMIT).unwrap();
    compressing.flush(LIMIT).unwrap();
    assert_eq!(topic.read()[0].payload.as_deref(), Some(payload.as_bytes()));
}

#[test]
fn a_refusal_is_counted_by_its_reason_and_told_once_and_the_rest_goes_on() {
    let Some(brokers) = kafka() else { return };
    let topic = Topic::make(&brokers, unique("refusal"), 1, &[("max.message.bytes", "4096")]);
    let producer = producer(&brokers, &["compression.type=none"]);
    producer.send(&record(&topic.name, None, &[b'x'; 10_000]), LIMIT).unwrap();
    let error = producer.flush(LIMIT).unwrap_err();
    assert_eq!(error.action(), Action::Stop);
    let told = chain(&error).replace(&topic.name, "TOPIC");
    assert!(told.starts_with("sink kafka: a record was refused by topic TOPIC: "), "{told}");
    assert!(told.contains("too large"), "{told}");

    producer.send(&record(&topic.name, None, b"small"), LIMIT).unwrap();
    producer.flush(LIMIT).unwrap();
    assert_eq!(producer.counts(), Deliveries { queued: 2, acknowledged: 1, failed: 1 });
    let failures = producer.failures();
    assert!(failures.len() == 1 && failures[0].0.contains("too large") && failures[0].1 == 1, "{failures:?}");
    assert_eq!(topic.count(), 1);
}

#[test]
fn a_record_larger_than_any_may_be_is_to_be_skipped_and_does_not_count() {
    let Some(brokers) = kafka() else { return };
    let producer = producer(&brokers, &[]);
    let error = producer.send(&record("any", None, &vec![0; 2_000_000]), LIMIT).unwrap_err();
    assert_eq!(error.action(), Action::Skip);
    assert_eq!(chain(&error), "a record for topic any is damaged: 2000000 bytes are more than one may have");
    assert_eq!(producer.counts(), Deliveries::default());
}

#[test]
fn a_topic_is_known_by_its_partitions_or_said_to_be_missing() {
    let Some(brokers) = kafka() else { return };
    let topic = Topic::make(&brokers, unique("known"), 5, &[]);
    let producer = producer(&brokers, &[]);
    assert_eq!(producer.partitions(&topic.name, LIMIT).unwrap(), 5);
    let missing = unique("missing");
    let error = producer.partitions(&missing, LIMIT).unwrap_err();
    assert_eq!(error.action(), Action::Stop);
    assert_eq!(chain(&error), format!("topic {missing} does not exist at {brokers}"));
}

#[test]
fn without_a_broker_records_wait_and_the_reason_is_told() {
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let brokers = listener.local_addr().unwrap().to_string();
    drop(listener);
    let producer = producer(&brokers, &["queue.buffering.max.messages=10"]);
    let record = record("any", Some(b"BTC"), b"x");
    for _ in 0..10 {
        producer.send(&record, Duration::ZERO).unwrap();
    }
    let started = Instant::now();
    let full = producer.send(&record, Duration::from_millis(50)).unwrap_err();
    assert!(started.elapsed() >= Duration::from_millis(50));
    assert_eq!(full.action(), Action::Retry);
    assert!(chain(&full).starts_with(&format!("queue a record for topic any at {brokers}: ")), "{full}");
    let late = producer.flush(Duration::from_millis(50)).unwrap_err();
    assert_eq!(late.action(), Action::Retry);
    assert!(chain(&late).starts_with(&format!("flush 10 records to {brokers}: ")), "{late}");
    let deadline = Instant::now() + LIMIT;
    let problem = loop {
        if let Some(problem) = producer.problem() {
            break problem;
        }
        assert!(Instant::now() < deadline, "no problem is told");
        std::thread::sleep(Duration::from_millis(10));
    };
    assert!(problem.contains("Connection refused"), "{problem}");
    assert_eq!(producer.counts(), Deliveries { queued: 10, acknowledged: 0, failed: 0 });
}

#[test]
fn properties_that_contradict_each_other_are_refused_and_the_promises_can_not_be_given_up() {
    for (option, expected) in [
        ("max.in.flight=6", "kafka.options: Client creation error: "),
        ("acks=1", "kafka.options: acks is Tallow's own and can't be set"),
    ] {
        let error = KafkaProducer::open(&config("localhost:1", &[option]), "tallow-tests").unwrap_err();
        assert_eq!(error.action(), Action::Stop);
        assert!(chain(&error).starts_with(expected), "{error}");
    }
}
