//! Content codings after RFC 9110: the choice of a coding from `Accept-Encoding`, and the
//! compression.
//!
//! The levels are low, as a response is compressed for each request. A thousand candles, the
//! longest response of 320 kB, take on one core of a small virtual machine: zstd at level 1 0.5 ms
//! to 18 %, brotli at level 1 1.3 ms to 20 %, gzip at level 3 1.7 ms to 21 %. The next levels take
//! twice the time for two percentage points less, and gzip's level 1 leaves 32 %. Responses longer
//! than [`INLINE_BYTES`] are compressed on a thread of their own, so that no other request waits.

pub(crate) mod streamed;

use crate::http::response::Response;
use bytes::Bytes;
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use hyper::{StatusCode, header};
use std::io::{self, Write};

/// The least length that is compressed, in bytes: a shorter body fits into one packet anyway.
const MIN_BYTES: usize = 1024;

/// The greatest length that is compressed on the spot, in bytes: it takes 0.2 ms.
const INLINE_BYTES: usize = 32 * 1024;

/// The window of brotli, as a power of two: larger than the longest response.
const BROTLI_WINDOW: u32 = 19;
/// The size of the buffer of brotli, in bytes.
const BROTLI_BUFFER: usize = 4096;

const ZSTD_LEVEL: i32 = 1;
const BROTLI_LEVEL: u32 = 1;
const GZIP_LEVEL: u32 = 3;

/// A weight of `1`, in thousandths.
const FULL_WEIGHT: u16 = 1000;

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Zstd,
    Brotli,
    Gzip,
}

impl Coding {
    /// The codings, the one that the server prefers first: the order decides between equal weights.
    const ALL: [Coding; 3] = [Coding::Zstd, Coding::Brotli, Coding::Gzip];

    /// Returns the name of the coding in headers.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Coding::Zstd => "zstd",
            Coding::Brotli => "br",
            Coding::Gzip => "gzip",
        }
    }

    /// Returns the body in this coding. A long body is compressed on a thread of its own.
    ///
    /// # Errors
    /// If the library fails, for which it has no reason in memory.
    pub(crate) async fn encode(self, body: Bytes) -> io::Result<Bytes> {
        if body.len() <= INLINE_BYTES {
            return self.compress(&body);
        }
        tokio::task::spawn_blocking(move || self.compress(&body)).await?
    }

    fn compress(self, body: &[u8]) -> io::Result<Bytes> {
        let compressed = match self {
            Coding::Zstd => zstd::bulk::compress(body, ZSTD_LEVEL)?,
            Coding::Brotli => {
                let mut compressed = Vec::new();
                let mut writer = brotli::CompressorWriter::new(
                    &mut compressed,
                    BROTLI_BUFFER,
                    BROTLI_LEVEL,
                    BROTLI_WINDOW,
                );
                writer.write_all(body)?;
                drop(writer);
                compressed
            }
            Coding::Gzip => {
                let level = flate2::Compression::new(GZIP_LEVEL);
                let mut writer = flate2::write::GzEncoder::new(Vec::new(), level);
                writer.write_all(body)?;
                writer.finish()?
            }
        };
        Ok(compressed.into())
    }
}

/// The weights that a client gives to the codings, in thousandths; `None` for a coding that it does
/// not name.
#[derive(Default)]
pub(crate) struct Accepted {
    codings: [Option<u16>; Coding::ALL.len()],
    identity: Option<u16>,
    /// The weight of every coding that is not named.
    others: Option<u16>,
}

/// The client accepts none of the codings of the server.
#[derive(Debug, PartialEq)]
pub(crate) struct NoneAccepted;

impl Accepted {
    /// Reads `Accept-Encoding`. An entry with an invalid weight or an unknown coding is ignored.
    pub(crate) fn of(headers: &HeaderMap) -> Accepted {
        let mut accepted = Accepted::default();
        let lines = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|line| line.to_str().ok());
        for entry in lines.flat_map(|line| line.split(',')) {
            let (name, parameter) = entry.split_once(';').unwrap_or((entry, "q=1"));
            let Some(weight) = weight(parameter) else { continue };
            let place = match &*name.trim().to_ascii_lowercase() {
                "zstd" => &mut accepted.codings[0],
                "br" => &mut accepted.codings[1],
                "gzip" | "x-gzip" => &mut accepted.codings[2],
                "identity" => &mut accepted.identity,
                "*" => &mut accepted.others,
                _ => continue,
            };
            *place = Some(weight);
        }
        accepted
    }

    /// Returns the coding for a body of this length; `None` for the plain body.
    ///
    /// # Errors
    /// If the client refuses all codings and the plain body.
    pub(crate) fn choose(&self, bytes: usize) -> Result<Option<Coding>, NoneAccepted> {
        // A coding that is neither named nor covered by `*` is refused; the plain body is not.
        let plain = self.identity.or(self.others);
        let mut best: Option<(Coding, u16)> = None;
        for (coding, named) in Coding::ALL.into_iter().zip(self.codings) {
            let weight = named.or(self.others).unwrap_or(0);
            if weight > best.map_or(0, |(_, weight)| weight) {
                best = Some((coding, weight));
            }
        }
        match best {
            Some((coding, _)) if plain == Some(0) => Ok(Some(coding)),
            Some(_) if bytes < MIN_BYTES => Ok(None),
            // The plain body outweighs a coding only under its own name.
            Some((_, weight)) if self.identity.is_some_and(|identity| identity > weight) => Ok(None),
            Some((coding, _)) => Ok(Some(coding)),
            None if plain == Some(0) => Err(NoneAccepted),
            None => Ok(None),
        }
    }
}

