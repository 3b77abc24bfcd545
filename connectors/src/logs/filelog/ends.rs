//! The ends of partitions: from memory if the writer is in this process, or from the folder.

use super::segments::{self, Segment};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tallow_model::error::Error;

/// The flushed end of each partition, kept by the writer of this process.
pub(super) type SharedEnds = Arc<[AtomicU64]>;

/// Returns the end of the whole lines in a partition's folder.
pub(super) fn end_in_folder(partition: &Path) -> Result<u64, Error> {
    match segments::list(partition)?.last() {
        None => Ok(0),
        Some(newest) => Ok(newest.base + Segment::whole_lines(newest)?),
    }
}
