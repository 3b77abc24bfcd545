//! Content codings of a body that is made while it is sent. Each chunk is compressed when it comes,
//! on a thread of its own, and the client can read it when it arrives; the coding looks back over
//! the chunks before.

use super::{BROTLI_BUFFER, BROTLI_LEVEL, BROTLI_WINDOW, Coding, GZIP_LEVEL, ZSTD_LEVEL};
use crate::http::response::{Broken, Chunks};
use brotli::CompressorWriter;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::TryStreamExt;
use futures_util::stream::try_unfold;
use std::io::{self, Write};

/// Returns the chunks in this coding. A body that breaks off has no end in the coding either.
///
/// # Errors
/// If the library fails, for which it has no reason in memory.
pub(crate) fn encoded(coding: Coding, chunks: Chunks) -> io::Result<Chunks> {
    let start = Some((chunks, Encoder::new(coding)?));
    Ok(Box::pin(try_unfold(start, |state| async {
        let Some((mut chunks, encoder)) = state else { return Ok(None) };
        let plain = chunks.try_next().await?;
        let work = tokio::task::spawn_blocking(move || encoder.take(plain.as_deref()));
        let (compressed, encoder) = work.await.map_err(Broken::of)?.map_err(Broken::of)?;
        Ok(Some((compressed, encoder.map(|encoder| (chunks, encoder)))))
    })))
}

/// The encoder of one body.
enum Encoder {
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Brotli(Box<CompressorWriter<Vec<u8>>>),
    Gzip(GzEncoder<Vec<u8>>),
}

impl Encoder {
    fn new(coding: Coding) -> io::Result<Encoder> {
        let compressed = Vec::new();
        Ok(match coding {
            Coding::Zstd => Encoder::Zstd(zstd::stream::write::Encoder::new(compressed, ZSTD_LEVEL)?),
            Coding::Brotli => Encoder::Brotli(Box::new(CompressorWriter::new(
                compressed,
                BROTLI_BUFFER,
                BROTLI_LEVEL,
                BROTLI_WINDOW,
            ))),
            Coding::Gzip => Encoder::Gzip(GzEncoder::new(compressed, Compression::new(GZIP_LEVEL))),
        })
    }

    /// Compresses a chunk, or ends the body if there is none; then no encoder is returned.
    fn take(mut self, plain: Option<&[u8]>) -> io::Result<(Bytes, Option<Encoder>)> {
        let Some(plain) = plain else { return Ok((self.end()?.into(), None)) };
        let writer: &mut dyn Write = match &mut self {
            Encoder::Zstd(encoder) => encoder,
            Encoder::Brotli(encoder) => encoder,
            Encoder::Gzip(encoder) => encoder,
        };
        writer.write_all(plain)?;
        writer.flush()?;
        let compressed = match &mut self {
            Encoder::Zstd(encoder) => encoder.get_mut(),
            Encoder::Brotli(encoder) => encoder.get_mut(),
            Encoder::Gzip(encoder) => encoder.get_mut(),
        };
        Ok((std::mem::take(compressed).into(), Some(self)))
    }

    fn end(self) -> io::Result<Vec<u8>> {
        match self {
            Encoder::Zstd(encoder) => encoder.finish(),
            Encoder::Brotli(encoder) => Ok(encoder.into_inner()),
            Encoder::Gzip(encoder) => encoder.finish(),
        }
    }
}
