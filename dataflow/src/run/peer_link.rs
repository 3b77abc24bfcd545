//! The connection to another process: timely's bytes in frames, and a goodbye at the end.
//!
//! timely takes the end of a connection for a panic, and can't tell an intended end from a lost
//! connection. So its bytes travel in frames here, and the last frame is a **goodbye**: the other
//! process has finished, has been stopped, or has lost a third one. A connection that ends without
//! a goodbye is lost.
//!
//! ```text
//! frame    length: u32, above 0 · that many of timely's bytes
//! goodbye  0: u32 · kind: u32 (0 finished, 1 stopped, 2 lost a process) · process: u32
//! ```
//!
//! All integers are big-endian. Tests: `tests/cluster.rs`.

use super::peer_liveness::{Goodbye, PeerLiveness};
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::sync::{Arc, Mutex, PoisonError};

/// A connection to another process in both directions. One thread reads while another writes.
///
/// # Examples
///
/// A link over a socket within one machine:
///
/// ```
/// use std::io::{self, Read, Write};
/// use std::net::Shutdown;
/// use std::os::unix::net::UnixStream;
/// use tallow_dataflow::Link;
///
/// struct Socket(UnixStream);
///
/// impl Link for Socket {
///     fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
///         (&self.0).read(buffer)
///     }
///     fn write(&self, bytes: &[u8]) -> io::Result<usize> {
///         (&self.0).write(bytes)
///     }
///     fn close(&self) {
///         // An error means that the other end has closed it already.
///         let _ = self.0.shutdown(Shutdown::Both);
///     }
/// }
///
/// let (here, there) = UnixStream::pair()?;
/// let (here, there) = (Socket(here), Socket(there));
/// here.close();
/// assert_eq!(there.read(&mut [0])?, 0);
/// # Ok::<(), io::Error>(())
/// ```
pub trait Link: Send + Sync {
    /// Reads at least one byte and waits for it; returns 0 once the other process has closed the
    /// connection.
    ///
    /// # Errors
    /// Returns an error if the connection is lost.
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes at least one of the bytes and waits until there is room.
    ///
    /// # Errors
    /// Returns an error if the connection is lost.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Closes both directions. A waiting read or write returns.
    fn close(&self);
}

/// Largest number of bytes in a frame: the size of timely's write buffer.
const MAX_FRAME_BYTES: usize = 1 << 16;

fn goodbye_frame(goodbye: Goodbye) -> [u8; 12] {
    let (kind, process) = match goodbye {
        Goodbye::Finished => (0, 0),
        Goodbye::Stopped => (1, 0),
        Goodbye::Lost(process) => (2, u32::try_from(process).unwrap_or(u32::MAX)),
    };
    let mut frame = [0; 12];
    frame[4..8].copy_from_slice(&u32::to_be_bytes(kind));
    frame[8..].copy_from_slice(&process.to_be_bytes());
    frame
}

/// The other end of a connection, shared by the reading and the writing thread.
pub(super) struct Remote {
    pub(super) process: usize,
    pub(super) address: String,
    link: Arc<dyn Link>,
    /// The failure of the writer. The reader reports it, unless a goodbye explains it.
    write_failure: Mutex<Option<String>>,
}

impl Remote {
    pub(super) fn new(process: usize, address: String, link: Arc<dyn Link>) -> Remote {
        Remote { process, address, link, write_failure: Mutex::new(None) }
    }

    pub(super) fn close(&self) {
        self.link.close();
    }

    fn write_failed(&self, error: &io::Error) {
        let mut failure = self.write_failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert_with(|| describe(error));
        drop(failure);
        // Bytes that have arrived already can still be read.
        self.link.close();
    }

    /// Fills the whole buffer.
    fn read_all(&self, mut buffer: &mut [u8]) -> Result<(), String> {
        while !buffer.is_empty() {
            let count = self.read_some(buffer)?;
            buffer = &mut buffer[count..];
        }
        Ok(())
    }

    /// Reads at least one byte.
    fn read_some(&self, buffer: &mut [u8]) -> Result<usize, String> {
        loop {
            let problem = match self.link.read(buffer) {
                Ok(0) => CLOSED.to_owned(),
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => describe(&error),
            };
            let failure = self.write_failure.lock().unwrap_or_else(PoisonError::into_inner);
            return Err(failure.clone().unwrap_or(problem));
        }
    }

    fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.link.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

const CLOSED: &str = "connection closed";

/// Describes a failure. A process that dies closes or resets its connections, depending on whether
/// it had unread bytes, so both read the same.
fn describe(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::NotConnected
        | ErrorKind::UnexpectedEof => CLOSED.to_owned(),
        ErrorKind::TimedOut | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
            "its machine does not answer any more".to_owned()
        }
        _ => error.to_string(),
    }
}

/// One of timely's two handles of a connection: its receiving thread reads this handle, or its
/// sending thread writes to it. Neither thread sees an error.
pub(super) struct Stream {
    remote: Arc<Remote>,
    liveness: Arc<PeerLiveness>,
    /// Number of bytes that remain of the frame being read.
    remaining: usize,
    /// The frame being written.
    frame: Vec<u8>,
    /// Whether a write has failed: later frames are dropped.
    broken: bool,
}

impl Stream {
    pub(super) fn new(remote: Arc<Remote>, liveness: Arc<PeerLiveness>) -> Stream {
        Stream { remote, liveness, remaining: 0, frame: Vec::new(), broken: false }
    }

    /// Reads at least one of timely's bytes, or the goodbye.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<Received, String> {
        if self.remaining == 0 {
            let mut word = [0; 4];
            let mut next = || self.remote.read_all(&mut word).map(|()| u32::from_be_bytes(word) as usize);
            self.remaining = next()?;
            if self.remaining == 0 {
                return match (next()?, next()?) {
                    (0, _) => Ok(Received::Goodbye(Goodbye::Finished)),
                    (1, _) => Ok(Received::Goodbye(Goodbye::Stopped)),
                    (2, process) => Ok(Received::Goodbye(Goodbye::Lost(process))),
                    (kind, _) => Err(format!("it sent a goodbye of unknown kind {kind}")),
                };
            }
        }
        let max = buffer.len().min(self.remaining);
        let count = self.remote.read_some(&mut buffer[..max])?;
        self.remaining -= count;
        Ok(Received::Bytes(count))
    }

    fn lose(&self, detail: String) {
        self.liveness.lose(self.remote.process, &self.remote.address, detail);
    }

    fn send(&mut self) {
        if !self.broken
            && let Err(error) = self.remote.write_all(&self.frame)
        {
            self.broken = true;
            self.remote.write_failed(&error);
        }
    }
}

enum Received {
    Bytes(usize),
    Goodbye(Goodbye),
}

impl io::Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let detail = match self.receive(buffer) {
            Ok(Received::Bytes(count)) => return Ok(count),
            // timely has announced the end of the stream before the goodbye, so its thread expects
            // it.
            Ok(Received::Goodbye(goodbye)) => {
                match goodbye {
                    Goodbye::Finished => {}
                    Goodbye::Stopped => self.lose("it has been stopped".to_owned()),
                    Goodbye::Lost(other) => self.lose(format!("it has lost process {other}")),
                }
                self.liveness.reader_ended(true);
                return Ok(0);
            }
            Err(detail) => detail,
        };
        self.lose(detail);
        // Any value returned here would make the thread panic, and the workers with it. So the
        // workers end first, and then the thread unwinds without a message.
        self.liveness.wait_for_workers();
        self.liveness.reader_ended(false);
        std::panic::resume_unwind(Box::new("the connection is lost"));
    }
}

impl io::Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(MAX_FRAME_BYTES);
        if count > 0 {
            self.frame.clear();
            self.frame.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
            self.frame.extend_from_slice(&bytes[..count]);
            self.send();
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl timely::communication::allocator::zero_copy::stream::Stream for Stream {
    fn try_clone(&self) -> io::Result<Stream> {
        Ok(Stream::new(Arc::clone(&self.remote), Arc::clone(&self.liveness)))
    }

    fn set_nonblocking(&self, _: bool) -> io::Result<()> {
        Ok(())
    }

    /// Sends the goodbye. timely's sending thread calls this last, once all workers of this process
    /// have ended.
    fn shutdown(&self, _: Shutdown) -> io::Result<()> {
        if !self.broken
            && let Err(error) = self.remote.write_all(&goodbye_frame(self.liveness.goodbye()))
        {
            self.remote.write_failed(&error);
        }
        self.liveness.writer_ended();
        Ok(())
    }
}
