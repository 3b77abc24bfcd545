//! The command line itself: what is asked of it, exit codes, and settings from files, the
//! environment and flags.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tallow_testing::program::{backtest, fail, file, succeed, summary, tallow, text};

fn tick(folder: &tempfile::TempDir) -> Vec<PathBuf> {
    let line = br#"{"symbol":"BTC","price_usd":1,"timestamp":1}"#;
    vec![file(folder.path(), "ticks.jsonl", line)]
}

#[test]
fn help_and_version_are_answered_on_standard_output() {
    for (arguments, part) in [
        (vec!["--version"], concat!("tallow ", env!("CARGO_PKG_VERSION"))),
        (vec!["--help"], "backtest"),
        (vec!["backtest", "--help"], "--from <FILE>..."),
        (vec!["up", "--help"], "--no-backfill"),
        (vec!["produce", "--help"], "--feed <FEED>"),
    ] {
        let output = tallow().args(&arguments).output().expect("started");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains(part), "{arguments:?}");
        assert!(output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn bad_usage_is_one_line_and_exit_code_2() {
    let cases: [(&[&str], &str); 27] = [
        (&["--nonsense"], "unexpected argument '--nonsense' found"),
        (&["replay"], "unrecognized subcommand 'replay'"),
        (
            &["backtest"],
            "the following required arguments were not provided: --out <DIR> <--from <FILE>...|--topic <NAME>>",
        ),
        (
            &["backtest", "--from", "a", "--topic", "t", "--out", "o"],
            "the argument '--from <FILE>...' cannot be used with '--topic <NAME>'",
        ),
        (&["backtest", "--from", "--out", "o"], "a value is required for '--from <FILE>...'"),
        (
            &["backtest", "--from", "a", "--out", "o", "--format", "parquet"],
            "invalid value 'parquet' for '--format <FORMAT>' [possible values: csv, jsonl]",
        ),
        (&["backtest", "--from", "-", "-", "--out", "o"], "standard input ('-') can be read only once"),
        (&["backtest", "--from", "a", "--out", "o", "--workers", "two"], "invalid value 'two'"),
        (
            &["backtest", "--from", "a", "--out", "o", "--workers", "0"],
            "read flag --workers: dataflow.workers: 0 is below",
        ),
        (
            &["backtest", "--from", "a", "--out", "o", "--batch-records", "0"],
            "read flag --batch-records: dataflow.batch_records: 0 is below",
        ),
        (
            &["--port", "1", "backtest", "--from", "a", "--out", "o"],
            "flags of 'up' are given before 'backtest'",
        ),
        (&["--port", "1", "produce"], "flags of 'up' are given before 'produce'"),
        (&["produce", "--feed", "file", "--from", "-", "-"], "standard input ('-') can be read only once"),
        (&["produce", "--feed", "kraken"], "invalid value 'kraken' for '--feed <FEED>'"),
        (&["produce", "--feed", "file"], "--feed file needs --from FILE"),
        (&["produce", "--from", "a"], "--from is for --feed file, and the feed is coingecko"),
        (
            &["produce", "--feed", "file", "--from", "a", "--rate", "2"],
            "--rate is for --feed sim, and the feed is file",
        ),
        (&["produce", "--speed", "60"], "--speed is for --feed sim and file, and the feed is coingecko"),
        (&["produce", "--feed", "sim", "--speed", "0"], "invalid value '0' for '--speed <N|max>'"),
        (
            &["produce", "--feed", "sim", "--rate", "0"],
            "read flag --rate: produce.trades_per_second: 0 is not a finite number above 0",
        ),
        (&["produce", "--feed", "sim", "--duration", "1 fortnight"], "invalid value '1 fortnight'"),
        (
            &["produce", "--feed", "sim", "--start", "yesterday"],
            "invalid value 'yesterday' for '--start <TIME>'",
        ),
        (&["--port", "1", "migrate"], "flags of 'up' are given before 'migrate'"),
        (&["up", "--port", "65536"], "invalid value '65536' for '--port <N>'"),
        (&["--symbols", "BTC,E/H"], "invalid value 'E/H' for '--symbols <A,B,C>'"),
        (&["--log-level", "loud"], "logging.level has \"loud\""),
        (&["--log-format", "xml"], "invalid value 'xml' for '--log-format <FORMAT>'"),
    ];
    for (arguments, expected) in cases {
        let line = fail(tallow().args(arguments), 2);
        assert!(line.starts_with(expected), "{arguments:?}: {line}");
    }
}

#[test]
fn a_flag_is_over_the_environment_and_that_over_the_file_and_that_over_the_default() {
    let folder = tempfile::tempdir().expect("a folder");
    let ticks = tick(&folder);
    let settings = file(folder.path(), "settings.toml", b"[dataflow]\nworkers = 2\n");
    let out = folder.path().join("out");
    let mut replay = backtest(&ticks, &out);
    let workers = |replay: &mut Command| {
        succeed(replay);
        summary(&out)["workers"].clone()
    };
    assert_eq!(workers(&mut replay), 1);
    assert_eq!(workers(replay.arg("--config").arg(settings)), 2);
    assert_eq!(workers(replay.env("TALLOW__DATAFLOW__WORKERS", "3")), 3);
    assert_eq!(workers(replay.args(["--workers", "4"])), 4);
}

#[test]
fn settings_that_cannot_be_are_named_with_their_place_and_exit_code_2() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    let ticks = tick(&folder);
    let refused = |content: &[u8]| {
        let settings = file(folder.path(), "settings.toml", content);
        let line = fail(backtest(&ticks, &out).arg("--config").arg(&settings), 2);
        line.replace(&settings.display().to_string(), "FILE")
    };
    assert_eq!(refused(b"[dataflow]\nworker = 2\n"), "read settings FILE: unknown key dataflow.worker");
    assert_eq!(
        refused(b"[dataflow]\nworkers = \"two\"\n"),
        "read settings FILE: dataflow.workers: invalid type: string \"two\", expected u64"
    );
    assert_eq!(refused(b"[dataflow\n"), "read settings FILE: line 1: unclosed table, expected `]`");
    assert_eq!(refused(b"\xff\xfe"), "read settings FILE: stream did not contain valid UTF-8");
    assert_eq!(
        refused(b"[anomalies]\nthreshold = nan"),
        "read settings FILE: anomalies.threshold: NaN is not a finite number above 0"
    );

    assert_eq!(
        fail(backtest(&ticks, &out).arg("--config").arg(folder.path()), 2),
        format!("read settings {}: Is a directory (os error 21)", folder.path().display())
    );
    assert_eq!(
        fail(backtest(&ticks, &out).args(["--config", "missing.toml"]), 2),
        "read settings missing.toml: No such file or directory (os error 2)"
    );
    assert_eq!(
        fail(backtest(&ticks, &out).env("TALLOW__DATAFLOW__WORKER", "2"), 2),
        "read environment variable TALLOW__DATAFLOW__WORKER: unknown key dataflow.worker"
    );
    assert_eq!(
        fail(backtest(&ticks, &out).env("TALLOW__UP__SYMBOLS", "BTC,E/H"), 2),
        "read environment variable TALLOW__UP__SYMBOLS: up.symbols: symbol has '/', allowed are A-Z 0-9 . _ -"
    );
    assert!(!out.exists());
}

#[test]
fn an_address_or_option_that_cannot_be_stops_every_command_before_it_starts_anything() {
    let cases = [
        (
            "KAFKA__OPTIONS",
            "sasl.pasword=hunter2",
            "kafka.options: sasl.pasword is no property of librdkafka",
        ),
        ("KAFKA__OPTIONS", "sasl.mechanism=PLAIN,security.protocol=SASL_PLAINTEXT", "kafka.options: "),
        ("POSTGRES__URL", "postgres//me:hunter2@host", "postgres.url is not an address"),
        ("REDIS__URL", "redis//me:hunter2@host", "use the address in redis.url: "),
        ("CHECKPOINT__URL", "s3://me:hunter2@bucket", "checkpoint.url has more than a place in it"),
        (
            "SERVER__PIPELINES",
            "me:hunter2@host",
            "read environment variable TALLOW__SERVER__PIPELINES: server.pipelines: a process listens at",
        ),
    ];
    for command in [&["run"][..], &["launch", "-n", "2"], &["serve"], &["migrate"], &["produce"]] {
        for (name, value, expected) in cases {
            let line = fail(tallow().args(command).env(format!("TALLOW__{name}"), value), 2);
            assert!(line.starts_with(expected) && !line.contains("hunter2"), "{command:?}: {line}");
        }
    }
}

#[test]
fn a_replay_tells_a_human_what_came_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    let told = succeed(&mut backtest(&tick(&folder), &out));
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines[0], "records      1: 1 on time");
    assert_eq!(lines[1], "candles      1 of 1m, 1 of 5m, 1 of 15m; 0 corrections");
    assert_eq!(lines[2], "alerts       0, 0 of them retracted");
    assert!(lines[3].starts_with("speed ") && lines[3].ends_with(" s with 1 worker"), "{told}");
    assert_eq!(lines[4], format!("written to   {}", out.display()));
    assert_eq!(lines.len(), 5, "no progress where no terminal is: {told}");
    assert!(text(&out, "summary.json").ends_with("}\n"));
}

