//! The writer of a log.

use super::appender::Appender;
use super::config::FileLogConfig;
use super::ends::SharedEnds;
use super::log::{FileLog, no_such_partition};
use super::manifest::Manifest;
use super::segments::{partition_folder, sync_folder};
use crate::logs::file::MAX_LINE;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tallow_model::Symbol;
use tallow_model::error::{Error, chain};

/// The one writer of a log. Dropping it flushes and synchronises like
/// [`close`](FileLogWriter::close), and can only log a failure.
///
/// An error that can be retried (a full disk) loses nothing: appended lines wait for the next
/// flush. The caller bounds them by not appending while
/// [`buffered_bytes`](FileLogWriter::buffered_bytes) is large.
pub struct FileLogWriter {
    folder: PathBuf,
    appenders: Vec<Appender>,
    ends: SharedEnds,
    fsync_interval: Duration,
    last_sync: Instant,
    /// Held for the writer's life; the system releases it when the file is closed, also in a crash.
    _lock: File,
}

impl FileLogWriter {
    /// Opens the log, creates it if missing, and cuts off a torn last line.
    ///
    /// # Errors
    /// When another writer has it open, it has another number of partitions, it is damaged, or its
    /// folder can't be written.
    pub fn open(config: &FileLogConfig) -> Result<FileLogWriter, Error> {
        let folder = config.folder.clone();
        if config.partitions == 0 {
            return Err(Error::Invalid(format!("open log {} with no partition", folder.display())));
        }
        std::fs::create_dir_all(&folder).map_err(|source| Error::file("create folder", &folder, source))?;
        let lock = lock(&folder)?;
        let manifest = Manifest::ensure(&folder, config.partitions)?;
        let appenders = (0..manifest.partitions)
            .map(|partition| Appender::open(partition_folder(&folder, partition), config.segment_bytes))
            .collect::<Result<Vec<_>, _>>()?;
        sync_folder(&folder)?;
        let ends = appenders.iter().map(|appender| AtomicU64::new(appender.end())).collect();
        Ok(FileLogWriter {
            folder,
            appenders,
            ends,
            fsync_interval: Duration::from_millis(config.fsync_interval_ms),
            last_sync: Instant::now(),
            _lock: lock,
        })
    }

    /// Returns the log to read from, which sees a line as soon as it is flushed.
    pub fn log(&self) -> FileLog {
        FileLog::of_writer(&self.folder, self.ends.clone())
    }

    /// Returns the partition of a symbol's ticks.
    pub fn partition_of(&self, symbol: Symbol) -> u32 {
        // A remainder is smaller than the number of partitions, which is a `u32`.
        u32::try_from(symbol.stable_hash() % self.appenders.len() as u64).unwrap_or(0)
    }

    /// Queues a line for the next flush; returns its future offset.
    ///
    /// # Errors
    /// When there is no such partition, or the line is no record: it contains a line break, nothing
    /// but white space, or more than [`MAX_LINE`] bytes.
    pub fn append(&mut self, partition: u32, line: &[u8]) -> Result<u64, Error> {
        let partitions = self.appenders.len();
        let Some(appender) = self.appenders.get_mut(partition as usize) else {
            // The manifest has the number as a `u32`.
            let partitions = u32::try_from(partitions).unwrap_or(u32::MAX);
            return Err(no_such_partition(&self.folder, partition, partitions));
        };
        let refused = if line.len() > MAX_LINE {
            "it is longer than 1 MiB"
        } else if memchr::memchr2(b'\n', b'\r', line).is_some() {
            "it has a line break in it"
        } else if line.iter().all(u8::is_ascii_whitespace) {
            "it is blank"
        } else {
            return Ok(appender.append(line));
        };
        let folder = self.folder.display();
        Err(Error::Invalid(format!("append a line to partition {partition} of log {folder}: {refused}")))
    }

    /// Returns the number of appended bytes that wait for the next flush.
    pub fn buffered_bytes(&self) -> usize {
        self.appenders.iter().map(Appender::buffered).sum()
    }

    /// Makes the appended lines visible to readers, and durable if that is due. One write a
    /// partition.
    ///
    /// # Errors
    /// The first error; the other partitions have been flushed all the same. Lines that could not
    /// be written are kept for the next flush.
    pub fn flush(&mut self) -> Result<(), Error> {
        let mut result = Ok(());
        for (appender, end) in self.appenders.iter_mut().zip(self.ends.iter()) {
            let flushed = appender.flush();
            end.store(appender.end(), Ordering::Release);
            result = result.and(flushed);
        }
        if self.last_sync.elapsed() >= self.fsync_interval {
            result = result.and(self.sync());
        }
        result
    }

    /// Makes everything flushed durable.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn sync(&mut self) -> Result<(), Error> {
        let mut result = Ok(());
        for appender in &mut self.appenders {
            result = result.and(appender.sync());
        }
        if result.is_ok() {
            self.last_sync = Instant::now();
        }
        result
    }

    /// Flushes, makes everything durable, and releases the log.
    ///
    /// # Errors
    /// When that fails; lines that could not be written are lost.
    pub fn close(mut self) -> Result<(), Error> {
        let result = self.finish();
        // Their errors have been reported.
        self.appenders.clear();
        result
    }

    fn finish(&mut self) -> Result<(), Error> {
        let flushed = self.flush();
        flushed.and(self.sync())
    }

    /// Stops as a crash would: lines that have not been flushed are gone.
    #[cfg(test)]
    pub(super) fn crash(mut self) {
        self.appenders.iter_mut().for_each(Appender::forget);
    }

    /// Makes every partition reopen its segment, as after a failed write.
    #[cfg(test)]
    pub(super) fn let_go_of_segments(&mut self) {
        self.appenders.iter_mut().for_each(Appender::let_go);
    }
}

impl Drop for FileLogWriter {
    fn drop(&mut self) {
        if let Err(error) = self.finish() {
            tracing::error!(log = %self.folder.display(), error = chain(&error), "lines were lost");
        }
    }
}

/// Takes the lock that only one writer can have.
fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join("lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(|source| Error::file("open", &path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(Error::Invalid(format!("open log {}: another process is writing it", folder.display())))
        }
        Err(TryLockError::Error(source)) => Err(Error::file("lock", &path, source)),
    }
}
