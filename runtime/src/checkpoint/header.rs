//! What a part says of itself, as JSON, before its rows.

use super::PartHead;
use super::names::run_text;
use super::origin::Origin;
use super::section::Section;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tallow_dataflow::{CheckpointId, ResumePoint};
use tallow_model::EventTime;
use tallow_model::error::Error;

/// Enough to know what is in a part, and to read it without this program. A reader ignores what it doesn't know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    /// The program that wrote it.
    pub(super) program: String,
    /// Where the records come from.
    pub(super) source: String,
    /// The settings that change what the results mean.
    pub(super) meaning: BTreeMap<String, String>,
    /// The frontier, for eyes.
    pub(super) frontier: String,
    /// The frontier, in milliseconds.
    pub(super) frontier_ms: u64,
    /// The run, in hexadecimal digits.
    pub(super) run: String,
    /// Which worker's part.
    pub(super) worker: usize,
    /// Of how many.
    pub(super) workers: usize,
    /// Where its partitions are read on.
    pub(super) partitions: Vec<ResumePoint>,
    /// How a row is written: `postcard`.
    pub(super) encoding: String,
    /// How a chunk of rows is compressed: `zstd`.
    pub(super) compression: String,
    /// What the last 32 bytes are of all before them: `blake3`.
    pub(super) checksum: String,
    /// The kinds of rows, in the order of their numbers.
    pub(super) sections: Vec<SectionHeader>,
}

/// One kind of rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SectionHeader {
    /// Its number in the chunks.
    pub(super) number: u8,
    /// What they are.
    pub(super) name: String,
    /// How many there are in all chunks.
    pub(super) rows: u64,
    /// What a row consists of, in the order in which it is written.
    pub(super) fields: Vec<String>,
}

pub(super) const ENCODING: &str = "postcard";
pub(super) const COMPRESSION: &str = "zstd";
pub(super) const CHECKSUM: &str = "blake3";

impl Header {
    /// That of a part with so many rows of each kind.
    pub(super) fn new(head: &PartHead, origin: &Origin, rows: [u64; Section::COUNT]) -> Header {
        let sections = Section::ALL.into_iter().zip(rows).map(|(section, rows)| SectionHeader {
            number: section.number(),
            name: section.name().to_owned(),
            rows,
            fields: section.fields().iter().map(|field| (*field).to_owned()).collect(),
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

    /// Which part of which checkpoint it is, where it makes sense to this program.
    pub(super) fn head(&self) -> Result<PartHead, String> {
        let run = u128::from_str_radix(&self.run, 16).map_err(|_| format!("{:?} is no run", self.run))?;
        if self.worker >= self.workers {
            return Err(format!("it is said to be of worker {} of {}", self.worker, self.workers));
        }
        let id = CheckpointId { frontier: EventTime(self.frontier_ms), run };
        let partitions = self.partitions.clone();
        Ok(PartHead { id, worker: self.worker, workers: self.workers, partitions })
    }

    /// How many rows there are of each kind, where they are written as this program reads them.
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

    /// What differs from where and how this program reads: nothing where the part can be taken up.
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
        // A header is text and numbers; no map in it has a key that JSON can't have.
        serde_json::to_vec(self).map_err(|error| Error::Invalid(format!("write a header as JSON: {error}")))
    }
}
