//! The sink of dead letters.

use crate::sinks::topics;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer};
use std::collections::BTreeMap;
use tallow_connectors::logs::kafka::{KafkaConfig, KafkaDeadLetters, KafkaLog, MAX_RAW_BYTES};
use tallow_model::store::Sink;
use tallow_model::{EventTime, Reject, RejectReason};
use tallow_testing::kafka_log::{START_MS, Writer, read_all};
use tallow_testing::samples::frontier;
use tallow_testing::topic::{Read, Topic};
use tallow_testing::wait::until;

fn reject(partition: u32, offset: u64, raw: &[u8]) -> Reject {
    let detail = format!("price_usd of {offset} is missing");
    let log_time = Some(EventTime(1_000 + offset));
    Reject { partition, offset, log_time, reason: RejectReason::Malformed, detail, raw: raw.to_vec() }
}

fn header<'a>(letter: &'a Read, name: &str) -> Option<&'a str> {
    let header = letter.headers.iter().find(|(key, _)| key == name);
    header.map(|(_, value)| std::str::from_utf8(value).unwrap())
}

/// Topic, partition, offset and bytes of each dead letter.
fn letters(topic: &Topic) -> Vec<String> {
    let text = |letter: &Read| {
        let [topic, partition, offset] =
            ["topic", "partition", "offset"].map(|it| header(letter, it).unwrap_or("?"));
        let raw = String::from_utf8_lossy(letter.payload.as_ref().unwrap());
        format!("{topic} {partition} {offset} {raw}")
    };
    let mut letters: Vec<String> = topic.read().iter().map(text).collect();
    letters.sort();
    letters
}

#[test]
fn dead_letters_are_the_bytes_with_headers_and_a_restart_repeats_none() {
    let Some(([_, topic], config)) = topics("dead", 2) else { return };
    let mut sink = KafkaDeadLetters::open(&config, 0..1).unwrap();
    assert_eq!(sink.name(), "kafka-dead-letters");
    let long = vec![b'x'; MAX_RAW_BYTES + 200_000];
    let rejects = [reject(0, 7, b"\xff{oops"), reject(1, 3, b""), reject(0, 9, &long)];
    sink.write_rejects(&rejects).unwrap();
    sink.write_rejects(&rejects[..1]).unwrap();
    drop(sink);
    let read = topic.read();
    assert_eq!(read.len(), 3);
    let first = read.iter().find(|it| it.payload.as_deref() == Some(b"\xff{oops")).unwrap();
    let text = |value: &str| value.as_bytes().to_vec();
    assert_eq!(
        first.headers,
        [
            ("reason".to_owned(), text("malformed")),
            ("topic".to_owned(), text(&config.topic)),
            ("partition".to_owned(), text("0")),
            ("offset".to_owned(), text("7")),
            ("detail".to_owned(), text("price_usd of 7 is missing")),
            ("timestamp".to_owned(), text("1007")),
        ]
    );
    let cut = read.iter().find(|it| it.payload.as_ref().unwrap().len() == MAX_RAW_BYTES).unwrap();
    assert_eq!(header(cut, "length"), Some(&*long.len().to_string()));

    let mut sink = KafkaDeadLetters::open(&config, 0..1).unwrap();
    sink.write(&[frontier(0, Some(5_000))]).unwrap();
    assert_eq!(sink.stored_through(), Some(EventTime(5_000)));
    sink.write_rejects(&rejects).unwrap();
    sink.write_rejects(&[reject(0, 11, b"c")]).unwrap();
    let read = topic.read();
    let places = read.iter().map(|it| (header(it, "partition").unwrap(), header(it, "offset").unwrap()));
    let mut places: Vec<_> = places.collect();
    places.sort_unstable();
    assert_eq!(places, [("0", "11"), ("0", "7"), ("0", "9"), ("1", "3")]);
}

