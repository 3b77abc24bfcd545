//! `tallow backtest` on larger input: determinism, compressed and broken files, full disks,
//! signals.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use tallow_connectors::feeds::simulator::{Disorder, DisorderSettings, Simulator, SimulatorSettings};
use tallow_testing::program::{
    backtest, buckets, ended, fail, file, names, succeed, summary, tallow, text, with_input,
};

/// The files that a replay writes.
const RESULTS: [&str; 4] = ["alerts.csv", "candles.csv", "rejects.jsonl", "summary.json"];

/// When the simulated market opens: 2025-11-16T05:30:00Z.
const START_MS: u64 = 1_763_271_000_000;

/// A simulated market of some minutes in partitions: trades out of order, late and too late, and
/// lines that are none.
fn market(minutes: u64, partitions: usize) -> Vec<Vec<u8>> {
    let market = SimulatorSettings { seed: 7, jumps_per_hour: 4.0, ..SimulatorSettings::default() };
    let disorder = DisorderSettings {
        seed: 7,
        out_of_order_share: 0.05,
        late_share: 0.01,
        late_delay_ms: 12_000..=1_200_000,
        ..DisorderSettings::default()
    };
    let market = Simulator::open(&market, START_MS).expect("a market");
    let mut feed = Disorder::try_new(disorder, market).expect("a feed");
    let mut arrivals = Vec::new();
    feed.arrivals_until(START_MS + minutes * 60_000, &mut arrivals);
    let mut files = vec![Vec::new(); partitions];
    for (i, arrival) in arrivals.iter().enumerate() {
        let lines = &mut files[i % partitions];
        arrival.tick.to_json_line(arrival.at_ms, lines);
        lines.push(b'\n');
        if i % 1_000 == 0 {
            lines.extend_from_slice(b"{\"symbol\":\"BTC\",\"price\":-1,\"timestamp\":1}\nnonsense\n");
        }
    }
    files
}

fn written(folder: &Path, contents: &[Vec<u8>]) -> Vec<PathBuf> {
    contents.iter().enumerate().map(|(i, lines)| file(folder, &format!("{i}.jsonl"), lines)).collect()
}

fn tick(offset: u64) -> String {
    format!(
        "{{\"symbol\":\"BTC\",\"price_usd\":{}.5,\"size\":1,\"timestamp\":{}}}\n",
        100 + offset % 7,
        offset * 100
    )
}

fn ticks(count: u64) -> String {
    (0..count).map(tick).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("compressed");
    encoder.finish().expect("compressed")
}

#[test]
fn workers_and_batches_change_no_byte() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = written(folder.path(), &market(60, 3));
    let run = |name: &str, flags: &[&str]| {
        let out = folder.path().join(name);
        succeed(backtest(&files, &out).args(flags));
        let results = ["candles.csv", "alerts.csv", "rejects.jsonl"].map(|name| text(&out, name));
        (results, buckets(&out), summary(&out)["corrections"].clone())
    };
    let first = run("first", &[]);
    let in_bucket = |name: &str| first.1.iter().find(|(bucket, _)| *bucket == name).map_or(0, |(_, n)| *n);
    for bucket in ["on_time", "late", "malformed", "invalid", "too_late"] {
        assert!(in_bucket(bucket) > 10, "{bucket} is not put to the test: {:?}", first.1);
    }
    assert!(first.0[1].lines().count() > 5, "alerts are not put to the test");
    for flags in [
        ["--workers", "2", "--batch-records", "16384"],
        ["--workers", "4", "--batch-records", "1000"],
        ["--workers", "1", "--batch-records", "37"],
        ["--workers", "3", "--batch-records", "1000000"],
    ] {
        let other = run(&flags.join(" "), &flags);
        // Not with assert_eq: nobody reads a megabyte of difference.
        assert!(other == first, "{flags:?} gives other results");
    }
}

#[test]
fn json_lines_have_what_the_csv_has() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = written(folder.path(), &market(5, 2));
    let (csv, jsonl) = (folder.path().join("csv"), folder.path().join("jsonl"));
    succeed(&mut backtest(&files, &csv));
    succeed(backtest(&files, &jsonl).args(["--format", "jsonl"]));
    assert_eq!(names(&jsonl), ["alerts.jsonl", "candles.jsonl", "rejects.jsonl", "summary.json"]);
    let rows: Vec<serde_json::Value> =
        text(&jsonl, "candles.jsonl").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let table = text(&csv, "candles.csv");
    assert_eq!(rows.len(), table.lines().count() - 1);
    for (row, line) in rows.iter().zip(table.lines().skip(1)) {
        let fields: Vec<&str> = line.split(',').collect();
        assert_eq!((row["symbol"].as_str(), row["interval"].as_str()), (Some(fields[0]), Some(fields[1])));
        assert_eq!(row["window_start"].to_string(), fields[2]);
        assert_eq!(row["trade_count"].to_string(), fields[12]);
    }
}