/// On a terminal that `script` makes.
#[cfg(target_os = "linux")]
#[test]
fn a_replay_shows_on_a_terminal_how_far_it_is_and_takes_that_away_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (ticks, out) = (folder.path().join("ticks"), folder.path().join("out"));
    assert!(Command::new("mkfifo").arg(&ticks).status().expect("started").success());
    let replay = backtest(std::slice::from_ref(&ticks), &out);
    let words = std::iter::once(replay.get_program()).chain(replay.get_args());
    let words: Vec<String> = words.map(|word| format!("'{}'", word.to_str().expect("UTF-8"))).collect();
    let mut script = Command::new("script")
        .args(["--quiet", "--return", "--flush", "--command", &words.join(" "), "/dev/null"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script, of util-linux");
    // It is not at its end until the input is.
    let mut input = std::fs::OpenOptions::new().write(true).open(&ticks).expect("opened");
    input.write_all(b"{\"symbol\":\"BTC\",\"price_usd\":1,\"timestamp\":1}\n").expect("written");
    let mut terminal = script.stdout.take().expect("a pipe");
    let mut shown = Vec::new();
    let mut look = |until: Option<&str>| {
        let mut part = [0; 4096];
        while until.is_none_or(|it| !String::from_utf8_lossy(&shown).contains(it)) {
            match terminal.read(&mut part).expect("read") {
                0 => break,
                count => shown.extend_from_slice(&part[..count]),
            }
        }
        String::from_utf8_lossy(&shown).into_owned()
    };
    let meanwhile = look(Some(" ticks/s"));
    assert!(meanwhile.contains("\r\u{1b}[K1 records, "), "{meanwhile:?}");
    drop(input);
    let told = look(None);
    assert!(told.contains("\r\u{1b}[Krecords      1: 1 on time\r\n"), "{told:?}");
    assert!(script.wait().expect("ended").success(), "{told:?}");
}
