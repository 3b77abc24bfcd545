//! `rejects.jsonl`: every rejected record with its bytes.
//!
//! Each reject is written to disk as it comes, and only its position is kept. If the rejects of
//! several partitions came mixed, the file is rewritten in order at the end.
//!
//! `raw` is the record as text. Bytes that are not UTF-8 appear in it as `U+FFFD`, and then
//! `raw_base64` has the record as it was.

use super::draft::Draft;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use std::borrow::Cow;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use tallow_model::Reject;
use tallow_model::error::Error;

const NAME: &str = "rejects.jsonl";

/// A line of the file.
#[derive(Serialize)]
struct RejectLine<'a> {
    partition: u32,
    offset: u64,
    reason: &'static str,
    detail: &'a str,
    raw: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_base64: Option<String>,
}

impl<'a> RejectLine<'a> {
    fn of(reject: &'a Reject) -> RejectLine<'a> {
        let raw = String::from_utf8_lossy(&reject.raw);
        // Only a replacement makes the text owned.
        let raw_base64 = matches!(raw, Cow::Owned(_)).then(|| STANDARD.encode(&reject.raw));
        let Reject { partition, offset, reason, detail, .. } = reject;
        RejectLine { partition: *partition, offset: *offset, reason: reason.name(), detail, raw, raw_base64 }
    }
}

/// The position of a reject's line, ordered as the lines are to be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct LinePosition {
    partition: u32,
    /// Length of the line with its newline. A record has at most a megabyte, a line a few times
    /// that.
    len: u32,
    offset: u64,
    /// Position of the line in the draft.
    at: u64,
}

/// The rejects so far.
pub(super) struct Rejects {
    folder: PathBuf,
    draft: Draft,
    positions: Vec<LinePosition>,
    end: u64,
    line: Vec<u8>,
}

impl Rejects {
    /// Creates the file in a folder.
    ///
    /// # Errors
    /// When the file can't be created.
    pub(super) fn create(folder: &Path) -> Result<Rejects, Error> {
        let draft = Draft::create(folder, "rejects.unsorted.jsonl")?;
        Ok(Rejects { folder: folder.to_owned(), draft, positions: Vec::new(), end: 0, line: Vec::new() })
    }

    /// Writes one reject.
    ///
    /// # Errors
    /// When writing fails.
    pub(super) fn add(&mut self, reject: &Reject) -> Result<(), Error> {
        self.line.clear();
        let line = &mut self.line;
        self.draft.write_with(|out| {
            serde_json::to_writer(&mut *line, &RejectLine::of(reject))?;
            line.push(b'\n');
            out.write_all(line)
        })?;
        let len = self.line.len() as u64;
        self.positions.push(LinePosition {
            partition: reject.partition,
            len: u32::try_from(len).unwrap_or(u32::MAX),
            offset: reject.offset,
            at: self.end,
        });
        self.end += len;
        Ok(())
    }

    /// Returns the complete file, in order.
    ///
    /// # Errors
    /// When writing fails.
    pub(super) fn complete(mut self) -> Result<Draft, Error> {
        let order = |position: &LinePosition| (position.partition, position.offset);
        if !self.positions.is_sorted_by_key(order) {
            self.positions.sort_unstable_by_key(order);
            let mut unsorted = BufReader::with_capacity(1 << 20, self.draft.reopen()?);
            let mut sorted = Draft::create(&self.folder, NAME)?;
            let mut at = 0;
            for position in &self.positions {
                let line = &mut self.line;
                sorted.write_with(|out| {
                    copy_line(&mut unsorted, at, position, line)?;
                    out.write_all(line)
                })?;
                at = position.at + u64::from(position.len);
            }
            // Dropping the unsorted draft removes it.
            self.draft = sorted;
        }
        self.draft.complete()?;
        Ok(self.draft)
    }

    /// Returns the name of the file.
    pub(super) const fn name() -> &'static str {
        NAME
    }
}

/// Copies the line at a position from a file that is read at `at`.
fn copy_line(
    file: &mut BufReader<std::fs::File>,
    at: u64,
    position: &LinePosition,
    line: &mut Vec<u8>,
) -> io::Result<()> {
    // A relative seek keeps the buffer if it can.
    file.seek_relative(position.at.wrapping_sub(at).cast_signed())?;
    line.resize(position.len as usize, 0);
    file.read_exact(line)
}
