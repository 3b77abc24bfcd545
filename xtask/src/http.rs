//! GET requests to a server on this machine, in HTTP/1.0: the server closes the connection at the
//! end of the body.

use anyhow::{Context, Result};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// The longest wait for a part of the response.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// Requests a path from a host and port.
pub(crate) fn get(address: &str, path: &str) -> Result<Response> {
    let mut text = String::new();
    let mut exchange = || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(READ_TIMEOUT))?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
        stream.read_to_string(&mut text)
    };
    exchange().with_context(|| format!("get http://{address}{path}"))?;
    let (head, body) = text.split_once("\r\n\r\n").context("the response has no end of its head")?;
    let status =
        head.split(' ').nth(1).and_then(|it| it.parse().ok()).context("the response has no status")?;
    Ok(Response { status, body: body.to_owned() })
}

/// The host and port of the first URL in a log.
pub(crate) fn first_address(log: &str) -> Option<String> {
    // A line that is still being written may lack the end of the port.
    let whole_lines = &log[..log.rfind('\n')?];
    let (_, rest) = whole_lines.split_once("http://")?;
    let end = rest.find(|it: char| !it.is_ascii_digit() && it != '.' && it != ':').unwrap_or(rest.len());
    Some(rest[..end].to_owned())
}
