//! The bytes of a part.
//!
//! ```text
//! magic            8 bytes    TALLOWCP
//! format version   u32
//! header length    u32
//! header           JSON
//! chunk, any number of times:
//!   section        u8         1 minutes, 2 moves, 3 rollups
//!   rows           u32        at most 8192
//!   length         u32        of the rows, at most 4 MiB
//!   length         u32        of the rows compressed
//!   rows           postcard, one after the other, compressed by zstd
//! checksum         32 bytes   BLAKE3 of all bytes before
//! ```
//! Numbers are little-endian. What stays the same in every version: the magic, the version after
//! it, and the checksum at the end. So damage is told from a version that this program doesn't
//! know.

use super::header::Header;
use super::origin::Origin;
use super::section::{Row, Section};
use super::{PartHead, PartSource};
use bytes::{Buf, Bytes, BytesMut};
use object_store::PutPayload;
use tallow_dataflow::{RetainedMinute, RetainedReturn, RollupVersions, State};
use tallow_model::error::Error;

const MAGIC: [u8; 8] = *b"TALLOWCP";
const VERSION: u32 = 1;
/// Magic, version and the length of the header.
const PREAMBLE: usize = 16;
const CHECKSUM: usize = blake3::OUT_LEN;
/// The most rows in a chunk.
const MAX_CHUNK_ROWS: usize = 8_192;
/// The most bytes of a chunk's rows, uncompressed: a row has 300 bytes at most.
const MAX_CHUNK_BYTES: usize = 4 << 20;
/// The section and the lengths of a chunk.
const CHUNK_HEAD: usize = 13;
/// Higher levels take longer than they save: see `examples/checkpoint_speed.rs`.
const COMPRESSION_LEVEL: i32 = 1;

/// An encoded part.
#[derive(Clone, Debug)]
pub struct EncodedPart {
    /// The part's identity and resume points.
    pub head: PartHead,
    content: PutPayload,
}

impl EncodedPart {
    /// Returns the bytes, in pieces.
    pub(super) fn content(&self) -> PutPayload {
        self.content.clone()
    }

    /// Returns the number of bytes.
    pub fn size(&self) -> u64 {
        self.content.content_length() as u64
    }

    /// Returns whether the part has exactly these bytes.
    pub(super) fn is_same(&self, mut bytes: &[u8]) -> bool {
        self.content.iter().all(|piece| match bytes.split_at_checked(piece.len()) {
            Some((start, rest)) => {
                bytes = rest;
                start == piece
            }
            None => false,
        }) && bytes.is_empty()
    }

    /// Returns the bytes in one piece.
    pub fn into_bytes(self) -> Bytes {
        self.content.into()
    }
}

/// Encodes a part. Memory holds one piece of its rows at a time, and the compressed bytes.
///
/// # Errors
/// If the rows can't be serialised, which is a mistake of the program.
pub fn encode(part: &dyn PartSource, origin: &Origin) -> Result<EncodedPart, Error> {
    let mut chunks = Chunks::new().map_err(cannot_compress)?;
    part.for_each_piece(&mut |piece| chunks.add(&piece))?;
    let head = part.head();
    let header = Header::new(&head, origin, chunks.rows).to_json()?;
    let mut front = BytesMut::with_capacity(PREAMBLE + header.len());
    front.extend_from_slice(&MAGIC);
    front.extend_from_slice(&VERSION.to_le_bytes());
    front.extend_from_slice(&length(header.len())?);
    front.extend_from_slice(&header);
    let mut content = vec![front.freeze()];
    content.append(&mut chunks.written);
    let mut hash = blake3::Hasher::new();
    content.iter().for_each(|piece| {
        hash.update(piece);
    });
    content.push(Bytes::copy_from_slice(hash.finalize().as_bytes()));
    Ok(EncodedPart { head, content: content.into_iter().collect() })
}

fn length(of: usize) -> Result<[u8; 4], Error> {
    let length = u32::try_from(of).map_err(|_| Error::Invalid(format!("{of} bytes don't fit in a part")))?;
    Ok(length.to_le_bytes())
}

fn cannot_compress(error: std::io::Error) -> Error {
    Error::Invalid(format!("compress rows of a checkpoint: {error}"))
}

/// The chunks written so far.
struct Chunks {
    compressor: zstd::bulk::Compressor<'static>,
    written: Vec<Bytes>,
    /// The number of rows in each section.
    rows: [u64; Section::COUNT],
    /// A buffer for the rows of a chunk.
    room: Vec<u8>,
}

impl Chunks {
    fn new() -> std::io::Result<Chunks> {
        let compressor = zstd::bulk::Compressor::new(COMPRESSION_LEVEL)?;
        Ok(Chunks { compressor, written: Vec::new(), rows: [0; Section::COUNT], room: Vec::new() })
    }

    fn add(&mut self, piece: &State) -> Result<(), Error> {
        self.add_rows::<RetainedMinute>(piece)?;
        self.add_rows::<RetainedReturn>(piece)?;
        self.add_rows::<RollupVersions>(piece)
    }

    fn add_rows<R: Row>(&mut self, piece: &State) -> Result<(), Error> {
        for rows in R::of(piece).chunks(MAX_CHUNK_ROWS) {
            let mut room = std::mem::take(&mut self.room);
            room.clear();
            for row in rows {
                room = postcard::to_extend(row, room)
                    .map_err(|error| Error::Invalid(format!("write a row of a checkpoint: {error}")))?;
            }
            let compressed = self.compressor.compress(&room).map_err(cannot_compress)?;
            let mut chunk = BytesMut::with_capacity(CHUNK_HEAD + compressed.len());
            chunk.extend_from_slice(&[R::SECTION.number()]);
            for number in [rows.len(), room.len(), compressed.len()] {
                chunk.extend_from_slice(&length(number)?);
            }
            chunk.extend_from_slice(&compressed);
            self.written.push(chunk.freeze());
            self.rows[R::SECTION.index()] += rows.len() as u64;
            self.room = room;
        }
        Ok(())
    }
}

