//! The promises of the log, tested from the outside: writer and reader together, on real files.

use super::segments::{partition_folder, segment_path};
use super::{FileLog, FileLogConfig, FileLogReader, FileLogWriter};
use std::fs::OpenOptions;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tallow_model::error::{Action, chain};
use tallow_model::{PartitionReader, ReadStatus};
use tempfile::TempDir;

/// A record: its offset and its text.
pub(super) type Line = (u64, String);

/// Returns the settings of a log of small segments in a folder of its own, removed when the test
/// ends.
pub(super) fn config() -> (TempDir, FileLogConfig) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = FileLogConfig::new(folder.path().join("log"));
    config.segment_bytes = 64;
    (folder, config)
}

pub(super) fn open(config: &FileLogConfig) -> FileLogWriter {
    FileLogWriter::open(config).expect("an open log")
}

fn refusal(config: &FileLogConfig) -> String {
    match FileLogWriter::open(config) {
        Ok(_) => panic!("the log was opened"),
        Err(error) => chain(&error),
    }
}

fn segment(config: &FileLogConfig, partition: u32, base: u64) -> PathBuf {
    segment_path(&partition_folder(&config.folder, partition), base)
}

/// Reads until the reader has caught up.
pub(super) fn read(reader: &mut FileLogReader) -> Vec<Line> {
    let mut lines = Vec::new();
    loop {
        let status = reader.read(3, &mut |record| {
            let text = String::from_utf8(record.payload.expect("a line").to_vec()).expect("text");
            lines.push((record.offset, text));
        });
        match status {
            ReadStatus::More => {}
            ReadStatus::CaughtUp => return lines,
            other => panic!("the reader says {other:?}"),
        }
    }
}

pub(super) fn read_from(log: &FileLog, partition: u32, offset: u64) -> Vec<Line> {
    read(&mut log.reader(partition, offset).expect("a reader"))
}

fn line(offset: u64, text: &str) -> Line {
    (offset, text.to_owned())
}

#[test]
fn a_line_is_visible_once_it_is_flushed() {
    let (_folder, config) = config();
    let mut writer = open(&config);
    let mut reader = writer.log().reader(1, 0).expect("a reader");
    assert_eq!(writer.append(1, b"{a}").expect("taken"), 0);
    assert_eq!(writer.append(1, b"{bb}").expect("taken"), 4);
    assert_eq!(read(&mut reader), []);
    writer.flush().expect("written");
    assert_eq!(read(&mut reader), [line(0, "{a}"), line(4, "{bb}")]);
    assert_eq!(read(&mut reader), []);
    assert_eq!(writer.log().end_offset(1).expect("an end"), 9);
    assert_eq!(read_from(&writer.log(), 0, 0), []);
}

#[test]
fn a_restart_goes_on_at_the_same_offset_and_segment() {
    let (_folder, config) = config();
    let mut writer = open(&config);
    writer.append(0, b"{a}").expect("taken");
    writer.close().expect("closed");
    let mut writer = open(&config);
    assert_eq!(writer.append(0, b"{b}").expect("taken"), 4);
    drop(writer);
    let writer = open(&config);
    assert_eq!(read_from(&writer.log(), 0, 0), [line(0, "{a}"), line(4, "{b}")]);
    assert_eq!(read_from(&writer.log(), 0, 4), [line(4, "{b}")]);
    assert_eq!(read_from(&writer.log(), 0, 8), []);
    assert_eq!(std::fs::read(segment(&config, 0, 0)).expect("the segment"), b"{a}\n{b}\n");
}

#[test]
fn a_torn_last_line_is_cut_off_on_start() {
    let (_folder, config) = config();
    let mut writer = open(&config);
    writer.append(0, b"{a}").expect("taken");
    writer.close().expect("closed");
    let path = segment(&config, 0, 0);
    std::fs::write(&path, b"{a}\n{\"half\":").expect("torn");
    assert_eq!(read_from(&FileLog::open(&config.folder).expect("a log"), 0, 0), [line(0, "{a}")]);
    let mut writer = open(&config);
    assert_eq!(std::fs::read(&path).expect("the segment"), b"{a}\n");
    writer.append(0, b"{b}").expect("taken");
    writer.flush().expect("written");
    assert_eq!(read_from(&writer.log(), 0, 0), [line(0, "{a}"), line(4, "{b}")]);
}

