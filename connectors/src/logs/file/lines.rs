//! Splits a stream of bytes into lines, without copying them out of its buffer.
//!
//! Cost per line: one search for the newline (`memchr`) and one call. Memory: one buffer, which
//! grows only as far as the longest line needs and never beyond [`MAX_LINE`] and a newline.

use std::io::{self, ErrorKind, Read};

/// Longest line in bytes, without its end, that is shown whole.
pub const MAX_LINE: usize = 1 << 20;

/// Bytes that one read processes before it returns, in whole buffers.
const MAX_READ: u64 = 16 << 20;
/// Initial size of the buffer. It fits the second-level cache; larger ones were slower in
/// measurements.
const FIRST_CAPACITY: usize = 256 << 10;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The reason why a read ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    /// The limit of lines has been reached.
    Limit,
    /// The stream has nothing at the moment ([`ErrorKind::WouldBlock`]).
    Waiting,
    /// The stream has ended, and every line has been shown.
    End,
}

/// The lines of a stream.
pub(crate) struct Lines<R> {
    stream: R,
    buffer: Vec<u8>,
    /// The bytes read and not yet shown are `buffer[start..end]`.
    start: usize,
    end: usize,
    /// Number of these bytes that are known to have no newline.
    searched: usize,
    /// Position of `buffer[start]` in the stream.
    position: u64,
    /// Whether the rest of an overlong line is being skipped.
    skipping: bool,
    ended: bool,
}

impl<R: Read> Lines<R> {
    /// Splits a stream whose next byte is at `position`.
    pub(crate) fn new(stream: R, position: u64) -> Lines<R> {
        Lines {
            stream,
            buffer: vec![0; FIRST_CAPACITY],
            start: 0,
            end: 0,
            searched: 0,
            position,
            skipping: false,
            ended: false,
        }
    }

    /// Returns the position in the stream of the first byte that has not been shown.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Shows up to `limit` lines, each with the position of its first byte; fewer if they are long,
    /// so that what a caller keeps of one read is bounded.
    ///
    /// # Errors
    /// When the stream fails, after every whole line before the error has been shown.
    pub(crate) fn read(&mut self, limit: usize, mut visit: impl FnMut(u64, &[u8])) -> io::Result<Pause> {
        let from = self.position;
        let mut shown = 0;
        loop {
            shown += self.show_whole_lines(limit - shown, &mut visit);
            if shown == limit {
                return Ok(Pause::Limit);
            }
            if self.skipping {
                self.consume(self.end - self.start);
            }
            let rest = self.end - self.start;
            if self.ended || rest > MAX_LINE {
                let cut = rest > MAX_LINE;
                let line = &self.buffer[self.start..self.end - usize::from(cut)];
                shown += usize::from(show(self.position, line, &mut visit));
                self.skipping = cut;
                self.consume(rest);
            }
            if self.ended {
                return Ok(Pause::End);
            }
            if shown == limit || self.position - from >= MAX_READ {
                return Ok(Pause::Limit);
            }
            match self.fill() {
                Ok(0) => self.ended = true,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Pause::Waiting),
                Err(error) => return Err(error),
            }
        }
    }

    /// Shows up to `limit` of the whole lines in the buffer; returns their number.
    #[inline]
    fn show_whole_lines(&mut self, limit: usize, visit: &mut impl FnMut(u64, &[u8])) -> usize {
        if limit == 0 {
            return 0;
        }
        let mut shown = 0;
        let mut line_start = self.start;
        let search_start = self.start + self.searched;
        self.searched = self.end - self.start;
        for newline in memchr::memchr_iter(b'\n', &self.buffer[search_start..self.end]) {
            let line_end = search_start + newline;
            let line = &self.buffer[line_start..line_end];
            let position = self.position + (line_start - self.start) as u64;
            line_start = line_end + 1;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            shown += usize::from(show(position, line, visit));
            if shown == limit {
                self.searched = line_start - self.start;
                break;
            }
        }
        self.consume(line_start - self.start);
        shown
    }

    fn consume(&mut self, bytes: usize) {
        self.start += bytes;
        self.searched = self.searched.saturating_sub(bytes);
        self.position += bytes as u64;
    }

    /// Reads once into the free end of the buffer, after making room there.
    fn fill(&mut self) -> io::Result<usize> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.buffer.len() {
            self.buffer.resize((self.buffer.len() * 2).min(MAX_LINE + 1), 0);
        }
        loop {
            match self.stream.read(&mut self.buffer[self.end..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(read) => {
                    self.end += read;
                    return Ok(read);
                }
            }
        }
    }
}

