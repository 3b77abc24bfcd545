//! JSONL files as bounded partitions: a file is a partition, a line is a record.
//!
//! - **Formats.** Plain text, gzip (any number of members) and zstd (any number of frames). The
//!   first bytes decide, never the name. `-` is standard input.
//! - **Offset.** The position of the line's first byte in the *uncompressed* stream.
//! - **Lines.** They end with `\n` or `\r\n`; the last one need not end at all. A line of white
//!   space is no record. A byte order mark at the start of the stream is skipped. Of a line longer
//!   than [`MAX_LINE`] only the first [`MAX_LINE`] bytes are shown, so that one endless line can't
//!   take all memory; no tick is that long.
//! - **Failure.** The records before the failure are delivered, then the partition fails with the
//!   reason.

mod ahead;
mod codec;
mod lines;
mod source;

pub use lines::MAX_LINE;
pub(crate) use lines::{Lines, Pause};
pub use source::FileReader;
