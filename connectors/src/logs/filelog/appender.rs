//! The writing end of one partition.

use super::segments::{self, segment_path, sync_folder};
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use tallow_model::error::Error;

/// Appends lines to the newest segment of a partition.
///
/// Everything below `end` is in the segments; `buffer` has the lines after it that are not written
/// yet. A failed write leaves both unchanged, so the next flush writes the same bytes at the same
/// position.
pub(super) struct Appender {
    folder: PathBuf,
    /// File of the newest segment, positioned at `end`; `None` after a failure.
    file: Option<File>,
    /// First offset of the newest segment.
    base: u64,
    end: u64,
    buffer: Vec<u8>,
    /// Whether lines have been written that may not be durable.
    unsynced: bool,
    segment_bytes: u64,
}

impl Appender {
    /// Opens a partition's folder, creates it if missing, and cuts off a torn last line.
    ///
    /// # Errors
    /// When the folder can't be read or written, or the segments are damaged.
    pub(super) fn open(folder: PathBuf, segment_bytes: u64) -> Result<Appender, Error> {
        std::fs::create_dir_all(&folder).map_err(|source| Error::file("create folder", &folder, source))?;
        let mut segments = segments::list(&folder)?;
        let newest = segments.pop();
        for segment in &segments {
            if segment.whole_lines()? != segment.len {
                return Err(Error::Damaged {
                    what: segment.path.display().to_string(),
                    detail: "its last line is torn, and it is not the newest segment".to_owned(),
                });
            }
        }
        let (base, len) = match &newest {
            None => (0, 0),
            Some(newest) => {
                let whole = newest.whole_lines()?;
                if whole < newest.len {
                    tracing::warn!(
                        segment = %newest.path.display(),
                        bytes = newest.len - whole,
                        "cut off a torn last line, left by a stop in mid-write"
                    );
                }
                (newest.base, whole)
            }
        };
        let mut appender = Appender {
            folder,
            file: None,
            base,
            end: base + len,
            buffer: Vec::new(),
            unsynced: false,
            segment_bytes,
        };
        appender.file = Some(appender.take_segment()?);
        Ok(appender)
    }

    /// Returns the offset past the last line written.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Returns the number of bytes that wait for the next flush.
    pub(super) fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Queues a line for the next flush; returns its offset.
    pub(super) fn append(&mut self, line: &[u8]) -> u64 {
        let offset = self.end + self.buffer.len() as u64;
        self.buffer.extend_from_slice(line);
        self.buffer.push(b'\n');
        offset
    }

    /// Writes the queued lines into one segment.
    ///
    /// # Errors
    /// When writing fails. The lines are kept for the next flush.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let len = self.end - self.base;
        if len > 0 && len + self.buffer.len() as u64 > self.segment_bytes {
            self.sync()?;
            self.file = None;
            self.base = self.end;
        }
        let mut file = self.take_segment()?;
        if let Err(source) = file.write_all(&self.buffer) {
            // Part of the lines may have been written. If undoing that fails too, `take_segment` or
            // the next start does it: until then the segment has some lines more, or a torn one,
            // that no reader here looks at.
            let _ = file.set_len(self.end - self.base);
            let path = segment_path(&self.folder, self.base);
            return Err(Error::file("append to", &path, source));
        }
        self.file = Some(file);
        self.end += self.buffer.len() as u64;
        self.buffer.clear();
        self.unsynced = true;
        Ok(())
    }

    /// Makes the written lines durable.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn sync(&mut self) -> Result<(), Error> {
        if self.unsynced {
            let file = self.take_segment()?;
            let path = segment_path(&self.folder, self.base);
            file.sync_data().map_err(|source| Error::file("synchronise", &path, source))?;
            self.file = Some(file);
            self.unsynced = false;
        }
        Ok(())
    }

    /// Drops the queued lines, as a crash would.
    #[cfg(test)]
    pub(super) fn forget(&mut self) {
        self.buffer.clear();
    }

    /// Closes the segment, as a failed write does.
    #[cfg(test)]
    pub(super) fn let_go(&mut self) {
        self.file = None;
    }

    /// Takes the newest segment, ready to be written at `end`. After a failure it is not put back,
    /// so the next use opens it anew and cuts it back to what is known to be good.
    fn take_segment(&mut self) -> Result<File, Error> {
        match self.file.take() {
            Some(file) => Ok(file),
            None => open_at(&self.folder, self.base, self.end - self.base),
        }
    }
}

/// Opens the segment that starts at `base`, creates it if it is missing and must be empty, cuts off
/// everything after its first `len` bytes, and seeks there.
fn open_at(folder: &Path, base: u64, len: u64) -> Result<File, Error> {
    let path = segment_path(folder, base);
    let failed = |action| {
        let path = path.clone();
        move |source| Error::file(action, &path, source)
    };
    let new = len == 0 && !path.exists();
    let mut file =
        OpenOptions::new().write(true).create(new).open(&path).map_err(failed("open for appending"))?;
    let found = file.metadata().map_err(failed("read"))?.len();
    if found < len {
        return Err(Error::Damaged {
            what: path.display().to_string(),
            detail: format!("it has {found} bytes, {len} have been written"),
        });
    }
    if found > len {
        file.set_len(len).map_err(failed("cut the end off"))?;
        file.sync_data().map_err(failed("synchronise"))?;
    }
    file.seek(SeekFrom::Start(len)).map_err(failed("go to the end of"))?;
    if new {
        sync_folder(folder)?;
    }
    Ok(file)
}
