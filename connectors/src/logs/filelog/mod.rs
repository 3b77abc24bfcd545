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
//! - **Record.** One line. Its offset is the position of its first byte in the partition's whole stream of bytes.
//! - **Partition.** Of a symbol: its stable hash modulo the number of partitions.
//! - **Log time.** Is not kept beside the line: a feed writes it into the line, as `received`.
//! - **Visible** to readers in the process is a line once it is flushed; **durable** once it is synchronised, which
//!   [`FileLogConfig::fsync_interval_ms`] governs. A crash of the process loses what was not flushed; a crash of the
//!   machine what was not synchronised.
//! - **Start.** A torn last line, left by a crash in mid-write, is cut off. Anything else that is not as it must be
//!   is an error: the log is the truth of everything after it, so it is not repaired by guessing.
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
