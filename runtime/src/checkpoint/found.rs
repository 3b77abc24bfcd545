//! A complete checkpoint, found in the bucket.

use super::format::StoredPart;
use super::names;
use super::origin::Origin;
use std::collections::BTreeSet;
use tallow_dataflow::{CheckpointId, ResumePoint, State};
use tallow_model::error::Error;

/// A checkpoint with all its parts, each with the right checksum. It holds their bytes, still
/// compressed.
#[derive(Clone, Debug)]
pub struct Found {
    /// The checkpoint's frontier and run.
    pub id: CheckpointId,
    /// The number of parts, one for each worker of the run that took it.
    pub parts: usize,
    /// The resume points of all partitions, by partition.
    pub partitions: Vec<ResumePoint>,
    /// The number of bytes.
    pub bytes: u64,
    /// The number of rows: minutes, moves and roll-ups.
    pub rows: u64,
    /// The program that wrote the checkpoint.
    pub program: String,
    stored: Vec<StoredPart>,
}

impl Found {
    /// Returns the checkpoint of all its parts.
    pub(super) fn new(id: CheckpointId, stored: Vec<StoredPart>) -> Result<Found, Error> {
        let damaged = |detail: String| Error::Damaged { what: names::folder(id), detail };
        let Some(first) = stored.first() else { return Err(damaged("it has no parts".to_owned())) };
        let program = first.header.program.clone();
        let of = |part: &StoredPart| (part.header.source.clone(), part.header.meaning.clone());
        if stored.iter().any(|part| of(part) != of(first)) {
            return Err(damaged("its parts were taken under different settings".to_owned()));
        }
        let mut partitions: Vec<ResumePoint> =
            stored.iter().flat_map(|part| part.head.partitions.iter().copied()).collect();
        partitions.sort_by_key(|point| point.partition);
        let distinct: BTreeSet<u32> = partitions.iter().map(|point| point.partition).collect();
        if distinct.len() < partitions.len() {
            return Err(damaged("a partition is in more than one part".to_owned()));
        }
        let bytes = stored.iter().map(StoredPart::size).sum();
        let rows = stored.iter().map(StoredPart::rows).sum();
        Ok(Found { id, parts: stored.len(), partitions, bytes, rows, program, stored })
    }

    /// Returns a name that no other checkpoint has, not even one of the same frontier and run with
    /// other content. Processes compare it, because all of them must resume from the same
    /// checkpoint.
    pub fn name(&self) -> String {
        let mut hash = blake3::Hasher::new();
        self.stored.iter().for_each(|part| {
            hash.update(&part.checksum);
        });
        let content = hash.finalize().to_hex();
        format!("{}-{}-{}", names::folder(self.id), self.parts, &content[..16])
    }

    /// Returns the state that worker `index` of `of` resumes from. Each part goes to exactly one
    /// worker.
    ///
    /// # Errors
    /// If the rows can't be decoded although the checksum was right.
    pub fn share(&self, index: usize, of: usize) -> Result<State, Error> {
        let mut state = State::default();
        for part in self.stored.iter().skip(index).step_by(of.max(1)) {
            part.decode_into(&mut state)?;
        }
        Ok(state)
    }

    /// Returns the differences between the checkpoint's origin and the program's.
    pub(super) fn differences(&self, origin: &Origin) -> Vec<String> {
        self.stored.first().map(|part| part.header.differences(origin)).unwrap_or_default()
    }
}
