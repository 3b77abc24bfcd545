//! Reads a stream on a thread of its own, a few blocks ahead of its consumer.
//!
//! This serves two kinds of stream: compressed ones, so that decompression overlaps with everything
//! after it; and ones that may be silent for long (standard input, a named pipe), so that they
//! never block a worker.

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::io::{self, ErrorKind, Read};
use std::time::Duration;

/// Bytes in a block.
const BLOCK: usize = 256 << 10;
/// Number of blocks, all of them in memory.
const BLOCKS: usize = 4;
/// Time that a read waits for a block before it returns [`ErrorKind::WouldBlock`].
const BLOCK_TIMEOUT: Duration = Duration::from_millis(5);

/// A message of the thread.
enum ReadMessage {
    /// A block, and the number of bytes used at its start.
    Block(Vec<u8>, usize),
    End,
    Failed(io::Error),
}

/// The stream as it comes from its thread.
pub(super) struct ReadAhead {
    filled: Receiver<ReadMessage>,
    empty: Sender<Vec<u8>>,
    block: Vec<u8>,
    at: usize,
    len: usize,
    ended: bool,
}

impl ReadAhead {
    /// Starts the thread, which opens the stream and reads it to its end, or until the `ReadAhead`
    /// is dropped. A thread that is waiting for its stream then ends with the stream's next byte.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(super) fn start<R: Read>(
        open: impl FnOnce() -> io::Result<R> + Send + 'static,
    ) -> io::Result<ReadAhead> {
        let (filled_in, filled) = bounded(BLOCKS);
        let (empty, empty_out) = bounded(BLOCKS);
        std::thread::Builder::new().name("read ahead".to_owned()).spawn(move || {
            let last = match open() {
                Ok(stream) => forward(stream, &filled_in, &empty_out),
                Err(error) => Some(ReadMessage::Failed(error)),
            };
            if let Some(message) = last {
                // A failure means that nobody is left to receive the message.
                let _ = filled_in.send(message);
            }
        })?;
        for _ in 1..BLOCKS {
            // The channel has room for every block, and the thread at its other end has just begun;
            // if it has ended already, the first read reports it.
            let _ = empty.send(vec![0; BLOCK]);
        }
        Ok(ReadAhead { filled, empty, block: vec![0; BLOCK], at: 0, len: 0, ended: false })
    }

    /// Returns the used block to the thread and takes the next one.
    fn next_block(&mut self) -> io::Result<()> {
        match self.filled.recv_timeout(BLOCK_TIMEOUT) {
            Ok(ReadMessage::Block(block, len)) => {
                let used = std::mem::replace(&mut self.block, block);
                (self.at, self.len) = (0, len);
                // The thread ends only after its last message, when it needs no more blocks.
                let _ = self.empty.send(used);
                Ok(())
            }
            Ok(ReadMessage::End) => {
                self.ended = true;
                Ok(())
            }
            Ok(ReadMessage::Failed(error)) => Err(error),
            Err(RecvTimeoutError::Timeout) => Err(ErrorKind::WouldBlock.into()),
            Err(RecvTimeoutError::Disconnected) => {
                Err(io::Error::new(ErrorKind::BrokenPipe, "the reading thread has died"))
            }
        }
    }
}

/// Sends the stream block by block; returns the last message, unless the receiver is gone.
fn forward(
    mut stream: impl Read,
    filled: &Sender<ReadMessage>,
    empty: &Receiver<Vec<u8>>,
) -> Option<ReadMessage> {
    loop {
        let mut block = empty.recv().ok()?;
        let len = loop {
            match stream.read(&mut block) {
                Ok(0) => return Some(ReadMessage::End),
                Ok(len) => break len,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Some(ReadMessage::Failed(error)),
            }
        };
        filled.send(ReadMessage::Block(block, len)).ok()?;
    }
}

impl Read for ReadAhead {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at == self.len && !self.ended {
            self.next_block()?;
        }
        let read = (&self.block[self.at..self.len]).read(into)?;
        self.at += read;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Instant;

    /// Reads to the end, and retries while nothing is available.
    fn read_all(ahead: &mut ReadAhead) -> io::Result<Vec<u8>> {
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut bytes = Vec::new();
        let mut buffer = vec![0; 100_000];
        loop {
            assert!(Instant::now() < deadline, "the stream did not end in time");
            match ahead.read(&mut buffer) {
                Ok(0) => return Ok(bytes),
                Ok(read) => bytes.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_stream() {
        let bytes: Vec<u8> = (0..3 * BLOCKS * BLOCK + 7).map(|i| (i % 251) as u8).collect();
        let stream = io::Cursor::new(bytes.clone());
        let mut ahead = ReadAhead::start(|| Ok(stream)).expect("a thread");
        assert!(read_all(&mut ahead).expect("no failure") == bytes);
        assert_eq!(ahead.read(&mut [0; 8]).expect("still at the end"), 0);
    }

    #[test]
    fn a_stream_that_gives_nothing_does_not_block() {
        struct Waiting(mpsc::Receiver<()>);
        impl Read for Waiting {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                // Ends when the sender is dropped.
                let _ = self.0.recv();
                Ok(0)
            }
        }
        let (sender, receiver) = mpsc::channel();
        let mut ahead = ReadAhead::start(|| Ok(Waiting(receiver))).expect("a thread");
        let error = ahead.read(&mut [0; 8]).expect_err("nothing is there");
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        drop(sender);
        assert_eq!(read_all(&mut ahead).expect("no failure"), b"");
    }

    #[test]
    fn a_thread_that_dies_is_not_taken_for_the_end() {
        struct Dying;
        impl Read for Dying {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                panic!("on purpose")
            }
        }
        let mut ahead = ReadAhead::start(|| Ok(Dying)).expect("a thread");
        let error = read_all(&mut ahead).expect_err("the thread is dead");
        assert_eq!(error.to_string(), "the reading thread has died");
    }
}
