//! The feed of files: sends each line of ticks unchanged, byte for byte.
//!
//! **Order.** The lines of a file keep their order. Several files are merged by time: the next line
//! comes from the file whose next line has the earliest time. A line without a time, or with an
//! earlier time than a line before it, counts with the latest time of its file so far. So files
//! that were recorded side by side are played side by side, and a late tick stays as late as it
//! was. If a file has no line ready, as standard input may for long, the other files wait for it.
//!
//! **Key.** The symbol of the tick. A line that is no tick is sent without a key, to any partition;
//! the pipeline rejects it and writes it to the dead letters with a reason. No line is left out
//! here.

use super::pace::Pace;
use super::topic::Topic;
use crate::config::Speed;
use anyhow::bail;
use std::collections::VecDeque;
use std::path::PathBuf;
use tallow_connectors::logs::file::FileReader;
use tallow_model::clock::SystemClock;
use tallow_model::{Clock, PartitionReader, ReadStatus, Symbol, decode};

/// The number of lines that are read from a file at a time.
const BATCH_LINES: usize = 1_024;

/// The files, merged by time.
pub(super) struct Files {
    files: Vec<Reading>,
    speed: Speed,
}

/// A file, and its lines that are read and not yet sent.
struct Reading {
    reader: FileReader,
    lines: VecDeque<Line>,
    /// The latest time so far, in milliseconds; `None` before the first.
    latest_ms: Option<u64>,
    ended: bool,
    failure: Option<String>,
}

struct Line {
    /// `None` if no line up to this one has a time: the line is sent at once.
    time_ms: Option<u64>,
    symbol: Option<Symbol>,
    bytes: Vec<u8>,
}

impl Files {
    /// Opens all files before a line is sent, so that a missing file is found at once.
    ///
    /// # Errors
    /// If a file can't be opened.
    pub(super) fn open(paths: &[PathBuf], speed: Speed) -> anyhow::Result<Files> {
        let open = |path: &PathBuf| FileReader::open(path, 0).map_err(anyhow::Error::from).map(Reading::new);
        Ok(Files { files: paths.iter().map(open).collect::<Result<_, _>>()?, speed })
    }

    /// Sends all lines, until the files end or the command is stopped.
    ///
    /// # Errors
    /// If a file can't be read to its end, after all lines before that are sent; or if a record
    /// can't be sent for good.
    pub(super) fn run(mut self, topic: &mut Topic) -> anyhow::Result<()> {
        let mut pace = Pace::new(self.speed);
        loop {
            for file in &mut self.files {
                while file.lines.is_empty() && !file.ended {
                    if topic.poll().is_break() {
                        return Ok(());
                    }
                    file.read();
                }
            }
            let with_lines = self.files.iter_mut().filter(|file| !file.lines.is_empty());
            let Some(file) = with_lines.min_by_key(|file| file.lines.front().map(|line| line.time_ms)) else {
                break;
            };
            let Some(line) = file.lines.pop_front() else { break };
            if let Some(time_ms) = line.time_ms {
                let wait = pace.wait(time_ms, SystemClock.now_ms());
                if !wait.is_zero() && topic.rest(wait).is_break() {
                    return Ok(());
                }
            }
            if topic.send(line.symbol, &line.bytes)?.is_break() {
                return Ok(());
            }
        }
        let failures: Vec<String> = self.files.into_iter().filter_map(|file| file.failure).collect();
        if failures.is_empty() { Ok(()) } else { bail!("{}", failures.join("; ")) }
    }
}

impl Reading {
    fn new(reader: FileReader) -> Reading {
        Reading { reader, lines: VecDeque::new(), latest_ms: None, ended: false, failure: None }
    }

    /// Reads the next lines, if some are available.
    fn read(&mut self) {
        let Reading { reader, lines, latest_ms, .. } = self;
        let status = reader.read(BATCH_LINES, &mut |record| {
            let bytes = record.payload.unwrap_or_default();
            let tick = decode(bytes).ok();
            *latest_ms = (*latest_ms).max(tick.map(|tick| tick.time.millis()));
            let symbol = tick.map(|tick| tick.symbol);
            lines.push_back(Line { time_ms: *latest_ms, symbol, bytes: bytes.to_vec() });
        });
        match status {
            ReadStatus::More | ReadStatus::CaughtUp | ReadStatus::Pending => {}
            ReadStatus::Finished => self.ended = true,
            ReadStatus::Failed(problem) => {
                self.ended = true;
                self.failure = Some(problem);
            }
        }
    }
}