#[test]
fn compressed_files_and_standard_input_are_read_as_they_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines = ticks(5_000).into_bytes();
    let plain = file(folder.path(), "ticks.jsonl", &lines);
    let gz = file(folder.path(), "ticks.jsonl.gz", &gzip(&lines));
    let zst = file(folder.path(), "ticks.jsonl.zst", &zstd::encode_all(&lines[..], 1).expect("compressed"));
    let candles = |name: &str, path: PathBuf| {
        let out = folder.path().join(name);
        succeed(&mut backtest(&[path], &out));
        text(&out, "candles.csv")
    };
    let expected = candles("plain", plain);
    assert!(expected.lines().count() > 10);
    assert_eq!(candles("gzip", gz), expected);
    assert_eq!(candles("zstd", zst), expected);

    let out = folder.path().join("input");
    let output = with_input(&mut backtest(&["-".into()], &out), &gzip(&lines));
    assert_eq!(ended(&output).0, Some(0));
    assert_eq!(text(&out, "candles.csv"), expected);
}

#[test]
fn an_empty_file_gives_empty_results() {
    let folder = tempfile::tempdir().expect("a folder");
    let empty = file(folder.path(), "empty.jsonl", b"");
    let out = folder.path().join("deep/er/out");
    succeed(&mut backtest(&[empty], &out));
    assert_eq!(names(&out), RESULTS);
    assert_eq!(text(&out, "candles.csv").lines().count(), 1);
    assert_eq!(buckets(&out), []);
}

#[test]
fn bytes_that_are_no_text_are_rejected_and_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let ticks = file(folder.path(), "ticks.jsonl", b"\x00\xff\xfe\n{\"symbol\":\"\xff\"}\n\x1f\x8b\n");
    let out = folder.path().join("out");
    succeed(&mut backtest(&[ticks], &out));
    assert_eq!(buckets(&out), [("malformed", 3)]);
    assert!(text(&out, "rejects.jsonl").contains(r#""raw_base64":"AP/+""#));
}

#[test]
fn what_stands_before_the_break_of_a_file_is_settled_and_the_break_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = gzip(ticks(20_000).as_bytes());
    let cut = file(folder.path(), "cut.jsonl.gz", &whole[..whole.len() / 2]);
    let other = file(folder.path(), "other.jsonl", ticks(700).as_bytes());
    let out = folder.path().join("out");
    let (code, stderr) = ended(&backtest(&[cut.clone(), other], &out).output().expect("started"));
    assert_eq!(code, Some(1), "{stderr}");
    let last = stderr.lines().last().expect("a message");
    let expected = format!("tallow: read {}: gzip stream ends early after ", cut.display());
    assert!(last.starts_with(&expected), "{last}");
    assert_eq!(names(&out), RESULTS);
    let records: u64 =
        last[expected.len()..].split(' ').next().and_then(|n| n.parse().ok()).expect("a number");
    assert!(records > 1_000, "{last}");
    assert_eq!(summary(&out)["records_in"], records + 700);
}

#[test]
fn a_file_that_cannot_be_opened_is_said_before_anything_is_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let good = file(folder.path(), "good.jsonl", ticks(10).as_bytes());
    let (missing, out) = (folder.path().join("missing.jsonl"), folder.path().join("out"));
    assert_eq!(
        fail(&mut backtest(&[good.clone(), missing.clone()], &out), 1),
        format!("open {}: No such file or directory (os error 2)", missing.display())
    );
    assert_eq!(
        fail(&mut backtest(&[folder.path().to_owned(), good], &out), 1),
        format!("open {}: is a directory", folder.path().display())
    );
    assert!(!out.exists());
}