/// Shows a line that is a record, without its carriage return; returns whether it was one.
#[inline]
fn show(mut position: u64, mut line: &[u8], visit: &mut impl FnMut(u64, &[u8])) -> bool {
    if let [rest @ .., b'\r'] = line {
        line = rest;
    }
    if position == 0
        && let Some(rest) = line.strip_prefix(BYTE_ORDER_MARK)
    {
        line = rest;
        position = BYTE_ORDER_MARK.len() as u64;
    }
    // Most lines begin with a brace: only another line is examined further.
    if line.first().is_none_or(u8::is_ascii_whitespace) && line.iter().all(u8::is_ascii_whitespace) {
        return false;
    }
    visit(position, line);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Returns at most this many bytes at a time, and nothing at every other call.
    struct Dripping<'a> {
        bytes: &'a [u8],
        at_once: usize,
        dry: bool,
    }

    impl Read for Dripping<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.dry = !self.dry;
            if self.dry {
                return Err(ErrorKind::WouldBlock.into());
            }
            let at_once = self.at_once.min(into.len());
            self.bytes.read(&mut into[..at_once])
        }
    }

    fn all(bytes: &[u8], at_once: usize, limit: usize) -> Vec<(u64, Vec<u8>)> {
        let mut lines = Lines::new(Dripping { bytes, at_once, dry: false }, 0);
        let mut shown = Vec::new();
        loop {
            let before = shown.len();
            let pause = lines.read(limit, |position, line| shown.push((position, line.to_vec())));
            assert!(shown.len() - before <= limit, "more lines than asked for");
            match pause.expect("this stream does not fail") {
                Pause::End => return shown,
                Pause::Limit => assert_eq!(shown.len() - before, limit),
                Pause::Waiting => {}
            }
        }
    }

    fn texts(bytes: &[u8]) -> Vec<(u64, String)> {
        let lines = all(bytes, usize::MAX, usize::MAX).into_iter();
        lines.map(|(position, line)| (position, String::from_utf8_lossy(&line).into_owned())).collect()
    }

    fn line(position: u64, text: &str) -> (u64, String) {
        (position, text.to_owned())
    }

    #[test]
    fn a_position_is_that_of_the_lines_first_byte() {
        assert_eq!(texts(b"{a}\n{bb}\n{c}\n"), [line(0, "{a}"), line(4, "{bb}"), line(9, "{c}")]);
    }

    #[test]
    fn a_last_line_without_newline_is_a_line() {
        assert_eq!(texts(b"{a}\n{b}"), [line(0, "{a}"), line(4, "{b}")]);
    }

    #[test]
    fn blank_lines_are_none_and_carriage_returns_are_taken_off() {
        assert_eq!(texts(b"\n{a}\r\n\r\n \t \n{b}\r"), [line(1, "{a}"), line(12, "{b}")]);
        assert_eq!(texts(b""), []);
        assert_eq!(texts(b"\n\n"), []);
    }

    #[test]
    fn a_byte_order_mark_is_skipped_at_the_start_and_nowhere_else() {
        assert_eq!(texts(b"\xef\xbb\xbf{a}\n\xef\xbb\xbf{b}\n"), [line(3, "{a}"), line(7, "\u{feff}{b}")]);
        assert_eq!(texts(b"\xef\xbb\xbf"), []);
    }

    #[test]
    fn a_read_of_long_lines_ends_before_it_has_shown_all_that_it_may() {
        let line = [vec![b'x'; MAX_LINE - 1], vec![b'\n']].concat();
        let mut lines = Lines::new(std::io::Cursor::new(line.repeat(40)), 0);
        let mut shown = 0;
        let pause = lines.read(40, |_, _| shown += 1).expect("no error");
        assert!(matches!(pause, Pause::Limit));
        assert!((16..20).contains(&shown), "{shown}");
    }

    #[test]
    fn a_line_beyond_the_limit_is_cut_and_the_next_one_is_whole() {
        for excess in [0, 1, 2, 3 * MAX_LINE] {
            let mut bytes = vec![b'x'; MAX_LINE + excess];
            bytes.extend_from_slice(b"\n{next}\n");
            let next = (MAX_LINE + excess + 1) as u64;
            for at_once in [usize::MAX, 100_000] {
                let lines = all(&bytes, at_once, 1);
                assert_eq!(lines.len(), 2, "{excess} bytes too long");
                assert_eq!((lines[0].0, lines[0].1.len()), (0, MAX_LINE));
                assert_eq!(lines[1], (next, b"{next}".to_vec()));
            }
            let last = all(&bytes[..MAX_LINE + excess], 4_096, 10);
            assert_eq!(last.len(), 1);
            assert_eq!(last[0].1.len(), MAX_LINE);
        }
    }

    proptest! {
        #[test]
        fn the_size_of_reads_and_batches_changes_nothing(
            text in "([a-z{}]{0,5}[\r\n ]{0,2}){0,30}",
            at_once in 1usize..20,
            limit in 1usize..5,
        ) {
            let mut expected = Vec::new();
            let mut position = 0;
            for line in text.split_inclusive('\n') {
                let shown = line.strip_suffix('\n').unwrap_or(line);
                let shown = shown.strip_suffix('\r').unwrap_or(shown);
                if !shown.trim_ascii().is_empty() {
                    expected.push((position, shown.as_bytes().to_vec()));
                }
                position += line.len() as u64;
            }
            prop_assert_eq!(all(text.as_bytes(), at_once, limit), expected);
        }
    }
}
