//! Files as a feed: byte for byte, in order, merged by time.

use crate::process::Producing;
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;
use tallow_testing::services::{kafka, unique};
use tallow_testing::topic::Topic;

fn file(folder: &tempfile::TempDir, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The key and the value of each record of a topic of one partition.
fn records(topic: &Topic) -> Vec<(Option<String>, Vec<u8>)> {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    topic.read().into_iter().map(|read| (read.key.map(text), read.payload.unwrap())).collect()
}

#[test]
fn lines_pass_byte_for_byte_and_what_is_no_tick_goes_without_a_key() {
    let Some(brokers) = kafka() else { return };
    let topic = Topic::make(&brokers, unique("bytes"), 1, &[]);
    let folder = tempfile::tempdir().unwrap();
    let lines: [(&[u8], Option<&str>); 6] = [
        (
            br#"  {"timestamp": 1000 ,"symbol":"btc","price":1.50,"unknown":[1, {"a":"\u0041"}]}  "#,
            Some("BTC"),
        ),
        (b"no tick at all", None),
        (b"\xff\xfe\x00 not text", None),
        (br#"{"symbol":"ETH","price_usd":-1,"timestamp":1000}"#, None),
        (br#"{"symbol":"ETH","price_usd":1e0,"timestamp":"1970-01-01T00:00:00.5Z"}"#, Some("ETH")),
        (br#"{"symbol":"BTC","price_usd":2,"timestamp":3000}"#, Some("BTC")),
    ];
    let content = lines.map(|(line, _)| line).join(&b"\n"[..]);
    let expected: Vec<(Option<String>, Vec<u8>)> =
        lines.iter().map(|(line, key)| (key.map(str::to_owned), line.to_vec())).collect();
    let mut total = 0;
    for (name, content) in [
        ("ticks.jsonl", content.clone()),
        ("ticks.jsonl.gz", gzip(&content)),
        ("ticks.jsonl.zst", zstd::encode_all(&content[..], 0).unwrap()),
    ] {
        let path = file(&folder, name, &content);
        let arguments = ["--feed", "file", "--speed", "max", "--from", path.to_str().unwrap()];
        let said = Producing::start(&brokers, &topic.name, &arguments).succeeds();
        assert!(said.contains("acknowledged=6"), "{said}");
        assert_eq!(records(&topic)[total..], expected, "{name}");
        total += lines.len();
    }
}

#[test]
fn several_files_are_merged_by_time_and_each_keeps_its_order() {
    let Some(brokers) = kafka() else { return };
    let topic = Topic::make(&brokers, unique("merge"), 1, &[]);
    let folder = tempfile::tempdir().unwrap();
    let tick = |symbol: &str, time| format!(r#"{{"symbol":"{symbol}","price_usd":1,"timestamp":{time}}}"#);
    let one = [tick("A", 1_000), tick("A", 4_000), tick("A", 2_000), tick("A", 9_000)];
    let other = [tick("B", 2_000), "?".to_owned(), tick("B", 3_000), tick("B", 5_000)];
    let one_file = file(&folder, "one", one.join("\n").as_bytes());
    let other_file = file(&folder, "other", &gzip(other.join("\n").as_bytes()));
    let files = [one_file.to_str().unwrap(), other_file.to_str().unwrap()];
    let arguments = ["--feed", "file", "--speed", "max", "--from", files[0], files[1]];
    Producing::start(&brokers, &topic.name, &arguments).succeeds();
    let sent: Vec<String> =
        records(&topic).into_iter().map(|(_, line)| String::from_utf8(line).unwrap()).collect();
    let [a1, a4, a2, a9] = one;
    let [b2, bad, b3, b5] = other;
    assert_eq!(sent, [a1, b2, bad, b3, a4, a2, b5, a9]);
}

#[test]
fn standard_input_is_sent_as_it_comes() {
    let Some(brokers) = kafka() else { return };
    let topic = Topic::make(&brokers, unique("stdin"), 1, &[]);
    let arguments = ["--feed", "file", "--from", "-"];
    let mut producing = Producing::start_with(&brokers, &topic.name, &arguments, &[], Stdio::piped());
    let mut input = producing.input();
    let lines: Vec<String> =
        (0..3).map(|n| format!(r#"{{"symbol":"BTC","price_usd":{},"timestamp":1000}}"#, n + 1)).collect();
    for (sent, line) in lines.iter().enumerate() {
        writeln!(input, "{line}").unwrap();
        crate::process::until("the line", || topic.count() == sent as i64 + 1);
    }
    drop(input);
    producing.succeeds();
    let sent: Vec<Vec<u8>> = records(&topic).into_iter().map(|(_, line)| line).collect();
    assert_eq!(sent, lines.iter().map(|line| line.as_bytes().to_vec()).collect::<Vec<_>>());
}

#[test]
fn a_recording_is_replayed_at_the_speed_that_is_asked_for() {
    let Some(brokers) = kafka() else { return };
    let topic = Topic::make(&brokers, unique("speed"), 1, &[]);
    let folder = tempfile::tempdir().unwrap();
    let lines: Vec<String> = (0..11)
        .map(|n| format!(r#"{{"symbol":"BTC","price_usd":1,"timestamp":{}}}"#, 1_000 + n * 6_000))
        .collect();
    let path = file(&folder, "ticks.jsonl", lines.join("\n").as_bytes());
    let arguments = ["--feed", "file", "--speed", "60", "--from", path.to_str().unwrap()];
    Producing::start(&brokers, &topic.name, &arguments).succeeds();
    let read = topic.read();
    let gaps: Vec<i64> = read.windows(2).map(|pair| pair[1].timestamp - pair[0].timestamp).collect();
    // A minute of event time in a second; a busy machine may be late, never early.
    assert!(read[10].timestamp - read[0].timestamp >= 990, "{gaps:?}");
}

#[test]
fn a_file_that_breaks_off_is_said_after_what_stands_before_that_was_sent() {
    let Some(brokers) = kafka() else { return };
    let topic = Topic::make(&brokers, unique("cut"), 1, &[]);
    let folder = tempfile::tempdir().unwrap();
    let line = "{\"symbol\":\"BTC\",\"price_usd\":1,\"timestamp\":1000}\n";
    let whole = gzip(line.repeat(10).as_bytes());
    let path = file(&folder, "cut.gz", &whole[..whole.len() - 4]);
    let arguments = ["--feed", "file", "--speed", "max", "--from", path.to_str().unwrap()];
    let said = Producing::start(&brokers, &topic.name, &arguments).fails();
    assert!(said.starts_with(&format!("tallow: read {}: gzip stream ends early", path.display())), "{said}");
    assert_eq!(topic.count(), 10);
}

#[test]
fn a_line_larger_than_a_record_may_be_is_left_out_and_said() {
    let Some(brokers) = kafka() else { return };
    let topic = Topic::make(&brokers, unique("large"), 1, &[]);
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "large", format!("{}\nsmall\n", "x".repeat(1_040_000)).as_bytes());
    let arguments = ["--feed", "file", "--speed", "max", "--from", path.to_str().unwrap()];
    let (status, said) = Producing::start(&brokers, &topic.name, &arguments).ended();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("1040000 bytes are more than one may have"), "{said}");
    assert!(said.ends_with("tallow: 1 of 2 records were not acknowledged by Kafka\n"), "{said}");
    assert_eq!(records(&topic), [(None, b"small".to_vec())]);
}