#[test]
fn results_of_an_earlier_run_are_replaced_whole_or_not_at_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    fs::create_dir(&out).expect("a folder");
    file(&out, "candles.csv", b"of another run");
    file(&out, "notes.txt", b"of somebody else");
    let whole = file(folder.path(), "ticks.jsonl", ticks(10).as_bytes());
    fail(&mut backtest(&[whole.clone(), folder.path().join("missing")], &out), 1);
    assert_eq!(text(&out, "candles.csv"), "of another run");
    succeed(&mut backtest(&[whole], &out));
    assert!(text(&out, "candles.csv").starts_with("symbol,interval,"));
    assert_eq!(text(&out, "notes.txt"), "of somebody else");
}

#[test]
fn a_place_that_takes_no_results_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let ticks = [file(folder.path(), "ticks.jsonl", ticks(10).as_bytes())];
    assert_eq!(
        fail(&mut backtest(&ticks, &ticks[0]), 1),
        format!("write results into {}: it is a file, not a folder", ticks[0].display())
    );
    assert!(
        fail(&mut backtest(&ticks, &ticks[0].join("out")), 1).starts_with("create folder "),
        "below a file there is no folder"
    );
}

/// Runs a replay whose file `name` is, from the start, one on a full disk.
#[cfg(target_os = "linux")]
fn with_a_full_disk(name: &str, files: &[PathBuf], out: &Path) -> Command {
    fs::create_dir(out).expect("a folder");
    // The shell becomes Tallow and keeps its process number, which the name of a draft has in it.
    let script = format!("ln -s /dev/full \"$1/.{name}.$$.draft\" && shift && exec \"$@\"");
    let replay = backtest(files, out);
    let mut command = Command::new("sh");
    command.args(["-c", &script, "sh"]).arg(out).arg(replay.get_program()).args(replay.get_args());
    command
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_said_and_leaves_nothing_half_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = [file(folder.path(), "ticks.jsonl", ticks(10).as_bytes())];
    let out = folder.path().join("out");
    assert_eq!(
        fail(&mut with_a_full_disk("candles.csv", &files, &out), 1),
        format!("write {}/candles.csv: No space left on device (os error 28)", out.display())
    );
    assert_eq!(names(&out), [""; 0]);
}

#[test]
#[cfg(target_os = "linux")]
fn a_disk_that_fills_up_on_the_way_stops_the_run() {
    let folder = tempfile::tempdir().expect("a folder");
    // The named pipe never ends, as its writer is held open here: only the failure can end the run.
    let endless = folder.path().join("endless");
    assert!(Command::new("mkfifo").arg(&endless).status().expect("started").success());
    let held = fs::OpenOptions::new().read(true).write(true).open(&endless).expect("opened");
    let bad = file(folder.path(), "bad.jsonl", "nonsense\n".repeat(100_000).as_bytes());
    let out = folder.path().join("out");
    let error = fail(&mut with_a_full_disk("rejects.unsorted.jsonl", &[endless, bad], &out), 1);
    assert_eq!(
        error,
        format!("write {}/rejects.unsorted.jsonl: No space left on device (os error 28)", out.display())
    );
    assert_eq!(names(&out), [""; 0]);
    drop(held);
}

#[test]
#[cfg(unix)]
fn a_signal_stops_the_run_and_nothing_is_half_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    for signal in ["-INT", "-TERM"] {
        let mut child = backtest(&["-".into()], &out)
            .stdin(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("started");
        // More than a pipe holds: when all of it has been taken, Tallow is reading.
        let mut input = child.stdin.take().expect("a pipe");
        input.write_all(ticks(50_000).as_bytes()).expect("taken");
        let killed = Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(killed.expect("started").success());
        let (code, stderr) = ended(&child.wait_with_output().expect("ended"));
        assert_eq!(code, Some(1), "{stderr}");
        assert_eq!(
            stderr,
            format!(
                "tallow: stopped by a signal before the end: nothing has been written to {}\n",
                out.display()
            )
        );
        assert_eq!(names(&out), [""; 0]);
        drop(input);
    }
}

#[test]
#[cfg(unix)]
fn a_closed_standard_error_changes_no_result() {
    let folder = tempfile::tempdir().expect("a folder");
    let ticks = file(folder.path(), "ticks.jsonl", ticks(10).as_bytes());
    let out = folder.path().join("out");
    let replay = backtest(&[ticks], &out);
    let status = Command::new("sh")
        .args(["-c", "exec \"$@\" 2>&-", "sh"])
        .arg(tallow().get_program())
        .args(replay.get_args())
        .status();
    assert_eq!(status.expect("started").code(), Some(0));
    assert_eq!(names(&out), RESULTS);
}
