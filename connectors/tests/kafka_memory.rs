//! A log that is not read takes a bounded amount of memory. Alone in its process, whose memory is
//! what is measured.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tallow_connectors::logs::kafka::KafkaLog;
use tallow_model::ReadStatus;
use tallow_testing::kafka_log::{All, START_MS, Writer, read, topic};
use tallow_testing::wait::until;

const PARTITIONS: i32 = 3;
const RECORDS: u64 = 150_000;
const MIB: u64 = 1 << 20;

/// The memory of this process, in bytes.
fn memory() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[test]
fn a_log_that_is_not_read_is_not_fetched_without_bound() {
    let Some((_topic, config)) = topic("unread", PARTITIONS) else { return };
    {
        // Its own queue is small, so that no memory is left that could be used again.
        let properties =
            [("compression.type", "lz4"), ("queue.buffering.max.kbytes", "4096"), ("linger.ms", "20")];
        let writer = Writer::new(&config, &properties);
        for i in 0..RECORDS {
            // A kilobyte that compresses about as ticks do.
            let digits = |n: u64| format!("{:016x}", (64 * i + n).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let payload: String = (0..64).map(digits).collect();
            for partition in 0..PARTITIONS {
                writer.write(partition, Some(&payload), START_MS);
            }
        }
        writer.flush();
    }
    let before = memory();
    let log = KafkaLog::open(&config).unwrap();
    let mut readers = log.worker(0, 1, &BTreeMap::new()).unwrap().readers;
    let mut all = All::new();
    until("the first records", || {
        readers.iter_mut().for_each(|reader| drop(read(reader, 1, &mut all)));
        (all.values().filter(|records| !records.offsets.is_empty()).count() == 3).then_some(())
    });
    // Unread for as long as would be enough to fetch everything many times over.
    let unread = Instant::now();
    let mut most = 0;
    while unread.elapsed() < Duration::from_secs(6) {
        most = most.max(memory().saturating_sub(before));
        std::thread::sleep(Duration::from_millis(20));
    }
    let whole = RECORDS * PARTITIONS as u64 * 1_024;
    assert!(most < 160 * MIB && most < whole / 2, "{} MiB of {} MiB", most / MIB, whole / MIB);

    // And then it is read on to its end, and nothing is missing.
    let mut counts: Vec<u64> = all.values().map(|records| records.offsets.len() as u64).collect();
    until("the end", || {
        readers.iter_mut().zip(&mut counts).all(|(reader, count)| {
            let status = reader.read(10_000, &mut |record| {
                assert_eq!(record.offset, *count);
                *count += 1;
            });
            matches!(status, ReadStatus::CaughtUp)
        });
        counts.iter().all(|count| *count == RECORDS).then_some(())
    });
}
