//! Line by line reading of a file through one large buffer.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Size of the buffer in bytes.
const CHUNK: usize = 1 << 20;

/// Calls `visit` with the offset of each line's first byte and the line without its line feed. A
/// last line without a line feed counts.
///
/// # Errors
/// Returns an error if the file can't be opened or read.
pub fn each_line(path: &Path, mut visit: impl FnMut(u64, &[u8])) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; CHUNK];
    // The offset of the buffer's first byte, and the length of the unfinished line at its start.
    let (mut base, mut kept) = (0u64, 0);
    loop {
        if kept == buffer.len() {
            buffer.resize(buffer.len() * 2, 0);
        }
        let read = match file.read(&mut buffer[kept..]) {
            Ok(read) => read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        if read == 0 {
            if kept > 0 {
                visit(base, &buffer[..kept]);
            }
            return Ok(());
        }
        let filled = kept + read;
        let mut start = 0;
        // The unfinished line has no line feed.
        for end in memchr::memchr_iter(b'\n', &buffer[kept..filled]) {
            let end = kept + end;
            visit(base + start as u64, &buffer[start..end]);
            start = end + 1;
        }
        buffer.copy_within(start..filled, 0);
        kept = filled - start;
        base += start as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_longer_than_the_buffer_and_a_last_one_without_line_feed_are_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lines");
        let long = "x".repeat(3 * CHUNK + 5);
        std::fs::write(&path, format!("a\n\n{long}\nlast")).expect("a file");
        let mut lines = Vec::new();
        each_line(&path, |offset, line| lines.push((offset, line.len()))).expect("lines");
        assert_eq!(lines, [(0, 1), (2, 0), (3, long.len()), (4 + long.len() as u64, 4)]);
    }
}
