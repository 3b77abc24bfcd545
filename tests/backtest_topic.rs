//! `tallow backtest --topic`: the same as of files, and exactly the range that was asked for.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![allow(clippy::print_stderr, reason = "what is skipped is said")]

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tallow_connectors::feeds::simulator::{Disorder, DisorderSettings, Simulator, SimulatorSettings};
use tallow_testing::program::{backtest, buckets, fail, file, succeed, summary, tallow, text};
use tallow_testing::services::{kafka, unique};
use tallow_testing::topic::Topic;
use tallow_testing::wait::LIMIT;

/// When the simulated market opens: 2025-11-16T05:30:00Z.
const START_MS: u64 = 1_763_271_000_000;

/// An hour of a simulated market in three partitions: the time at which each line was written, and
/// the line.
fn market() -> Vec<Vec<(u64, Vec<u8>)>> {
    let market = SimulatorSettings { seed: 7, jumps_per_hour: 4.0, ..SimulatorSettings::default() };
    let disorder = DisorderSettings {
        seed: 7,
        out_of_order_share: 0.05,
        late_share: 0.01,
        late_delay_ms: 12_000..=1_200_000,
        ..DisorderSettings::default()
    };
    let market = Simulator::open(&market, START_MS).unwrap();
    let mut feed = Disorder::try_new(disorder, market).unwrap();
    let mut arrivals = Vec::new();
    feed.arrivals_until(START_MS + 60 * 60_000, &mut arrivals);
    let mut partitions = vec![Vec::new(); 3];
    for (i, arrival) in arrivals.iter().enumerate() {
        let mut line = Vec::new();
        arrival.tick.to_json_line(arrival.at_ms, &mut line);
        // By trade and not by symbol, so that symbols are spread over partitions.
        partitions[i % 3].push((arrival.at_ms, line));
        if i % 500 == 0 {
            partitions[i % 3].push((arrival.at_ms, b"nonsense".to_vec()));
        }
    }
    partitions
}

fn producer(brokers: &str) -> BaseProducer {
    ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("compression.type", "zstd")
        .set("linger.ms", "20")
        .create()
        .unwrap()
}

fn write(producer: &BaseProducer, topic: &str, partition: usize, time_ms: u64, line: &[u8]) {
    let mut record: BaseRecord<'_, [u8], [u8]> =
        BaseRecord::to(topic).partition(partition as i32).payload(line).timestamp(time_ms as i64);
    while let Err((_, back)) = producer.send(record) {
        producer.poll(Duration::from_millis(10));
        record = back;
    }
}

fn of_topic(brokers: &str, topic: &str, out: &Path) -> Command {
    let mut command = tallow();
    command.args(["backtest", "--topic", topic, "--bootstrap", brokers, "--out"]).arg(out);
    command
}

#[test]
fn a_topic_gives_byte_for_byte_what_its_partitions_give_as_files() {
    let Some(brokers) = kafka() else { return };
    let topic = Topic::make(&brokers, unique("backtest"), 3, &[]);
    let folder = tempfile::tempdir().unwrap();
    let partitions = market();
    let files: Vec<_> = partitions
        .iter()
        .enumerate()
        .map(|(i, records)| {
            let lines: Vec<u8> =
                records.iter().flat_map(|(_, line)| line.iter().chain(b"\n")).copied().collect();
            file(folder.path(), &format!("{i}.jsonl"), &lines)
        })
        .collect();
    let expected = folder.path().join("files");
    succeed(&mut backtest(&files, &expected));
    assert!(text(&expected, "alerts.csv").lines().count() > 3, "alerts are not put to the test");

    let writer = producer(&brokers);
    for (partition, records) in partitions.iter().enumerate() {
        records.iter().for_each(|(at_ms, line)| write(&writer, &topic.name, partition, *at_ms, line));
    }
    writer.flush(LIMIT).unwrap();
    let same = |name: &str, flags: &[&str]| {
        let out = folder.path().join(name);
        succeed(of_topic(&brokers, &topic.name, &out).args(flags));
        for result in ["candles.csv", "alerts.csv"] {
            assert!(text(&out, result) == text(&expected, result), "{result} differs with {flags:?}");
        }
        assert_eq!(buckets(&out), buckets(&expected), "{flags:?}");
        assert_eq!(
            text(&out, "rejects.jsonl").lines().count(),
            text(&expected, "rejects.jsonl").lines().count()
        );
    };
    same("topic", &[]);
    same("topic again", &["--workers", "2", "--start", "2025-11-16T05:00:00Z", "--batch-records", "37"]);

    // What is written meanwhile and after is not part of a range that has an end.
    let records: usize = partitions.iter().map(Vec::len).sum();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for (_, line) in &partitions[0][..100] {
                    write(&writer, &topic.name, 0, START_MS + 24 * 3_600_000, line);
                }
                writer.flush(LIMIT).unwrap();
            }
        });
        same("topic while written", &["--end", "2025-11-17T00:00:00Z"]);
        stop.store(true, Ordering::Relaxed);
    });
    assert!(topic.count() as usize > records);

    let out = folder.path().join("part");
    succeed(of_topic(&brokers, &topic.name, &out).args(["--start", "offset:100", "--end", "offset:150"]));
    assert_eq!(summary(&out)["records_in"], 150);
    let out = folder.path().join("nothing");
    succeed(of_topic(&brokers, &topic.name, &out).args(["--start", "2030-01-01T00:00:00Z"]));
    assert_eq!(summary(&out)["records_in"], 0);
}

#[test]
fn a_range_that_cannot_be_is_said_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let refused = |flags: &[&str]| {
        let mut command = tallow();
        fail(command.arg("backtest").args(flags).arg("--out").arg(&out), 2)
    };
    assert!(refused(&[]).contains("--from"));
    assert!(refused(&["--from", "a", "--topic", "b"]).contains("cannot be used with"));
    assert!(refused(&["--from", "a", "--start", "beginning"]).contains("cannot be used with"));
    assert!(refused(&["--topic", "t", "--start", "yesterday"]).contains("offset:N"));
    for reversed in
        [["--start", "offset:5", "--end", "offset:5"], ["--start", "end", "--end", "2030-01-01T00:00:00Z"]]
    {
        let problem = refused(&[&["--topic", "t"][..], &reversed].concat());
        assert_eq!(problem, "read a range of a topic: its start is not before its end");
    }
    let Some(brokers) = kafka() else { return };
    let mut command = of_topic(&brokers, "test_missing", &out);
    assert!(fail(&mut command, 1).starts_with(&format!("topic test_missing at {brokers} does not exist")));
    assert!(!out.exists());
}
