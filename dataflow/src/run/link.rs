//! What workers need to know of a connection to another process, and what is said over it.
//!
//! timely takes the end of a connection for a panic, and does not tell an end that was meant from one that was not. So
//! its bytes travel in frames here, and the last frame is a **goodbye**: the other process has finished, has been
//! stopped, or has lost a third one. A connection that ends without a goodbye is lost.
//!
//! ```text
//! frame    length: u32, above 0 · so many of timely's bytes
//! goodbye  0: u32 · kind: u32 (0 finished, 1 stopped, 2 lost a process) · which process: u32      all big-endian
//! ```

use super::watch::Watch;
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::sync::{Arc, Mutex, PoisonError};

/// A connection to another process, in both directions. Several threads use it at the same time: one reads and one
/// writes.
pub trait Link: Send + Sync {
    /// Reads what has come, and waits where nothing has; 0 once the other process has closed the connection.
    ///
    /// # Errors
    /// When the connection is lost.
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes some of the bytes, and waits until there is room for any.
    ///
    /// # Errors
    /// When the connection is lost.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Closes both directions. A read or write that waits returns.
    fn close(&self);
}

/// The most bytes of a frame: what timely collects before it writes.
const MAX_FRAME: usize = 1 << 16;

/// How a process takes its leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goodbye {
    /// Its input has ended and everything has been settled.
    Finished,
    /// It was told to stop.
    Stopped,
    /// It has lost this process.
    Lost(usize),
}

impl Goodbye {
    fn frame(self) -> [u8; 12] {
        let (kind, process) = match self {
            Goodbye::Finished => (0, 0),
            Goodbye::Stopped => (1, 0),
            Goodbye::Lost(process) => (2, u32::try_from(process).unwrap_or(u32::MAX)),
        };
        let mut frame = [0; 12];
        frame[4..8].copy_from_slice(&u32::to_be_bytes(kind));
        frame[8..].copy_from_slice(&process.to_be_bytes());
        frame
    }
}

/// The other end of a connection, as both of its threads know it.
pub(super) struct Remote {
    pub(super) process: usize,
    pub(super) address: String,
    link: Arc<dyn Link>,
    /// Why writing has failed. It is for the reader to tell: there may be a goodbye that explains it.
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
        // What has come already can still be read.
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

/// Whether a process that dies closes its connections or resets them depends on what it had not read yet.
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

/// One of the two handles of a connection that timely has: its receiving thread reads this one, or its sending thread
/// writes it. Neither sees an error.
pub(super) struct Stream {
    remote: Arc<Remote>,
    watch: Arc<Watch>,
    /// How much of the frame that is being read is still to come.
    remaining: usize,
    /// The frame that is being written.
    frame: Vec<u8>,
    /// Nobody reads what is written any more.
    broken: bool,
}

impl Stream {
    pub(super) fn new(remote: Arc<Remote>, watch: Arc<Watch>) -> Stream {
        Stream { remote, watch, remaining: 0, frame: Vec::new(), broken: false }
    }

    /// Reads some of timely's bytes, or the goodbye.
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
                    (kind, _) => Err(format!("it took its leave in an unknown way ({kind})")),
                };
            }
        }
        let most = buffer.len().min(self.remaining);
        let count = self.remote.read_some(&mut buffer[..most])?;
        self.remaining -= count;
        Ok(Received::Bytes(count))
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
            // Before its goodbye timely has said that nothing follows, and the thread expects the end.
            Ok(Received::Goodbye(goodbye)) => {
                match goodbye {
                    Goodbye::Finished => {}
                    Goodbye::Stopped => self.watch.lose(&self.remote, "it has been stopped".to_owned()),
                    Goodbye::Lost(other) => {
                        self.watch.lose(&self.remote, format!("it has lost process {other}"));
                    }
                }
                self.watch.reader_ended(true);
                return Ok(0);
            }
            Err(detail) => detail,
        };
        self.watch.lose(&self.remote, detail);
        // Whatever this returned, the thread would panic, and the workers with it. So the workers end first, and then
        // the thread unwinds without a word.
        self.watch.wait_for_workers();
        self.watch.reader_ended(false);
        std::panic::resume_unwind(Box::new("the connection is lost"));
    }
}

impl io::Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(MAX_FRAME);
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
        Ok(Stream::new(Arc::clone(&self.remote), Arc::clone(&self.watch)))
    }

    fn set_nonblocking(&self, _: bool) -> io::Result<()> {
        Ok(())
    }

    /// timely's sending thread calls this last, once all workers of this process have ended.
    fn shutdown(&self, _: Shutdown) -> io::Result<()> {
        if !self.broken
            && let Err(error) = self.remote.write_all(&self.watch.goodbye().frame())
        {
            self.remote.write_failed(&error);
        }
        self.watch.writer_ended();
        Ok(())
    }
}
