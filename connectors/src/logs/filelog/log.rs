//! A log as its readers see it.

use super::backwards;
use super::ends::{SharedEnds, end_in_folder};
use super::manifest::Manifest;
use super::segments::{self, partition_folder};
use super::source::FileLogReader;
use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use tallow_model::error::Error;

/// A log to read from, by its writer in this process or by its folder.
#[derive(Clone, Debug)]
pub struct FileLog {
    folder: PathBuf,
    partitions: u32,
    /// `None` if the writer is not in this process: then the folder is read.
    ends: Option<SharedEnds>,
}

impl FileLog {
    /// Opens the log in a folder, which another process may be writing. Readers see whole lines as
    /// they are written.
    ///
    /// # Errors
    /// When there is no log, or one of another version.
    pub fn open(folder: impl Into<PathBuf>) -> Result<FileLog, Error> {
        let folder = folder.into();
        let Some(manifest) = Manifest::read(&folder)? else {
            return Err(Error::Invalid(format!("open log {}: there is no log.json in it", folder.display())));
        };
        Ok(FileLog { folder, partitions: manifest.partitions, ends: None })
    }

    /// Returns the log whose writer keeps `ends`.
    pub(super) fn of_writer(folder: &Path, ends: SharedEnds) -> FileLog {
        // The manifest has the number as a `u32`.
        let partitions = u32::try_from(ends.len()).unwrap_or(u32::MAX);
        FileLog { folder: folder.to_owned(), partitions, ends: Some(ends) }
    }

    /// Returns the number of partitions.
    pub fn partitions(&self) -> u32 {
        self.partitions
    }

    /// Returns the offset past the last flushed line of a partition: the offset of the next line.
    ///
    /// # Errors
    /// When there is no such partition, or its folder can't be read.
    pub fn end_offset(&self, partition: u32) -> Result<u64, Error> {
        let folder = self.partition_folder(partition)?;
        match self.shared_end(partition) {
            Some(end) => Ok(end),
            None => end_in_folder(&folder),
        }
    }

    /// Returns a reader of a partition, from the first record at or past `offset` on.
    ///
    /// # Errors
    /// When there is no such partition, its segments can't be read, or it ends before `offset`.
    pub fn reader(&self, partition: u32, offset: u64) -> Result<FileLogReader, Error> {
        let folder = self.partition_folder(partition)?;
        let known_end = self.end_offset(partition)?;
        FileLogReader::new(folder, partition, offset, known_end, self.ends.clone())
    }

    /// Shows the flushed lines of a partition, the newest first, until `visit` breaks.
    ///
    /// # Errors
    /// When there is no such partition, or its segments can't be read.
    pub fn newest_first(
        &self,
        partition: u32,
        visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let end = self.end_offset(partition)?;
        for segment in segments::list(&self.partition_folder(partition)?)?.iter().rev() {
            let len = segment.len.min(end.saturating_sub(segment.base));
            let failed = |source| Error::file("read", &segment.path, source);
            let mut file = File::open(&segment.path).map_err(failed)?;
            if backwards::lines(&mut file, len, visit).map_err(failed)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Returns the last flushed line of a partition; `None` if it is empty.
    ///
    /// # Errors
    /// When there is no such partition, or its segments can't be read.
    pub fn last_line(&self, partition: u32) -> Result<Option<Vec<u8>>, Error> {
        let mut last = None;
        self.newest_first(partition, &mut |line| {
            last = Some(line.to_vec());
            ControlFlow::Break(())
        })?;
        Ok(last)
    }

    fn shared_end(&self, partition: u32) -> Option<u64> {
        Some(self.ends.as_ref()?.get(partition as usize)?.load(Ordering::Acquire))
    }

    fn partition_folder(&self, partition: u32) -> Result<PathBuf, Error> {
        if partition >= self.partitions {
            return Err(no_such_partition(&self.folder, partition, self.partitions));
        }
        Ok(partition_folder(&self.folder, partition))
    }
}

/// Returns the error of a partition number that the log does not have.
pub(super) fn no_such_partition(log: &Path, partition: u32, partitions: u32) -> Error {
    Error::Invalid(format!("use partition {partition} of log {}: it has {partitions}", log.display()))
}