/// A part with the right checksum and a known header. Its rows are decoded on demand.
#[derive(Clone, Debug)]
pub struct StoredPart {
    /// The part's identity and resume points.
    pub head: PartHead,
    pub(super) header: Header,
    /// The part's name in messages.
    name: String,
    chunks: Bytes,
    rows: [u64; Section::COUNT],
    pub(super) checksum: [u8; CHECKSUM],
    size: u64,
}

impl StoredPart {
    /// Reads the bytes of the object of that name.
    ///
    /// # Errors
    /// If they are no part or are damaged, or if this program does not know their format.
    pub fn read(name: &str, bytes: Bytes) -> Result<StoredPart, Error> {
        let damaged = |detail: &str| Error::Damaged { what: name.to_owned(), detail: detail.to_owned() };
        if bytes.len() < PREAMBLE + CHECKSUM {
            return Err(damaged(&format!("it has {} bytes only", bytes.len())));
        }
        let checksummed = bytes.slice(..bytes.len() - CHECKSUM);
        let checksum = blake3::hash(&checksummed);
        if checksum.as_bytes()[..] != bytes[checksummed.len()..] {
            return Err(damaged("its checksum is wrong"));
        }
        let mut chunks = checksummed;
        if chunks.split_to(MAGIC.len()) != MAGIC[..] {
            return Err(damaged("it is no part of a checkpoint"));
        }
        let version = chunks.get_u32_le();
        if version != VERSION {
            return Err(Error::Invalid(format!(
                "{name} has format {version} and this program reads format {VERSION}: another version of it wrote that"
            )));
        }
        let header_length = chunks.get_u32_le() as usize;
        if header_length > chunks.len() {
            return Err(damaged("its header is longer than it is"));
        }
        let header: Header = serde_json::from_slice(&chunks.split_to(header_length))
            .map_err(|error| damaged(&format!("its header can't be read: {error}")))?;
        let head = header.head().map_err(|detail| damaged(&detail))?;
        let rows = header.rows().map_err(|detail| damaged(&detail))?;
        let (name, size) = (name.to_owned(), bytes.len() as u64);
        Ok(StoredPart { head, header, name, chunks, rows, checksum: *checksum.as_bytes(), size })
    }

    /// Returns the number of bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the number of rows.
    pub fn rows(&self) -> u64 {
        self.rows.iter().sum()
    }

    /// Adds the rows to the state.
    ///
    /// # Errors
    /// If the rows can't be decoded although the checksum was right. Some of them may have been
    /// added then.
    pub fn decode_into(&self, state: &mut State) -> Result<(), Error> {
        let damaged = |detail: String| Error::Damaged { what: self.name.clone(), detail };
        let mut reader = Reader::new().map_err(|error| damaged(error.to_string()))?;
        let mut chunks = self.chunks.clone();
        while !chunks.is_empty() {
            reader.read_chunk(&mut chunks, state).map_err(damaged)?;
        }
        if reader.rows != self.rows {
            return Err(damaged(format!("it has {:?} rows and not {:?} as it says", reader.rows, self.rows)));
        }
        Ok(())
    }
}

/// Reads chunks. A chunk gets no more memory than a chunk may have, whatever its lengths claim.
struct Reader {
    decompressor: zstd::bulk::Decompressor<'static>,
    rows: [u64; Section::COUNT],
    room: Vec<u8>,
}

impl Reader {
    fn new() -> std::io::Result<Reader> {
        let decompressor = zstd::bulk::Decompressor::new()?;
        Ok(Reader { decompressor, rows: [0; Section::COUNT], room: Vec::with_capacity(MAX_CHUNK_BYTES) })
    }

    fn read_chunk(&mut self, from: &mut Bytes, state: &mut State) -> Result<(), String> {
        if from.len() < CHUNK_HEAD {
            return Err("it ends within a chunk".to_owned());
        }
        let number = from.get_u8();
        let mut length = || from.get_u32_le() as usize;
        let (rows, expanded, compressed) = (length(), length(), length());
        let section = Section::of_number(number).ok_or_else(|| format!("a chunk is of section {number}"))?;
        if rows > MAX_CHUNK_ROWS || expanded > MAX_CHUNK_BYTES || compressed > from.len() {
            return Err(format!("a chunk has {rows} rows in {expanded} bytes, {compressed} compressed"));
        }
        self.room.clear();
        let compressed = from.split_to(compressed);
        let decompressed = self.decompressor.decompress_to_buffer(&compressed, &mut self.room);
        if decompressed.map_err(|error| format!("a chunk can't be decompressed: {error}"))? != expanded {
            return Err("a chunk is not as long as it says".to_owned());
        }
        self.rows[section.index()] += rows as u64;
        match section {
            Section::Minutes => self.decode_rows::<RetainedMinute>(rows, state),
            Section::Moves => self.decode_rows::<RetainedReturn>(rows, state),
            Section::Rollups => self.decode_rows::<RollupVersions>(rows, state),
        }
    }

    fn decode_rows<R: Row>(&self, rows: usize, state: &mut State) -> Result<(), String> {
        let to = R::of_mut(state);
        let mut rest = self.room.as_slice();
        for _ in 0..rows {
            let row: R;
            (row, rest) = postcard::take_from_bytes(rest)
                .map_err(|error| format!("a row of the {} can't be read: {error}", R::SECTION.name()))?;
            row.check()?;
            to.push(row);
        }
        if !rest.is_empty() {
            return Err("a chunk has more than its rows".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