#[test]
fn dead_letters_of_two_source_topics_do_not_suppress_each_other() {
    let Some(([_, topic], config)) = topics("dead_shared", 1) else { return };
    let other = KafkaConfig { topic: "other".to_owned(), ..config.clone() };
    // The one that comes second has the lower offsets, and a record that is the same but for its
    // topic.
    let (first, second) =
        ([reject(0, 7, b"a"), reject(0, 9, b"b")], [reject(0, 3, b"c"), reject(0, 7, b"a")]);
    for _ in 0..2 {
        KafkaDeadLetters::open(&config, 0..1).unwrap().write_rejects(&first).unwrap();
        KafkaDeadLetters::open(&other, 0..1).unwrap().write_rejects(&second).unwrap();
    }
    let of = |rest: &str| format!("{} {rest}", config.topic);
    let mut expected = vec!["other 0 3 c".to_owned(), "other 0 7 a".to_owned(), of("0 7 a"), of("0 9 b")];
    expected.sort();
    assert_eq!(letters(&topic), expected);
}

#[test]
fn letters_that_do_not_say_their_topic_count_for_that_of_the_settings() {
    let Some(([_, topic], config)) = topics("dead_old", 1) else { return };
    let writer = Writer::new(&config, &[]);
    let old =
        ["reason", "partition", "offset", "detail"].into_iter().zip(["malformed", "0", "7", "not a tick"]);
    let headers = old.fold(OwnedHeaders::new(), |headers, (key, value)| {
        headers.insert(Header { key, value: Some(value) })
    });
    let letter = BaseRecord::to(&config.dead_letters_topic).key("0").payload("a").headers(headers);
    writer.producer.send(letter).map_err(|(error, _)| error).unwrap();
    writer.producer.flush(tallow_testing::wait::LIMIT).unwrap();
    let mut sink = KafkaDeadLetters::open(&config, 0..1).unwrap();
    sink.write_rejects(&[reject(0, 5, b"before"), reject(0, 7, b"a"), reject(0, 7, b"another")]).unwrap();
    let of = |rest: &str| format!("{} {rest}", config.topic);
    assert_eq!(letters(&topic), ["? 0 7 a".to_owned(), of("0 5 before"), of("0 7 another")]);
}

/// The records of the topic's first partition as they are read live, each rejected.
fn rejected(config: &KafkaConfig) -> Vec<Reject> {
    let log = KafkaLog::open(config).unwrap();
    let mut readers = log.worker(0, 1, &BTreeMap::new()).unwrap().readers;
    let records = read_all(&mut readers).remove(&0).unwrap();
    let records = records.offsets.iter().zip(records.times).zip(records.payloads);
    let reject = |((offset, log_time), payload): ((&u64, _), Option<String>)| Reject {
        log_time,
        ..reject(0, *offset, payload.unwrap().as_bytes())
    };
    records.map(reject).collect()
}

#[test]
fn a_topic_that_is_made_anew_has_dead_letters_of_its_own() {
    let Some(([_, topic], config)) = topics("dead_anew", 1) else { return };
    let fill = |records: &[(&str, i64)]| {
        let source = Topic::make(&config.bootstrap_servers, config.topic.clone(), 1, &[]);
        let writer = Writer::new(&config, &[]);
        records.iter().for_each(|(payload, time)| writer.write(0, Some(payload), START_MS + time));
        writer.flush();
        source
    };
    let first = fill(&[("a", 0), ("b", 1), ("c", 2)]);
    let rejects = rejected(&config);
    assert_eq!(rejects.len(), 3);
    KafkaDeadLetters::open(&config, 0..1).unwrap().write_rejects(&rejects).unwrap();
    let name = first.name.clone();
    drop(first);
    until("the topic to be gone", || Topic::is_gone(&config.bootstrap_servers, &name).then_some(()));

    // Shorter than the one before: one record as there but for its time, one of other bytes.
    let _second = fill(&[("a", 5), ("new", 1)]);
    let rejects = rejected(&config);
    for _ in 0..2 {
        KafkaDeadLetters::open(&config, 0..1).unwrap().write_rejects(&rejects).unwrap();
    }
    let expected = ["0 a", "0 a", "1 b", "1 new", "2 c"].map(|rest| format!("{} 0 {rest}", config.topic));
    assert_eq!(letters(&topic), expected);
}