#[test]
fn a_full_segment_is_followed_by_one_named_by_its_offset() {
    let (_folder, config) = config();
    let mut writer = open(&config);
    let mut reader = writer.log().reader(2, 0).expect("a reader");
    let mut expected = Vec::new();
    for i in 0..40 {
        let text = format!("{{\"line\":{i:04}}}");
        expected.push((writer.append(2, text.as_bytes()).expect("taken"), text));
        writer.flush().expect("written");
    }
    // Four lines of 14 bytes fit into 64.
    assert!(segment(&config, 2, 56).is_file() && segment(&config, 2, 504).is_file());
    assert_eq!(read(&mut reader), expected);
    assert_eq!(read_from(&writer.log(), 2, 56), expected[4..]);
    assert_eq!(read_from(&FileLog::open(&config.folder).expect("a log"), 2, 70), expected[5..]);
    // One flush goes into one segment, however large it is.
    for _ in 0..40 {
        writer.append(2, b"{more}").expect("taken");
    }
    writer.flush().expect("written");
    assert_eq!(read(&mut reader).len(), 40);
    assert_eq!(std::fs::metadata(segment(&config, 2, 560)).expect("a segment").len(), 280);
}

#[test]
fn the_newest_lines_come_first_across_segments() {
    let (_folder, config) = config();
    let mut writer = open(&config);
    assert_eq!(writer.log().last_line(0).expect("readable"), None);
    for i in 0..30 {
        writer.append(0, format!("{{\"line\":{i}}}").as_bytes()).expect("taken");
        writer.flush().expect("written");
    }
    writer.append(0, b"{not flushed}").expect("taken");
    let log = writer.log();
    assert_eq!(log.last_line(0).expect("readable").as_deref(), Some(&b"{\"line\":29}"[..]));
    let mut newest = Vec::new();
    log.newest_first(0, &mut |line| {
        newest.push(String::from_utf8_lossy(line).into_owned());
        if newest.len() == 20 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .expect("readable");
    assert!(newest.iter().eq((10..30).rev().map(|i| format!("{{\"line\":{i}}}")).collect::<Vec<_>>().iter()));
}

#[test]
fn readers_follow_a_writer_and_never_see_half_a_line() {
    const LINES: usize = 3_000;
    let (_folder, mut config) = config();
    config.segment_bytes = 4_096;
    let mut writer = open(&config);
    let inside = writer.log().reader(0, 0).expect("a reader");
    let outside = FileLog::open(&config.folder).expect("a log").reader(0, 0).expect("a reader");
    std::thread::scope(|scope| {
        for mut reader in [inside, outside] {
            scope.spawn(move || {
                let deadline = Instant::now() + Duration::from_secs(60);
                let mut lines = Vec::new();
                while lines.len() < LINES {
                    assert!(Instant::now() < deadline, "only {} lines came in time", lines.len());
                    lines.extend(read(&mut reader));
                }
                for (i, (_, text)) in lines.iter().enumerate() {
                    assert_eq!(*text, format!("{{\"line\":{i}}}"));
                }
            });
        }
        for i in 0..LINES {
            writer.append(0, format!("{{\"line\":{i}}}").as_bytes()).expect("taken");
            if i % 7 == 0 {
                writer.flush().expect("written");
            }
        }
        writer.flush().expect("written");
    });
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_loses_nothing() {
    let (_folder, config) = config();
    open(&config).close().expect("closed");
    let path = segment(&config, 0, 0);
    std::fs::remove_file(&path).expect("removed");
    std::os::unix::fs::symlink("/dev/full", &path).expect("a segment on a full disk");
    let mut writer = open(&config);
    let mut reader = writer.log().reader(0, 0).expect("a reader");
    writer.append(0, b"{a}").expect("taken");
    writer.append(1, b"{other}").expect("taken");
    for _ in 0..2 {
        let error = writer.flush().expect_err("the disk is full");
        assert_eq!(error.action(), Action::Retry);
        assert_eq!(
            chain(&error),
            format!("append to {}: No space left on device (os error 28)", path.display())
        );
        assert_eq!((read(&mut reader), writer.buffered_bytes()), (vec![], 4));
    }
    assert_eq!(read_from(&writer.log(), 1, 0), [line(0, "{other}")], "the other partition is not held up");
    writer.append(0, b"{b}").expect("taken");
    std::fs::remove_file(&path).expect("there is room again");
    writer.flush().expect("written");
    assert_eq!(read_from(&writer.log(), 0, 0), [line(0, "{a}"), line(4, "{b}")]);
}

#[test]
fn what_a_failed_write_left_behind_is_overwritten() {
    let (_folder, config) = config();
    let mut writer = open(&config);
    writer.append(0, b"{a}").expect("taken");
    writer.flush().expect("written");
    writer.append(0, b"{b}").expect("taken");
    // As if half of a write had come through and nothing more since.
    writer.let_go_of_segments();
    let mut file = OpenOptions::new().append(true).open(segment(&config, 0, 0)).expect("the segment");
    file.write_all(b"{b}\n{lost").expect("written");
    writer.flush().expect("written");
    assert_eq!(std::fs::read(segment(&config, 0, 0)).expect("the segment"), b"{a}\n{b}\n");
}

#[test]
fn a_second_writer_is_refused_until_the_first_is_gone() {
    let (_folder, config) = config();
    let first = open(&config);
    let folder = config.folder.display();
    assert_eq!(refusal(&config), format!("open log {folder}: another process is writing it"));
    first.close().expect("closed");
    open(&config);
}

#[test]
fn what_is_not_a_log_of_this_shape_is_refused() {
    let (folder, config) = config();
    open(&config).close().expect("closed");
    let shown = config.folder.display();
    let four = FileLogConfig { partitions: 4, ..config.clone() };
    assert_eq!(
        refusal(&four),
        format!("open log {shown} with 4 partitions: it has 3, which can't be changed")
    );
    let manifest = config.folder.join("log.json");
    std::fs::write(&manifest, r#"{"format":2,"partitions":3}"#).expect("written");
    assert_eq!(refusal(&config), format!("open log {shown}: it has format 2, this version reads format 1"));
    std::fs::write(&manifest, "{").expect("written");
    assert!(refusal(&config).starts_with(&format!("{} is damaged: EOF", manifest.display())));
    std::fs::remove_file(&manifest).expect("removed");
    assert_eq!(refusal(&config), format!("log {shown} is damaged: it has partitions and no log.json"));

    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("written");
    let refused = refusal(&FileLogConfig::new(&file));
    assert_eq!(refused, format!("create folder {}: File exists (os error 17)", file.display()));
    let error = FileLog::open(folder.path()).expect_err("no log");
    assert_eq!(
        error.to_string(),
        format!("open log {}: there is no log.json in it", folder.path().display())
    );
}

#[test]
fn a_missing_or_torn_older_segment_is_damage() {
    let (_folder, config) = config();
    let mut writer = open(&config);
    for _ in 0..10 {
        writer.append(0, &[b'x'; 39]).expect("taken");
        writer.flush().expect("written");
    }
    writer.close().expect("closed");
    let (first, second) = (segment(&config, 0, 0), segment(&config, 0, 40));
    std::fs::write(&first, [b'x'; 40]).expect("written");
    assert_eq!(
        refusal(&config),
        format!("{} is damaged: its last line is torn, and it is not the newest segment", first.display())
    );
    std::fs::remove_file(&first).expect("removed");
    assert!(refusal(&config).ends_with("a segment starts at offset 40, the one before ends at 0"));
    std::fs::remove_file(&second).expect("removed");
    assert!(refusal(&config).contains("is damaged"));
}

#[test]
fn what_is_no_record_or_offset_is_refused() {
    let (_folder, config) = config();
    let mut writer = open(&config);
    let mut refused = |partition, line: &[u8]| {
        let error = writer.append(partition, line).expect_err("refused");
        assert_eq!(error.action(), Action::Stop);
        error.to_string()
    };
    assert!(refused(0, b"{a}\n{b}").ends_with("it has a line break in it"));
    assert!(refused(0, b"  ").ends_with("it is blank"));
    assert!(refused(0, &vec![b'x'; crate::logs::file::MAX_LINE + 1]).ends_with("it is longer than 1 MiB"));
    assert!(refused(3, b"{a}").starts_with("use partition 3 of log "));
    writer.append(0, b"{a}").expect("taken");
    writer.flush().expect("written");
    let log = writer.log();
    let refused = |offset| log.reader(0, offset).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(refused(5).ends_with("from offset 5: it ends at 4"));
}
