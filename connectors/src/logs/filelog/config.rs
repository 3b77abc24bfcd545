//! Where a log is and how it is written.

use std::path::PathBuf;

/// The settings of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileLogConfig {
    /// The log's folder; created where it is missing.
    pub folder: PathBuf,
    /// How many partitions it has; at least one. Can't be changed once the log exists.
    pub partitions: u32,
    /// The size past which a segment does not grow, in bytes, unless a single flush is larger.
    pub segment_bytes: u64,
    /// How long a flushed line may wait to be made durable, in milliseconds; 0 to do so at every flush. A segment
    /// is made durable in any case when it is full and when the log is closed.
    ///
    /// Looked at whenever the log is flushed, lines or no lines: there is no thread behind it.
    pub fsync_interval_ms: u64,
}

impl FileLogConfig {
    /// The defaults: three partitions, segments of 64 MiB, durable within a second.
    pub fn new(folder: impl Into<PathBuf>) -> FileLogConfig {
        FileLogConfig {
            folder: folder.into(),
            partitions: 3,
            segment_bytes: 64 << 20,
            fsync_interval_ms: 1_000,
        }
    }
}