/// Reads a weight such as `q=0.5`, in thousandths.
fn weight(parameter: &str) -> Option<u16> {
    let (name, value) = parameter.split_once('=')?;
    let (whole, fraction) = value.trim().split_once('.').unwrap_or((value.trim(), ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !name.trim().eq_ignore_ascii_case("q") || whole.len() != 1 || fraction.len() > 3 {
        return None;
    }
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let weight: u16 = format!("{whole}{fraction:0<3}").parse().ok()?;
    (weight <= FULL_WEIGHT).then_some(weight)
}

/// Whether a response may be compressed: its body is text, complete and not compressed yet.
pub(crate) fn is_compressible(response: &Response) -> bool {
    let headers = response.headers();
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    response.status() == StatusCode::OK
        && !headers.contains_key(CONTENT_ENCODING)
        && (kind.starts_with("text/")
            || kind.ends_with("json")
            || kind == "application/jsonl"
            || kind.ends_with("xml")
            || kind.ends_with("/javascript")
            || kind == "application/openmetrics-text")
}

/// Adds `Vary`: other clients may get the response in another coding.
pub(crate) fn vary(response: &mut Response) {
    response.headers_mut().append(header::VARY, header::HeaderValue::from_static("Accept-Encoding"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(line: &str, bytes: usize) -> Result<Option<&'static str>, NoneAccepted> {
        let mut headers = HeaderMap::new();
        headers.append(ACCEPT_ENCODING, line.parse().expect("a header"));
        Accepted::of(&headers).choose(bytes).map(|coding| coding.map(Coding::name))
    }

    #[test]
    fn the_client_weighs_and_the_server_decides_between_equals() {
        for (line, expected) in [
            ("", None),
            ("gzip", Some("gzip")),
            ("GZIP;Q=1.000", Some("gzip")),
            ("x-gzip", Some("gzip")),
            ("gzip, deflate, br, zstd", Some("zstd")),
            ("gzip, deflate, br", Some("br")),
            ("gzip;q=0.8, br;q=0.7", Some("gzip")),
            ("gzip ; q = 0.001", Some("gzip")),
            ("*", Some("zstd")),
            ("*, zstd;q=0", Some("br")),
            ("*;q=0.5, gzip", Some("gzip")),
            ("gzip;q=0", None),
            ("*;q=0, identity", None),
            ("gzip;q=0.5, identity", None),
            ("gzip;q=0.5, identity;q=0.5", Some("gzip")),
            ("gzip;q=0.5, *;q=0", Some("gzip")),
            ("gzip;q=2, br;q=x, zstd;q=0.1234, deflate", None),
            ("gzip;level=9", None),
        ] {
            assert_eq!(chosen(line, MIN_BYTES), Ok(expected), "{line:?}");
        }
        assert_eq!(Accepted::default().choose(MIN_BYTES), Ok(None));
    }

    #[test]
    fn a_short_body_stays_as_it_is_unless_that_is_refused() {
        assert_eq!(chosen("gzip, br, zstd", MIN_BYTES - 1), Ok(None));
        assert_eq!(chosen("gzip, identity;q=0", 1), Ok(Some("gzip")));
        assert_eq!(chosen("gzip, *;q=0", 1), Ok(Some("gzip")));
    }

    #[test]
    fn who_refuses_everything_is_told_so() {
        for line in ["*;q=0", "identity;q=0", "deflate, identity;q=0", "gzip;q=0, identity;q=0"] {
            assert_eq!(chosen(line, MIN_BYTES), Err(NoneAccepted), "{line}");
        }
    }

    #[test]
    fn only_whole_text_is_compressed() {
        let response = |status, kind| crate::http::response::with_body(status, kind, "text");
        for kind in [
            "application/json",
            "application/jsonl",
            "text/csv; charset=utf-8",
            "image/svg+xml",
            "text/javascript",
        ] {
            assert!(is_compressible(&response(StatusCode::OK, kind)), "{kind}");
        }
        for kind in ["image/png", "application/octet-stream", "font/woff2"] {
            assert!(!is_compressible(&response(StatusCode::OK, kind)), "{kind}");
        }
        assert!(!is_compressible(&response(StatusCode::NOT_FOUND, "application/problem+json")));
        let mut compressed = response(StatusCode::OK, "application/json");
        crate::http::response::set_header(&mut compressed, CONTENT_ENCODING, "gzip");
        assert!(!is_compressible(&compressed));
    }
}
