//! Files of ticks as a feed: every line as it stands, byte for byte.
//!
//! **Order.** The lines of a file keep theirs. Several files are merged by time: next comes the file whose next line has
//! the least time, where a line that has none, or an earlier one than a line before it, has the latest time of its file so
//! far. So files that were recorded side by side are played side by side, and a late tick stays as late as it was. Where one
//! has nothing to give, as standard input may for long, the others wait for it.
//!
//! **Key.** The symbol of the tick. A line that is no tick is sent without a key, so that it lands in some partition and, by
//! way of it, among the dead letters, where its reader says what is wrong with it: nothing is left out here.

use super::outlet::Outlet;
use super::pace::Pace;
use crate::config::Speed;
use anyhow::bail;
use std::collections::VecDeque;
use std::path::PathBuf;
use tallow_connectors::logs::file::FileReader;
use tallow_model::clock::SystemClock;
use tallow_model::{Clock, PartitionReader, ReadStatus, Symbol, decode};

/// How many lines of a file are read at a time.
const LINES: usize = 1_024;

/// Files that are being merged.
pub(super) struct Files {
    files: Vec<Reading>,
    speed: Speed,
}

/// A file, and those of its lines that have been read and not sent.
struct Reading {
    reader: FileReader,
    lines: VecDeque<Line>,
    /// The latest time so far, in milliseconds; none before the first.
    latest_ms: Option<u64>,
    ended: bool,
    failure: Option<String>,
}

struct Line {
    /// None where no line up to this one has a time: it comes at once.
    time_ms: Option<u64>,
    symbol: Option<Symbol>,
    bytes: Vec<u8>,
}

impl Files {
    /// Opens every file before anything is sent, so that a missing one costs nothing.
    ///
    /// # Errors
    /// When one can't be opened.
    pub(super) fn open(paths: &[PathBuf], speed: Speed) -> anyhow::Result<Files> {
        let open = |path: &PathBuf| FileReader::open(path, 0).map_err(anyhow::Error::from).map(Reading::new);
        Ok(Files { files: paths.iter().map(open).collect::<Result<_, _>>()?, speed })
    }

    /// Sends every line, until the files end or it is stopped.
    ///
    /// # Errors
    /// When a file can't be read to its end, after everything before that has been sent; or when a record can't be sent
    /// for good.
    pub(super) fn run(mut self, outlet: &mut Outlet) -> anyhow::Result<()> {
        let mut pace = Pace::new(self.speed);
        loop {
            for file in &mut self.files {
                while file.lines.is_empty() && !file.ended {
                    if outlet.look().is_break() {
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
                if !wait.is_zero() && outlet.rest(wait).is_break() {
                    return Ok(());
                }
            }
            if outlet.send(line.symbol, &line.bytes)?.is_break() {
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

    /// Reads some lines, if there are any at the moment.
    fn read(&mut self) {
        let Reading { reader, lines, latest_ms, .. } = self;
        let status = reader.read(LINES, &mut |record| {
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
