//! The live log.

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::Producer;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::Instant;
use tallow_connectors::logs::kafka::{KafkaConfig, KafkaLog, Reader};
use tallow_model::error::Action;
use tallow_model::{EventTime, ReadStatus};
use tallow_testing::kafka_log::{All, START_MS, Writer, config, read, read_all, topic};
use tallow_testing::services;
use tallow_testing::wait::{LIMIT, until};

/// The readers of the one worker, each from its offset.
fn readers(log: &KafkaLog, starts: &[(u32, u64)]) -> Vec<Reader> {
    log.worker(0, 1, &starts.iter().copied().collect()).unwrap().readers
}

#[test]
fn records_of_any_codec_with_and_without_value_are_read_in_order_with_their_time() {
    let Some((_topic, config)) = topic("codecs", 2) else { return };
    let codecs = ["none", "gzip", "snappy", "lz4", "zstd"];
    for codec in codecs {
        Writer::new(&config, &[("compression.type", codec), ("linger.ms", "50")]).write_many(2, 40, codec);
    }
    let writer = Writer::new(&config, &[]);
    writer.write(1, None, START_MS);
    writer.write(1, Some(""), START_MS);
    writer.flush();

    let log = KafkaLog::open(&config).unwrap();
    assert_eq!(log.ends(), [200, 202]);
    let read = read_all(&mut readers(&log, &[]));
    let mut payloads: Vec<Option<String>> = Vec::new();
    for codec in codecs {
        payloads.extend((0..40).map(|i| Some(format!("{codec} {i}"))));
    }
    assert_eq!(read[&0].payloads, payloads);
    payloads.extend([None, Some(String::new())]);
    assert_eq!(read[&1].payloads, payloads);
    assert_eq!(read[&1].offsets, (0..202).collect::<Vec<u64>>());
    assert_eq!(read[&0].times[39], Some(EventTime(START_MS as u64 + 39_000)));
}

#[test]
fn each_worker_reads_its_partitions_from_the_offsets_that_it_is_given() {
    let Some((_topic, config)) = topic("starts", 5) else { return };
    Writer::new(&config, &[]).write_many(5, 10, "record");
    let log = KafkaLog::open(&config).unwrap();
    let starts = BTreeMap::from([(1, 4), (3, 10), (4, 9)]);
    let mut offsets = BTreeMap::new();
    for index in 0..2 {
        let mut worker = log.worker(index, 2, &starts).unwrap();
        let read = read_all(&mut worker.readers);
        assert!(read.keys().all(|partition| *partition as usize % 2 == index));
        offsets.extend(read.into_iter().map(|(partition, records)| (partition, records.offsets)));
    }
    let from = |start| (start..10).collect::<Vec<u64>>();
    assert_eq!(
        offsets,
        BTreeMap::from([(0, from(0)), (1, from(4)), (2, from(0)), (3, from(10)), (4, from(9))])
    );
    assert_eq!(log.status().problem, None);
    assert!(log.status().partitions.iter().all(|lag| (lag.position, lag.end, lag.pending()) == (10, 10, 0)));
}

#[test]
fn what_is_written_later_is_read_and_the_lag_says_how_much_waits() {
    let Some((_topic, config)) = topic("later", 1) else { return };
    let log = KafkaLog::open(&config).unwrap();
    let mut readers = readers(&log, &[]);
    assert_eq!(read_all(&mut readers)[&0].offsets, [0u64; 0]);
    Writer::new(&config, &[]).write_many(1, 500, "later");
    until("the lag", || (log.status().partitions[0].pending() == 500).then_some(()));
    let mut all = All::new();
    until("the records", || {
        read(&mut readers[0], 7, &mut all);
        (all[&0].offsets.len() == 500).then_some(())
    });
    until("the end", || matches!(read(&mut readers[0], 7, &mut all), ReadStatus::CaughtUp).then_some(()));
    assert_eq!(all[&0].offsets, (0..500).collect::<Vec<u64>>());
    assert_eq!(log.status().partitions[0].pending(), 0);
}

#[test]
fn a_partition_that_ends_with_markers_of_transactions_is_caught_up() {
    let Some((_topic, config)) = topic("transactions", 1) else { return };
    let writer = Writer::new(&config, &[("transactional.id", &config.topic)]);
    writer.producer.init_transactions(LIMIT).unwrap();
    for (name, keep) in [("kept", true), ("aborted", false), ("kept too", true), ("aborted too", false)] {
        writer.producer.begin_transaction().unwrap();
        writer.write_many(1, 3, name);
        if keep {
            writer.producer.commit_transaction(LIMIT).unwrap();
        } else {
            writer.producer.abort_transaction(LIMIT).unwrap();
        }
    }
    let log = KafkaLog::open(&config).unwrap();
    let mut readers = readers(&log, &[]);
    let read = read_all(&mut readers);
    assert_eq!(read[&0].offsets, [0, 1, 2, 8, 9, 10]);
    assert_eq!(log.ends(), [16]);
    assert_eq!(log.status().partitions[0].pending(), 0, "markers do not wait to be read");
}

