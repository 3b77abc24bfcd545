//! The reader of one partition, which follows its writer.

use super::ends::{SharedEnds, end_in_folder};
use super::segments::{self, segment_path};
use crate::logs::file::{Lines, Pause};
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use tallow_model::error::{Error, chain};
use tallow_model::{PartitionReader, ReadStatus, Record};

/// Reads a partition of the log, and then whatever is flushed to it.
///
/// Finding nothing new costs one load of an atomic if the writer is in this process, and a look at
/// the folder otherwise.
pub struct FileLogReader {
    partition: u32,
    lines: Lines<Tail>,
    failed: bool,
}

impl FileLogReader {
    pub(super) fn new(
        folder: PathBuf,
        partition: u32,
        offset: u64,
        known_end: u64,
        ends: Option<SharedEnds>,
    ) -> Result<FileLogReader, Error> {
        if offset > known_end {
            return Err(Error::Invalid(format!(
                "read {} from offset {offset}: it ends at {known_end}",
                folder.display()
            )));
        }
        let mut tail = Tail { folder, partition, at: 0, known_end, segment: None, ends };
        let start = tail.seek(offset)?;
        Ok(FileLogReader { partition, lines: Lines::new(tail, start), failed: false })
    }
}

impl PartitionReader for FileLogReader {
    fn partition(&self) -> u32 {
        self.partition
    }

    fn read(&mut self, limit: usize, visit: &mut dyn FnMut(Record<'_>)) -> ReadStatus {
        if self.failed {
            return ReadStatus::Finished;
        }
        let pause = self.lines.read(limit, |offset, line| {
            visit(Record { offset, log_time: None, payload: Some(line) });
        });
        match pause {
            Ok(Pause::Limit) => ReadStatus::More,
            // The tail never ends.
            Ok(Pause::Waiting | Pause::End) => ReadStatus::CaughtUp,
            Err(error) => {
                self.failed = true;
                ReadStatus::Failed(format!(
                    "read log partition {} at offset {}: {}",
                    self.partition,
                    self.lines.position(),
                    chain(&error)
                ))
            }
        }
    }
}

/// The bytes of a partition up to the end of its last whole line; [`ErrorKind::WouldBlock`] at that
/// end.
struct Tail {
    folder: PathBuf,
    partition: u32,
    /// Offset of the next byte.
    at: u64,
    /// End of the whole lines, as far as known.
    known_end: u64,
    /// Base and file of the segment that is being read.
    segment: Option<(u64, File)>,
    ends: Option<SharedEnds>,
}

impl Tail {
    /// Seeks the first record at or past an offset; returns its position.
    fn seek(&mut self, offset: u64) -> Result<u64, Error> {
        let segments = segments::list(&self.folder)?;
        let Some(segment) = segments.iter().rfind(|segment| segment.base <= offset) else {
            // Nothing has been written yet; the first segment will be found like any next one.
            return Ok(0);
        };
        let failed = |source| Error::file("read", &segment.path, source);
        let mut file = File::open(&segment.path).map_err(failed)?;
        let within = offset - segment.base;
        let mut start = offset;
        if within > 0 {
            // On the line feed before the offset, if a record starts there.
            file.seek(SeekFrom::Start(within - 1)).map_err(failed)?;
            let mut rest = BufReader::new(&file);
            start += rest.skip_until(b'\n').map_err(failed)? as u64 - 1;
            file.seek(SeekFrom::Start(start - segment.base)).map_err(failed)?;
        }
        self.at = start;
        self.segment = Some((segment.base, file));
        Ok(start)
    }

    fn refresh_end(&mut self) -> io::Result<()> {
        self.known_end = match self.ends.as_ref().and_then(|ends| ends.get(self.partition as usize)) {
            Some(end) => end.load(Ordering::Acquire),
            None => end_in_folder(&self.folder).map_err(io::Error::other)?,
        };
        Ok(())
    }

    /// Opens the segment that starts at the end of the last one.
    fn next_segment(&mut self) -> io::Result<()> {
        if self.segment.as_ref().is_some_and(|(base, _)| *base == self.at) {
            return Err(self.missing("the segment is shorter than it was"));
        }
        let file = match File::open(segment_path(&self.folder, self.at)) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(self.missing("no segment starts here"));
            }
            opened => opened?,
        };
        self.segment = Some((self.at, file));
        Ok(())
    }

    fn missing(&self, detail: &str) -> io::Error {
        let (folder, end) = (Path::display(&self.folder), self.known_end);
        io::Error::new(
            ErrorKind::UnexpectedEof,
            format!("{folder}: {detail}, and there must be one to {end}"),
        )
    }
}

impl Read for Tail {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.known_end {
            self.refresh_end()?;
        }
        if self.at >= self.known_end {
            return Err(ErrorKind::WouldBlock.into());
        }
        loop {
            if let Some((_, file)) = &mut self.segment {
                let read = file.take(self.known_end - self.at).read(into)?;
                if read > 0 {
                    self.at += read as u64;
                    return Ok(read);
                }
            }
            self.next_segment()?;
        }
    }
}
