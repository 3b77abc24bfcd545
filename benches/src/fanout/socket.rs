//! The socket of one client: the handshake, and frames out of bytes.
//!
//! Clients and server share the processors of one machine, so an expensive client delays the
//! server. This client does only the necessary: it reads the frames of a server that is trusted to
//! send whole, unmasked ones, and responds to pings.

use anyhow::{Context, Result, bail, ensure};
use mio::net::TcpStream;
use std::io::{ErrorKind, Read, Write};

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
/// Bit of a frame that is the last or only one of its message.
const FINAL: u8 = 0x80;
/// Bit of a masked payload, which a client's frames must have.
const MASKED: u8 = 0x80;
/// The key is an example from RFC 6455; the response to it is not checked.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A socket after the handshake, and the received part of an incomplete frame.
pub(super) struct Socket {
    pub(super) stream: TcpStream,
    held: Vec<u8>,
}

impl Socket {
    /// Connects and requests this path and query.
    pub(super) fn connect(address: &str, target: &str) -> Result<Socket> {
        let mut stream = std::net::TcpStream::connect(address)?;
        write!(
            stream,
            "GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
        )?;
        let mut held = Vec::new();
        let end = loop {
            if let Some(end) = held.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
            let mut buffer = [0; 1024];
            let read = stream.read(&mut buffer)?;
            ensure!(read > 0, "the connection ended in its handshake");
            held.extend_from_slice(&buffer[..read]);
        };
        let answer = String::from_utf8_lossy(&held[..end]);
        ensure!(answer.starts_with("HTTP/1.1 101 "), "{target} was answered with {answer}");
        held.drain(..end);
        stream.set_nonblocking(true)?;
        Ok(Socket { stream: TcpStream::from_std(stream), held })
    }

    /// Calls `visit` with every text frame that has arrived.
    ///
    /// # Errors
    /// Returns an error if the connection has ended or the bytes are no frame.
    pub(super) fn read(&mut self, buffer: &mut [u8], mut heard: impl FnMut(&str)) -> Result<()> {
        loop {
            let read = match self.stream.read(buffer) {
                Ok(0) => bail!("the server has ended the connection"),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            self.held.extend_from_slice(&buffer[..read]);
            let mut rest = &self.held[..];
            while let Some((kind, payload)) = frame(&mut rest)? {
                match kind {
                    TEXT => heard(std::str::from_utf8(payload)?),
                    PING => self.stream.write_all(&pong(payload)).context("answer a ping")?,
                    CLOSE => bail!("the server says good-bye: {}", String::from_utf8_lossy(payload)),
                    _ => {}
                }
            }
            let used = self.held.len() - rest.len();
            self.held.drain(..used);
            // A read that did not fill the buffer has read everything.
            if read < buffer.len() {
                return Ok(());
            }
        }
    }
}

/// Splits a whole frame off the front: its opcode and its payload.
fn frame<'a>(bytes: &mut &'a [u8]) -> Result<Option<(u8, &'a [u8])>> {
    let [first, second, rest @ ..] = *bytes else { return Ok(None) };
    ensure!(first & FINAL != 0 && second & MASKED == 0, "a frame in parts, or masked");
    let (length, rest) = match (second, rest) {
        (126, [a, b, rest @ ..]) => (u64::from(u16::from_be_bytes([*a, *b])), rest),
        (127, rest) if rest.len() >= 8 => {
            let (length, rest) = rest.split_at(8);
            (u64::from_be_bytes(length.try_into()?), rest)
        }
        (126 | 127, _) => return Ok(None),
        (length, rest) => (u64::from(*length), rest),
    };
    let Some((payload, rest)) = rest.split_at_checked(usize::try_from(length)?) else { return Ok(None) };
    *bytes = rest;
    Ok(Some((first & 0x0f, payload)))
}

/// Responds to a ping. A mask of zeros leaves the payload, at most 125 bytes, as it is.
fn pong(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![FINAL | PONG, MASKED | payload.len() as u8, 0, 0, 0, 0];
    frame.extend_from_slice(payload);
    frame
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use tokio_tungstenite::tungstenite::protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    };

    #[test]
    fn frames_of_every_length_are_taken_once_they_are_whole() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let text = "x".repeat(length);
            let mut bytes = Vec::new();
            Frame::message(text.clone(), OpCode::Data(Data::Text), true).format(&mut bytes).unwrap();
            let whole = bytes.len();
            for part in [0, 1, 2, 3, 9, whole - 1].into_iter().filter(|part| *part < whole) {
                assert_eq!(frame(&mut &bytes[..part]).unwrap(), None, "{part} of {length}");
            }
            bytes.push(7);
            let mut rest = &bytes[..];
            assert_eq!(frame(&mut rest).unwrap(), Some((TEXT, text.as_bytes())));
            assert_eq!(rest, [7]);
        }
    }

    #[test]
    fn what_a_server_must_not_send_is_an_error() {
        assert!(frame(&mut &[0x01, 0x00][..]).is_err(), "in parts");
        assert!(frame(&mut &pong(b"8 bytes.")[..]).is_err(), "masked");
    }
}
