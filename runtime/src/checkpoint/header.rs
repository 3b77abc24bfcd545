//! The header of a part: its identity and its layout, as JSON in front of the rows.

use super::PartHead;
use super::names::run_text;
use super::origin::Origin;
use super::section::Section;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tallow_dataflow::{CheckpointId, ResumePoint};
use tallow_model::EventTime;
use tallow_model::error::Error;

/// The header describes the part well enough to read it without this program. A reader ignores
/// fields that it does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    /// The program that wrote the part.
    pub(super) program: String,
    /// The source of the records.
    pub(super) source: String,
    /// The settings that change what the results mean.
    pub(super) meaning: BTreeMap<String, String>,
    /// The frontier in RFC 3339, for human readers.
    pub(super) frontier: String,
    /// The frontier, in milliseconds.
    pub(super) frontier_ms: u64,
    /// The run, in hexadecimal digits.
    pub(super) run: String,
    /// The worker that the part belongs to.
    pub(super) worker: usize,
    /// The number of workers.
    pub(super) workers: usize,
    /// The resume points of the worker's partitions.
    pub(super) partitions: Vec<ResumePoint>,
    /// The encoding of a row: `postcard`.
    pub(super) encoding: String,
    /// The compression of a chunk: `zstd`.
    pub(super) compression: String,
    /// The algorithm of the last 32 bytes, a checksum of all bytes before them: `blake3`.
    pub(super) checksum: String,
    /// The kinds of rows, in the order of their numbers.
    pub(super) sections: Vec<SectionHeader>,
}

/// One kind of rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SectionHeader {
    /// The section's number in the chunks.
    pub(super) number: u8,
    /// The section's name.
    pub(super) name: String,
    /// The number of rows in all chunks.
    pub(super) rows: u64,
    /// The fields of a row, in the order in which they are written.
    pub(super) fields: Vec<String>,
}

pub(super) const ENCODING: &str = "postcard";
pub(super) const COMPRESSION: &str = "zstd";
pub(super) const CHECKSUM: &str = "blake3";

impl Header {
    /// Returns the header of a part with this many rows of each kind.
    pub(super) fn new(head: &PartHead, origin: &Origin, rows: [u64; Section::COUNT]) -> Header {
        let sections = Section::ALL.into_iter().zip(rows).map(|(section, rows)| SectionHeader {
            number: section.number(),
            name: section.name().to_owned(),
            rows,
            fields: section.fields(),
        });
        Header {
            program: concat!("tallow ", env!("CARGO_PKG_VERSION")).to_owned(),
            source: origin.source.clone(),
            meaning: origin.meaning.iter().cloned().collect(),
            frontier: head.id.frontier.rfc3339(),
            frontier_ms: head.id.frontier.millis(),
            run: run_text(head.id.run),
            worker: head.worker,
            workers: head.workers,
            partitions: head.partitions.clone(),
            encoding: ENCODING.to_owned(),
            compression: COMPRESSION.to_owned(),
            checksum: CHECKSUM.to_owned(),
            sections: sections.collect(),
        }
    }

    /// Returns the part's identity and resume points.
    pub(super) fn head(&self) -> Result<PartHead, String> {
        let run = u128::from_str_radix(&self.run, 16).map_err(|_| format!("{:?} is no run", self.run))?;
        if self.worker >= self.workers {
            return Err(format!("it is said to be of worker {} of {}", self.worker, self.workers));
        }
        let id = CheckpointId { frontier: EventTime(self.frontier_ms), run };
        let partitions = self.partitions.clone();
        Ok(PartHead { id, worker: self.worker, workers: self.workers, partitions })
    }

    /// Returns the number of rows of each kind, if this program can read them.
    pub(super) fn rows(&self) -> Result<[u64; Section::COUNT], String> {
        let written = [&self.encoding, &self.compression, &self.checksum];
        if written.map(String::as_str) != [ENCODING, COMPRESSION, CHECKSUM] {
            return Err(format!("it is written in {written:?}, which this program does not read"));
        }
        let mut rows = [0; Section::COUNT];
        for section in &self.sections {
            let known = Section::ALL.into_iter().find(|known| known.number() == section.number);
            let Some(known) = known.filter(|known| section.fields == known.fields()) else {
                return Err(format!("its {} have fields that this program does not know", section.name));
            };
            rows[known.index()] = section.rows;
        }
        Ok(rows)
    }

    /// Returns the differences from this program's origin: none if the part can be resumed from.
    pub(super) fn differences(&self, origin: &Origin) -> Vec<String> {
        let mut differences = Vec::new();
        let mut compare = |name: &str, was: Option<&str>, is: Option<&str>| {
            if was != is {
                let text = |value: Option<&str>| value.map_or("not there".to_owned(), str::to_owned);
                differences.push(format!("{name} was {} and is {}", text(was), text(is)));
            }
        };
        compare("the source", Some(&self.source), Some(&origin.source));
        let now: BTreeMap<&str, &str> =
            origin.meaning.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        for (name, value) in &now {
            compare(name, self.meaning.get(*name).map(String::as_str), Some(value));
        }
        for (name, value) in self.meaning.iter().filter(|(name, _)| !now.contains_key(name.as_str())) {
            compare(name, Some(value), None);
        }
        differences
    }

    pub(super) fn to_json(&self) -> Result<Vec<u8>, Error> {
        // A header consists of text and numbers, and no map in it has a key that JSON can't have.
        serde_json::to_vec(self).map_err(|error| Error::Invalid(format!("write a header as JSON: {error}")))
    }
}
