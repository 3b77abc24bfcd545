//! The durable log of one process: an embedded stand-in for a partitioned topic.
//!
//! ```text
//! log/
//!   log.json                          the format and the number of partitions, fixed for the log's life
//!   lock                              held by the one writer
//!   partition-0/
//!     00000000000000000000.jsonl      a segment, named by the offset of its first byte
//!     00000000000067108852.jsonl      begins where the one before ended
//!   partition-1/ …
//! ```
//!
//! - **Record.** One line. Its offset is the position of its first byte in the partition's whole
//!   stream of bytes.
//! - **Partition.** A symbol's stable hash modulo the number of partitions.
//! - **Log time.** Not stored beside the line: a feed writes it into the line, as `received`.
//! - **Visible and durable.** A flushed line is visible to readers in the process; a synchronised
//!   line is durable, which [`FileLogConfig::fsync_interval_ms`] controls. A crash of the process
//!   loses the lines not flushed; a crash of the machine, the lines not synchronised.
//! - **Start.** A torn last line, left by a crash during a write, is cut off. Any other damage is
//!   an error: everything else derives from the log, so it is not repaired by guessing.
//! - **Retention.** None: a segment is never removed.

mod appender;
mod backwards;
mod config;
mod ends;
#[cfg(test)]
mod laws;
mod log;
mod manifest;
mod segments;
mod sink;
mod source;
#[cfg(test)]
mod tests;

pub use config::FileLogConfig;
pub use log::FileLog;
pub use sink::FileLogWriter;
pub use source::FileLogReader;