#[test]
fn partitions_that_the_topic_gets_later_arrive_at_their_worker() {
    let Some((topic, config)) = topic("growing", 1) else { return };
    Writer::new(&config, &[]).write_many(1, 5, "old");
    let log = KafkaLog::open(&config).unwrap();
    let mut workers: Vec<_> = (0..2).map(|index| log.worker(index, 2, &BTreeMap::new()).unwrap()).collect();
    assert_eq!(read_all(&mut workers[0].readers)[&0].offsets.len(), 5);
    topic.grow(4);
    Writer::new(&config, &[]).write_many(4, 5, "new");
    let mut all = All::new();
    for (index, partitions) in [(0, vec![2]), (1, vec![1, 3])] {
        for expected in partitions {
            let reader = workers[index].arrivals.recv_timeout(LIMIT).unwrap();
            assert_eq!(reader.partition(), expected);
            all.extend(read_all(&mut [reader]));
        }
    }
    assert!(all.values().all(|records| records.offsets == [0, 1, 2, 3, 4]), "{all:?}");
    // And the one that was there is read on.
    let mut old = All::new();
    until("the records after", || {
        read(&mut workers[0].readers[0], 100, &mut old);
        (old[&0].offsets == [5, 6, 7, 8, 9]).then_some(())
    });
    drop(log);
    let ended = workers[0].arrivals.recv_timeout(LIMIT);
    assert!(ended.is_err(), "without the log nothing more arrives");
}

#[test]
fn records_that_retention_has_deleted_are_a_failure_that_says_what_is_lost() {
    let Some((topic, config)) = topic("retention", 1) else { return };
    Writer::new(&config, &[]).write_many(1, 20, "record");
    topic.delete_records(0, 12);
    let log = KafkaLog::open(&config).unwrap();
    let failure = read_all(&mut readers(&log, &[(0, 5)]))[&0].failure.clone().unwrap();
    let expected =
        "from offset 5: the brokers have deleted the records before offset 12, so 7 or less are lost";
    assert!(failure.contains(expected) && failure.contains(&config.topic), "{failure}");
    let failure = read_all(&mut readers(&log, &[(0, 21)]))[&0].failure.clone().unwrap();
    assert!(failure.contains("the partition ends at 20"), "{failure}");
    // From the beginning there is what is left.
    assert_eq!(read_all(&mut readers(&log, &[]))[&0].offsets, (12..20).collect::<Vec<u64>>());
}

#[test]
fn a_topic_that_is_deleted_fails_its_readers() {
    let Some((topic, config)) = topic("deleted", 1) else { return };
    let log = KafkaLog::open(&config).unwrap();
    let mut readers = readers(&log, &[]);
    read_all(&mut readers);
    drop(topic);
    let mut all = All::new();
    let failure = until("the failure", || {
        read(&mut readers[0], 100, &mut all);
        all[&0].failure.clone()
    });
    assert!(failure.contains("it does not exist any more"), "{failure}");
    assert!(matches!(read(&mut readers[0], 100, &mut all), ReadStatus::Finished));
}

#[test]
fn a_topic_that_is_missing_and_brokers_that_are_away_are_said_at_the_start() {
    let Some(brokers) = services::kafka() else { return };
    let missing = KafkaLog::open(&config(&brokers, "test_missing")).err().unwrap();
    assert_eq!(
        missing.to_string(),
        format!(
            "topic test_missing at {brokers} does not exist: `tallow migrate` makes the topics of the settings"
        )
    );
    assert_eq!(missing.action(), Action::Stop);
    let started = Instant::now();
    let away = KafkaLog::open(&config("127.0.0.1:1", "ticks")).err().unwrap().to_string();
    assert!(away.contains("127.0.0.1:1") && away.contains("Connection refused"), "{away}");
    let seconds = started.elapsed().as_secs();
    assert!((14..20).contains(&seconds), "{seconds} s");
}

/// The offset that the group has committed.
fn committed(config: &KafkaConfig, partition: i32) -> Option<u64> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &config.bootstrap_servers)
        .set("group.id", &config.group)
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition(&config.topic, partition);
    match consumer.committed_offsets(list, LIMIT).unwrap().elements()[0].offset() {
        Offset::Offset(offset) => Some(offset as u64),
        _ => None,
    }
}

#[test]
fn how_far_is_read_is_committed_while_it_runs_and_at_the_end() {
    let Some((_topic, config)) = topic("commits", 2) else { return };
    let writer = Writer::new(&config, &[]);
    writer.write_many(2, 10, "first");
    let log = KafkaLog::open(&config).unwrap();
    let mut readers = readers(&log, &[]);
    read_all(&mut readers);
    until("a commit", || (committed(&config, 1) == Some(10)).then_some(()));
    writer.write_many(2, 3, "second");
    let mut all = All::new();
    until("the rest", || {
        readers.iter_mut().for_each(|reader| drop(read(reader, 100, &mut all)));
        all.values().all(|records| records.offsets.len() == 3).then_some(())
    });
    drop(readers);
    drop(log);
    assert_eq!([committed(&config, 0), committed(&config, 1)], [Some(13), Some(13)]);
}
