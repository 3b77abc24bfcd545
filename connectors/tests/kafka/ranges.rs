//! Ranges of a topic.

use rdkafka::producer::Producer;
use std::sync::atomic::{AtomicBool, Ordering};
use tallow_connectors::logs::kafka::{Bound, KafkaConfig, KafkaRange};
use tallow_model::EventTime;
use tallow_model::error::Action;
use tallow_testing::kafka_log::{START_MS, Writer, read_all, topic};
use tallow_testing::wait::LIMIT;

fn resolve(config: &KafkaConfig, start: Bound, end: Bound) -> KafkaRange {
    KafkaRange::resolve(config, &config.topic, start, end).unwrap()
}

/// The offsets that two workers read of a range, by partition.
fn offsets(range: &KafkaRange) -> Vec<Vec<u64>> {
    let mut offsets = vec![Vec::new(); range.partitions()];
    for index in 0..2 {
        for (partition, records) in read_all(&mut range.worker(index, 2).unwrap()) {
            assert_eq!(records.failure, None);
            assert_eq!(partition as usize % 2, index);
            offsets[partition as usize] = records.offsets;
        }
    }
    offsets
}

fn time(second: i64) -> Bound {
    Bound::Time(EventTime((START_MS + second * 1_000) as u64))
}

#[test]
fn bounds_are_places_times_or_offsets() {
    let Some((topic, config)) = topic("bounds", 3) else { return };
    // Records 0, 1, … of partitions 0 and 1, a second apart; partition 2 stays empty.
    Writer::new(&config, &[]).write_many(2, 100, "record");
    let (begin, end, offset) = (Bound::Beginning, Bound::End, Bound::Offset);
    for (from, to, start, stop) in [
        (begin, end, 0, 100),
        (time(10), time(20), 10, 20),
        (begin, time(-5), 0, 0),
        (time(-5), time(3), 0, 3),
        (time(99), end, 99, 100),
        (time(1_000), end, 100, 100),
        (time(50), time(1_000), 50, 100),
        (offset(95), end, 95, 100),
        (offset(95), offset(1_000), 95, 100),
        (offset(200), end, 100, 100),
        (time(90), offset(50), 50, 50),
    ] {
        // An offset that holds for every partition lies past the end of the empty one.
        let range = resolve(&config, from, to);
        let expected: Vec<u64> = (start..stop).collect();
        assert_eq!(range.records(), 2 * expected.len() as u64, "{from:?} to {to:?}");
        assert_eq!(offsets(&range), [expected.clone(), expected, vec![]], "{from:?} to {to:?}");
    }
    topic.delete_records(1, 30);
    let refused = KafkaRange::resolve(&config, &config.topic, offset(20), end).unwrap_err();
    assert_eq!(refused.action(), Action::Stop);
    assert!(refused.to_string().contains("from offset 20: it begins at 30"), "{refused}");
    assert_eq!(resolve(&config, begin, end).records(), 170);
    let missing = KafkaRange::resolve(&config, "test_missing", begin, end).unwrap_err().to_string();
    assert!(missing.starts_with("topic test_missing at ") && missing.contains("does not exist"), "{missing}");
}

#[test]
fn a_range_ends_where_the_topic_did_while_more_is_written() {
    let Some((_topic, config)) = topic("busy", 2) else { return };
    Writer::new(&config, &[]).write_many(2, 2_000, "before");
    let range = resolve(&config, Bound::Beginning, Bound::End);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let writer = Writer::new(&config, &[]);
            while !stop.load(Ordering::Relaxed) {
                writer.write_many(2, 10, "meanwhile");
            }
        });
        let read = offsets(&range);
        stop.store(true, Ordering::Relaxed);
        let expected: Vec<u64> = (0..2_000).collect();
        assert_eq!(read, [expected.clone(), expected]);
    });
    assert!(resolve(&config, Bound::Beginning, Bound::End).records() > range.records());
}

#[test]
fn a_range_that_ends_with_markers_or_gaps_ends() {
    let Some((_topic, config)) = topic("markers", 1) else { return };
    let writer = Writer::new(&config, &[("transactional.id", &config.topic)]);
    writer.producer.init_transactions(LIMIT).unwrap();
    for keep in [true, false] {
        writer.producer.begin_transaction().unwrap();
        writer.write_many(1, 4, "record");
        if keep {
            writer.producer.commit_transaction(LIMIT).unwrap();
        } else {
            writer.producer.abort_transaction(LIMIT).unwrap();
        }
    }
    // Four records, a marker, four that were taken back, a marker.
    for (end, expected) in [
        (Bound::End, 4),
        (Bound::Offset(5), 4),
        (Bound::Offset(9), 4),
        (Bound::Offset(4), 4),
        (Bound::Offset(3), 3),
    ] {
        let range = resolve(&config, Bound::Beginning, end);
        assert_eq!(offsets(&range), [(0..expected).collect::<Vec<u64>>()], "{end:?}");
    }
}
