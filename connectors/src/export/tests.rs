//! The files of an export, byte for byte.

use super::{CandleCounts, Export, Format, Run};
use proptest::prelude::*;
use std::path::Path;
use std::time::Duration;
use tallow_dataflow::Bar;
use tallow_model::error::{Action, Error, chain};
use tallow_model::{
    Alert, AlertStatus, Counts, EventTime, Interval, Price, Reject, RejectReason, SettledAlert,
    SettledCandle, Step, Symbol, decode,
};

fn symbol(text: &str) -> Symbol {
    text.parse().expect("a symbol")
}

/// Returns a candle of ticks with these further fields, a millisecond apart.
fn candle(name: &str, interval: Interval, start: u64, revision: u32, ticks: &[&str]) -> SettledCandle {
    let start = EventTime(start);
    let bars = ticks.iter().enumerate().map(|(i, fields)| {
        let time = start.millis() + i as u64;
        let line = format!(r#"{{"symbol":"{name}","timestamp":{time},{fields}}}"#);
        Bar::of(&decode(line.as_bytes()).expect("a tick"), start, 0, i as u64)
    });
    let bar = bars.reduce(|mut bar, next| {
        bar.merge(&next);
        bar
    });
    SettledCandle {
        symbol: symbol(name),
        interval,
        candle: bar.expect("a tick").candle(start),
        revision,
        settled_at: EventTime(start.millis() + interval.millis() + 1_000 * u64::from(revision)),
    }
}

fn alert(name: &str, start: u64, close: f64, status: AlertStatus, settled_at: u64) -> SettledAlert {
    let alert = Alert {
        symbol: symbol(name),
        window_start: EventTime(start),
        open: Price(100.5),
        close: Price(close),
        previous_close: Price(100.0),
        z_score: Price(if close > 100.0 { 6.5 } else { -4.25 }),
        mean: Price(0.00000125),
        stddev: Price(0.002),
        samples: 60,
        threshold: Price(4.0),
        revision: 1,
    };
    SettledAlert { alert, status, settled_at: EventTime(settled_at) }
}

fn reject(partition: u32, offset: u64, detail: &str, raw: &[u8]) -> Reject {
    let (reason, detail, raw) = (RejectReason::Malformed, detail.to_owned(), raw.to_vec());
    Reject { partition, offset, log_time: None, reason, detail, raw }
}

fn steps() -> Vec<Step> {
    let sized = [r#""price":95750.12,"size":0.1"#, r#""price":95800,"size":0.20"#];
    let corrected = [sized[0], sized[1], r#""price":0.1,"size":0.3"#];
    let candles = vec![
        candle("ETH", Interval::OneMinute, 60_000, 0, &[r#""price":1e-9"#]),
        candle("BTC", Interval::FiveMinutes, 0, 0, &[r#""price":3,"volume_24h":78701577213.28"#]),
        candle("BTC", Interval::FifteenMinutes, 0, 0, &[r#""price":7"#, r#""price":8"#, r#""price":8"#]),
        candle("BTC", Interval::OneMinute, 120_000, 0, &sized),
        candle("BTC", Interval::OneMinute, 120_000, 1, &corrected),
        candle("BTC", Interval::OneMinute, 60_000, 0, &[r#""price":2,"size":0"#]),
    ];
    let alerts = vec![
        alert("ETH", 60_000, 101.25, AlertStatus::Raised, 120_000),
        alert("BTC", 120_000, 99.5, AlertStatus::Raised, 180_000),
        alert("BTC", 120_000, 99.5, AlertStatus::Retracted, 185_000),
        alert("BTC", 60_000, 102.0, AlertStatus::Raised, 120_000),
        alert("BTC", 60_000, 103.0, AlertStatus::Raised, 130_000),
    ];
    // One change a step, as if from as many workers.
    let candles = candles.into_iter().map(|candle| Step { candles: vec![candle], ..Step::default() });
    let alerts = alerts.into_iter().map(|alert| Step { alerts: vec![alert], ..Step::default() });
    candles.chain(alerts).collect()
}

fn run() -> Run {
    let counts = Counts { records_in: 9, on_time: 5, late: 1, malformed: 3, ..Counts::default() };
    Run { counts, elapsed: Duration::from_millis(1_500), workers: 2 }
}

fn text(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).expect("a written file")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder");
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("an entry").file_name();
    let mut names: Vec<_> = entries.map(|entry| name(entry).to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    names
}

const CANDLES: &str = "\
symbol,interval,window_start,window_end,open,high,low,close,avg,vwap,volume,quote_volume,trade_count,revision
BTC,1m,60000,120000,2,2,2,2,2,,0,0,1,0
BTC,1m,120000,180000,95750.12,95800,0.1,0.1,63850.073333333334,47891.736666666664,0.6,28735.042,3,1
BTC,5m,0,300000,3,3,3,3,3,,78701577213.28,0,1,0
BTC,15m,0,900000,7,8,7,8,7.666666666666667,,0,0,3,0
ETH,1m,60000,120000,0.000000001,0.000000001,0.000000001,0.000000001,0.000000001,,0,0,1,0
";

const ALERTS: &str = "\
alert_id,symbol,alert_type,severity,window_start,window_end,old_price,new_price,price_change_percent,z_score,mean,stddev,samples,revision,status
BTC:1m:60000:zscore,BTC,PRICE_SPIKE,MEDIUM,60000,120000,100,103,3.0000000000000027,6.5,0.00000125,0.002,60,1,raised
BTC:1m:120000:zscore,BTC,PRICE_DROP,LOW,120000,180000,100,99.5,-0.5000000000000004,-4.25,0.00000125,0.002,60,1,retracted
ETH:1m:60000:zscore,ETH,PRICE_SPIKE,MEDIUM,60000,120000,100,101.25,1.2499999999999956,6.5,0.00000125,0.002,60,1,raised
";

#[test]
fn the_newest_versions_are_written_in_order_as_csv() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("a/b");
    let mut export = Export::create(&out, Format::Csv).expect("begun");
    steps().iter().for_each(|step| export.settled(step));
    let summary = export.finish(&run()).expect("written");
    assert_eq!(names(&out), ["alerts.csv", "candles.csv", "rejects.jsonl", "summary.json"]);
    assert_eq!(text(&out, "candles.csv"), CANDLES);
    assert_eq!(text(&out, "alerts.csv"), ALERTS);
    assert_eq!(text(&out, "rejects.jsonl"), "");
    assert_eq!(summary.candles, CandleCounts { one_minute: 3, five_minutes: 1, fifteen_minutes: 1 });
    assert_eq!((summary.alerts, summary.alerts_retracted, summary.corrections), (3, 1, 1));
}

#[test]
fn json_lines_have_the_names_and_digits_of_the_csv() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut export = Export::create(folder.path(), Format::Jsonl).expect("begun");
    steps().iter().for_each(|step| export.settled(step));
    export.finish(&run()).expect("written");
    for (name, csv) in [("candles.jsonl", CANDLES), ("alerts.jsonl", ALERTS)] {
        let (header, rows) = csv.split_once('\n').expect("a header");
        let quoted = ["symbol", "interval", "alert_id", "alert_type", "severity", "status"];
        let mut expected = String::new();
        for row in rows.lines() {
            let fields = header.split(',').zip(row.split(',')).map(|(column, value)| {
                let value = if value.is_empty() { "null" } else { value };
                let quote = if quoted.contains(&column) { "\"" } else { "" };
                format!("\"{column}\":{quote}{value}{quote}")
            });
            expected += &format!("{{{}}}\n", fields.collect::<Vec<_>>().join(","));
        }
        let written = text(folder.path(), name);
        assert_eq!(written, expected);
        for line in written.lines() {
            serde_json::from_str::<serde_json::Value>(line).expect("JSON");
        }
    }
}

#[test]
fn rejects_are_written_with_their_bytes_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut export = Export::create(folder.path(), Format::Csv).expect("begun");
    export
        .rejected(&[reject(1, 5, "expected '{'", b"\"quoted\"\t"), reject(1, 90, "x", b"")])
        .expect("written");
    export.rejected(&[reject(0, 7, "not UTF-8 at byte 1", b"a\xffb")]).expect("written");
    export.finish(&run()).expect("written");
    assert_eq!(
        text(folder.path(), "rejects.jsonl"),
        r#"{"partition":0,"offset":7,"reason":"malformed","detail":"not UTF-8 at byte 1","raw":"a�b","raw_base64":"Yf9i"}
{"partition":1,"offset":5,"reason":"malformed","detail":"expected '{'","raw":"\"quoted\"\t"}
{"partition":1,"offset":90,"reason":"malformed","detail":"x","raw":""}
"#
    );
    assert_eq!(names(folder.path()), ["alerts.csv", "candles.csv", "rejects.jsonl", "summary.json"]);
}

#[test]
fn the_summary_accounts_for_every_record() {
    let folder = tempfile::tempdir().expect("a folder");
    let export = Export::create(folder.path(), Format::Csv).expect("begun");
    let summary = export.finish(&run()).expect("written");
    assert_eq!(
        text(folder.path(), "summary.json"),
        format!(
            r#"{{
  "records_in": 9,
  "on_time": 5,
  "late": 1,
  "malformed": 3,
  "invalid": 0,
  "future": 0,
  "too_late": 0,
  "tombstones": 0,
  "candles": {{
    "1m": 0,
    "5m": 0,
    "15m": 0
  }},
  "alerts": 0,
  "alerts_retracted": 0,
  "corrections": 0,
  "elapsed_seconds": 1.5,
  "ticks_per_second": 6.0,
  "peak_rss_bytes": {},
  "workers": 2
}}
"#,
            summary.peak_rss_bytes
        )
    );
}

#[test]
fn a_run_that_does_not_finish_leaves_what_was_there() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("candles.csv"), "of another run").expect("written");
    let mut export = Export::create(folder.path(), Format::Csv).expect("begun");
    steps().iter().for_each(|step| export.settled(step));
    export.rejected(&[reject(0, 0, "x", b"x")]).expect("written");
    drop(export);
    assert_eq!(names(folder.path()), ["candles.csv"]);
    assert_eq!(text(folder.path(), "candles.csv"), "of another run");
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_said_and_leaves_no_file() {
    let full = |name: &str, act: &dyn Fn(&Path) -> Result<(), Error>| {
        let folder = tempfile::tempdir().expect("a folder");
        let hidden = folder.path().join(format!(".{name}.{}.draft", std::process::id()));
        std::os::unix::fs::symlink("/dev/full", hidden).expect("a file on a full disk");
        let error = act(folder.path()).expect_err("the disk is full");
        assert_eq!(error.action(), Action::Retry);
        let path = folder.path().join(name);
        assert_eq!(chain(&error), format!("write {}: No space left on device (os error 28)", path.display()));
        assert_eq!(names(folder.path()), [""; 0]);
    };
    full("candles.csv", &|folder| Export::create(folder, Format::Csv)?.finish(&run()).map(drop));
    full("rejects.unsorted.jsonl", &|folder| {
        let mut export = Export::create(folder, Format::Csv)?;
        export.rejected(&[reject(0, 0, "x", &[b'x'; 100_000])])
    });
}

#[test]
fn a_file_is_no_folder_to_write_into() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("out");
    std::fs::write(&file, "").expect("written");
    let refused = |path: &Path| Export::create(path, Format::Csv).err().map(|error| chain(&error));
    let shown = file.display();
    assert_eq!(refused(&file), Some(format!("write results into {shown}: it is a file, not a folder")));
    assert_eq!(
        refused(&file.join("below")),
        Some(format!("create folder {shown}/below: Not a directory (os error 20)"))
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn the_order_of_the_steps_changes_no_byte(order in Just(steps()).prop_shuffle()) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut export = Export::create(folder.path(), Format::Csv).expect("begun");
        order.iter().for_each(|step| export.settled(step));
        export.finish(&run()).expect("written");
        prop_assert_eq!(text(folder.path(), "candles.csv"), CANDLES);
        prop_assert_eq!(text(folder.path(), "alerts.csv"), ALERTS);
    }
}
