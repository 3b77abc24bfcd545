//! Lines of a file from its end: to find the end of the whole lines, and to read the newest first.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::ControlFlow;

/// Bytes read at a time.
const BLOCK: u64 = 64 << 10;

/// Returns the position after the last newline in the first `len` bytes of a file; 0 without a
/// newline.
///
/// # Errors
/// When the file can't be read.
pub(super) fn end_of_last_line(file: &mut (impl Read + Seek), len: u64) -> io::Result<u64> {
    let mut end = len;
    let mut block = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        read_range(file, start, end, &mut block)?;
        if let Some(newline) = memchr::memrchr(b'\n', &block) {
            return Ok(start + newline as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Shows the lines in the first `len` bytes of a file, which end with a newline, the last one
/// first.
///
/// # Errors
/// When the file can't be read.
pub(super) fn lines(
    file: &mut (impl Read + Seek),
    len: u64,
    visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
) -> io::Result<ControlFlow<()>> {
    // `held` has the bytes from `start` on that were read and not shown, without their last
    // newline.
    let (mut start, mut held, mut block) = (len, Vec::new(), Vec::new());
    while start > 0 {
        let end = start;
        start = end.saturating_sub(BLOCK);
        read_range(file, start, end, &mut block)?;
        if end == len && block.last() == Some(&b'\n') {
            block.pop();
        }
        block.extend_from_slice(&held);
        std::mem::swap(&mut block, &mut held);
        while let Some(newline) = memchr::memrchr(b'\n', &held) {
            if visit(&held[newline + 1..]).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            held.truncate(newline);
        }
    }
    if len > 0 { Ok(visit(&held)) } else { Ok(ControlFlow::Continue(())) }
}

fn read_range(file: &mut (impl Read + Seek), start: u64, end: u64, into: &mut Vec<u8>) -> io::Result<()> {
    into.clear();
    file.seek(SeekFrom::Start(start))?;
    let read = file.take(end - start).read_to_end(into)?;
    if (read as u64) < end - start {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file is shorter than it was"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    #[test]
    fn a_torn_line_does_not_count_however_long_it_is() {
        let mut bytes = b"{a}\n{b}\n".to_vec();
        bytes.resize(8 + 3 * BLOCK as usize, b'x');
        let len = bytes.len() as u64;
        assert_eq!(end_of_last_line(&mut Cursor::new(&bytes), len).expect("read"), 8);
        assert_eq!(end_of_last_line(&mut Cursor::new(&bytes), 8).expect("read"), 8);
        assert_eq!(end_of_last_line(&mut Cursor::new(&bytes), 7).expect("read"), 4);
        assert_eq!(end_of_last_line(&mut Cursor::new(&bytes), 3).expect("read"), 0);
        assert_eq!(end_of_last_line(&mut Cursor::new(&bytes), 0).expect("read"), 0);
    }

    proptest! {
        #[test]
        fn from_the_end_come_the_same_lines_the_other_way_round(
            lengths in prop::collection::vec(prop_oneof![1usize..50, 30_000usize..150_000], 0..8),
            wanted in 1usize..8,
        ) {
            let expected: Vec<Vec<u8>> =
                lengths.iter().enumerate().map(|(i, &len)| vec![b'a' + i as u8; len]).collect();
            let mut bytes = expected.join(&b'\n');
            if !bytes.is_empty() {
                bytes.push(b'\n');
            }
            let mut shown = Vec::new();
            let len = bytes.len() as u64;
            let flow = lines(&mut Cursor::new(&bytes), len, &mut |line| {
                shown.push(line.to_vec());
                if shown.len() == wanted { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            prop_assert_eq!(flow.expect("read").is_break(), expected.len() >= wanted);
            prop_assert!(shown.iter().eq(expected.iter().rev().take(wanted)));
        }
    }
}
