//! Golden files: what `tallow backtest` makes of a few lines, byte for byte.
//!
//! A file of `tests/golden` has, in this order:
//! - lines that begin with `#`: what the case shows; and `TALLOW__…=…`: settings for it;
//! - the input, a record a line, `--` between partitions;
//! - a blank line;
//! - the expected results: `== name` before the content of each file that has more than a header,
//!   then the buckets of the records.
//!
//! `UPDATE=1 cargo test --test golden` writes down what comes out. Then read the difference: a
//! golden file is a claim.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use tallow_testing::program::{backtest, buckets, file, succeed, summary, text};

struct Case {
    settings: Vec<(String, String)>,
    partitions: Vec<String>,
    /// Everything up to the blank line.
    head: String,
    expected: String,
}

fn read(path: &Path) -> Case {
    let whole = fs::read_to_string(path).expect("a golden file");
    let (head, expected) = whole.split_once("\n\n").unwrap_or((whole.trim_end(), ""));
    let mut case = Case {
        settings: Vec::new(),
        partitions: vec![String::new()],
        head: head.to_owned(),
        expected: expected.to_owned(),
    };
    for line in head.lines().filter(|line| !line.starts_with('#')) {
        match line.split_once('=') {
            Some((name, value)) if name.starts_with("TALLOW__") => {
                case.settings.push((name.to_owned(), value.to_owned()));
            }
            _ if line == "--" => case.partitions.push(String::new()),
            _ => {
                let partition = case.partitions.last_mut().expect("there is one from the start");
                partition.push_str(line);
                partition.push('\n');
            }
        }
    }
    case
}

fn outcome(case: &Case) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let files: Vec<PathBuf> = case
        .partitions
        .iter()
        .enumerate()
        .map(|(i, lines)| file(folder.path(), &format!("{i}.jsonl"), lines.as_bytes()))
        .collect();
    let out = folder.path().join("out");
    succeed(backtest(&files, &out).envs(case.settings.iter().map(|(name, value)| (name, value))));
    let mut outcome = String::new();
    for (name, empty) in [("candles.csv", 1), ("alerts.csv", 1), ("rejects.jsonl", 0)] {
        let content = text(&out, name);
        if content.lines().count() > empty {
            write!(outcome, "== {name}\n{content}").expect("a string takes it");
        }
    }
    outcome.push_str("== summary.json\n");
    for (name, count) in buckets(&out) {
        writeln!(outcome, "{name} {count}").expect("a string takes it");
    }
    let summary = summary(&out);
    writeln!(
        outcome,
        "corrections {}, alerts {}, retracted {}",
        summary["corrections"], summary["alerts"], summary["alerts_retracted"]
    )
    .expect("a string takes it");
    outcome
}

#[test]
fn what_comes_out_is_what_is_written_down() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut paths: Vec<PathBuf> =
        fs::read_dir(&folder).expect("the folder").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} has no golden file", folder.display());
    for path in paths {
        let case = read(&path);
        let outcome = outcome(&case);
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, format!("{}\n\n{outcome}", case.head)).expect("written");
        } else {
            assert_eq!(outcome, case.expected, "{}", path.display());
        }
    }
}
