//! Detection of plain, gzip and zstd streams by their first bytes, and decompression.

use std::fmt;
use std::io::{self, BufReader, Cursor, ErrorKind, Read};

/// The compression of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Plain,
    /// gzip, of one or more members.
    Gzip,
    /// zstd, of one or more frames.
    Zstd,
}

/// Number of bytes that tell the formats apart.
const MAGIC_LEN: usize = 4;

/// Size of a read from a compressed file.
const COMPRESSED_BUFFER: usize = 128 << 10;

impl Codec {
    /// Returns the codec of a stream that begins with these bytes.
    fn of(start: &[u8]) -> Codec {
        match start {
            [0x1f, 0x8b, 0x08, ..] => Codec::Gzip,
            // A frame, or the skippable frame that parallel compressors begin with.
            [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Codec::Zstd,
            _ => Codec::Plain,
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Codec::Plain => "plain",
            Codec::Gzip => "gzip",
            Codec::Zstd => "zstd",
        })
    }
}

/// A stream, decompressed.
pub(super) struct Decoder {
    codec: Codec,
    stream: Box<dyn Read + Send>,
}

impl Decoder {
    /// Reads the first bytes of a stream to detect its codec.
    ///
    /// # Errors
    /// When they can't be read.
    pub(super) fn new(mut stream: impl Read + Send + 'static) -> io::Result<Decoder> {
        let mut start = Vec::with_capacity(MAGIC_LEN);
        stream.by_ref().take(MAGIC_LEN as u64).read_to_end(&mut start)?;
        let codec = Codec::of(&start);
        let whole = Cursor::new(start).chain(stream);
        let buffered = |whole| BufReader::with_capacity(COMPRESSED_BUFFER, whole);
        let stream: Box<dyn Read + Send> = match codec {
            Codec::Plain => Box::new(whole),
            Codec::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(buffered(whole))),
            Codec::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(buffered(whole))?),
        };
        Ok(Decoder { codec, stream })
    }

    /// Returns the detected codec.
    pub(super) fn codec(&self) -> Codec {
        self.codec
    }
}

impl Read for Decoder {
    #[inline]
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.read(into).map_err(|error| explained(self.codec, error))
    }
}

/// Adds to a decoder's error that the compressed data is damaged, if it is.
#[cold]
fn explained(codec: Codec, error: io::Error) -> io::Error {
    let from_the_system = error.raw_os_error().is_some() || error.kind() == ErrorKind::Interrupted;
    if codec == Codec::Plain || from_the_system {
        return error;
    }
    let text = match error.kind() {
        ErrorKind::UnexpectedEof => format!("{codec} stream ends early"),
        _ => format!("{codec} stream is damaged: {error}"),
    };
    io::Error::new(error.kind(), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_decide() {
        assert_eq!(Codec::of(b"{\"sy"), Codec::Plain);
        assert_eq!(Codec::of(b""), Codec::Plain);
        assert_eq!(Codec::of(&[0x1f, 0x8b, 0x08, 0x00]), Codec::Gzip);
        assert_eq!(Codec::of(&[0x28, 0xb5, 0x2f, 0xfd]), Codec::Zstd);
        assert_eq!(Codec::of(&[0x52, 0x2a, 0x4d, 0x18]), Codec::Zstd);
    }
}
