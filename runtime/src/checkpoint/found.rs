//! A checkpoint that was found and is whole.

use super::format::StoredPart;
use super::names;
use super::origin::Origin;
use std::collections::BTreeSet;
use tallow_dataflow::{CheckpointId, ResumePoint, State};
use tallow_model::error::Error;

/// A checkpoint whose parts are all there and have the right checksum. It holds their bytes, compressed as they were read.
#[derive(Clone, Debug)]
pub struct Found {
    /// Which one.
    pub id: CheckpointId,
    /// How many parts it has: how many workers there were then.
    pub parts: usize,
    /// Where all partitions are read on, in their order.
    pub partitions: Vec<ResumePoint>,
    /// How many bytes it has.
    pub bytes: u64,
    /// How many minutes, moves and roll-ups.
    pub rows: u64,
    /// The program that wrote it.
    pub program: String,
    stored: Vec<StoredPart>,
}

impl Found {
    /// That of all its parts.
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

    /// What tells it from every other checkpoint, and from one of the same name with other content: what processes
    /// compare that must all take up the same.
    pub fn name(&self) -> String {
        let mut hash = blake3::Hasher::new();
        self.stored.iter().for_each(|part| {
            hash.update(&part.checksum);
        });
        let content = hash.finalize().to_hex();
        format!("{}-{}-{}", names::folder(self.id), self.parts, &content[..16])
    }

    /// The state that worker `index` of `of` takes up: each part goes to exactly one of them.
    ///
    /// # Errors
    /// When the rows can't be read although the checksum was right.
    pub fn share(&self, index: usize, of: usize) -> Result<State, Error> {
        let mut state = State::default();
        for part in self.stored.iter().skip(index).step_by(of.max(1)) {
            part.decode_into(&mut state)?;
        }
        Ok(state)
    }

    /// What differs from where and how the program reads now.
    pub(super) fn differences(&self, origin: &Origin) -> Vec<String> {
        self.stored.first().map(|part| part.header.differences(origin)).unwrap_or_default()
    }
}
