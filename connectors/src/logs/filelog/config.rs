//! Settings of a log: its folder, and how it is written.

use std::path::PathBuf;

/// The settings of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileLogConfig {
    /// Folder of the log; created if missing.
    pub folder: PathBuf,
    /// Number of partitions, at least one. Fixed once the log exists.
    pub partitions: u32,
    /// Size in bytes past which a segment does not grow, unless a single flush is larger.
    pub segment_bytes: u64,
    /// Time in milliseconds that a flushed line may wait to be made durable; 0 for every flush. A
    /// segment is made durable in any case when it is full and when the log is closed.
    ///
    /// The time is checked at each flush, with or without lines: there is no thread behind it.
    pub fsync_interval_ms: u64,
}

impl FileLogConfig {
    /// Returns the defaults: three partitions, segments of 64 MiB, durable within a second.
    pub fn new(folder: impl Into<PathBuf>) -> FileLogConfig {
        FileLogConfig {
            folder: folder.into(),
            partitions: 3,
            segment_bytes: 64 << 20,
            fsync_interval_ms: 1_000,
        }
    }
}
