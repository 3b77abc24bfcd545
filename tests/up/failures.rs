//! Faults of a running program: waited for where that helps, otherwise the end with a reason.

use crate::process::{ready, spawn};
use crate::reference::ticks;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tallow_model::{Symbol, Tick};
use tallow_testing::process::Tallow;
use tallow_testing::wait::until;

/// Waits until the process has ended with exit code 1, and returns the last line of its log.
fn reason(tallow: Tallow) -> String {
    let (status, said) = tallow.ended();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("ERROR") && !said.contains("panicked"), "{said}");
    said.trim_end().lines().last().unwrap().to_owned()
}

#[test]
fn a_log_that_can_not_be_written_any_more_stops_it_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        ("TALLOW__UP__BACKFILL_HOURS", "0"),
        ("TALLOW__UP__TRADES_PER_SECOND", "1000"),
        ("TALLOW__LOG__PARTITIONS", "1"),
        ("TALLOW__LOG__SEGMENT_BYTES", "1048576"),
    ];
    let tallow = ready(folder.path(), &settings);
    let log = folder.path().join("log");
    std::fs::rename(log.join("partition-0"), log.join("elsewhere")).unwrap();
    let reason = reason(tallow);
    assert!(reason.contains("append ticks to the log: open for appending"), "{reason}");
    assert!(reason.ends_with("No such file or directory (os error 2)"), "{reason}");
}

#[test]
fn a_store_that_can_not_be_written_any_more_stops_it_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let tallow = spawn(folder.path(), &[("TALLOW__UP__BACKFILL_HOURS", "48")]);
    until("a settled candle", || {
        tallow.address()?;
        (tallow.get("/api/v1/historical/BTC").0 == 200).then_some(())
    });
    let store = rusqlite::Connection::open(folder.path().join("tallow.db")).unwrap();
    store.execute_batch("DROP TABLE progress").unwrap();
    drop(store);
    let reason = reason(tallow);
    assert!(reason.contains("no such table: progress"), "{reason}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_waited_for_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let partition = folder.path().join("log/partition-0");
    std::fs::create_dir_all(&partition).unwrap();
    std::fs::write(folder.path().join("log/log.json"), r#"{"format":1,"partitions":1}"#).unwrap();
    let segment = partition.join("00000000000000000000.jsonl");
    std::os::unix::fs::symlink("/dev/full", &segment).unwrap();

    let settings = [("TALLOW__LOG__PARTITIONS", "1")];
    let tallow = spawn(folder.path(), &settings);
    until("an address", || tallow.address());
    let log = until("retries", || {
        let log = tallow.json("/api/v1/stats")["sinks"][0].clone();
        (log["retries"].as_u64() >= Some(3)).then_some(log)
    });
    assert!(log["problem"].as_str().unwrap().contains("No space left on device"), "{log}");
    let health = tallow.json("/health");
    assert_eq!(health["status"], "degraded", "{health}");
    assert_eq!(tallow.get("/ready").0, 503);

    std::fs::remove_file(&segment).unwrap();
    until("ready", || (tallow.get("/ready").0 == 200).then_some(()));
    assert_eq!(tallow.json("/health")["status"], "healthy");
    let minutes = tallow.json("/api/v1/historical/BTC?limit=1000");
    assert!(minutes.as_array().unwrap().len() >= 118, "{minutes}");
    let said = tallow.stop();
    assert_eq!(said.matches("WARN").count(), 1, "{said}");
    let silence = longest_silence(folder.path());
    assert!(silence < Duration::from_secs(2), "{silence:?}");
}

/// The longest time between two ticks of a symbol in partition 0.
#[cfg(target_os = "linux")]
fn longest_silence(data: &Path) -> Duration {
    let mut last: BTreeMap<Symbol, u64> = BTreeMap::new();
    let gap = |tick: Tick| {
        let before = last.insert(tick.symbol, tick.time.millis());
        tick.time.millis() - before.unwrap_or(tick.time.millis())
    };
    Duration::from_millis(ticks(data, 0).into_iter().map(gap).max().unwrap())
}
