//! The reader of one file.

use super::ahead::ReadAhead;
use super::codec::{Codec, Decoder};
use super::lines::{Lines, Pause};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use tallow_model::error::{Error, chain};
use tallow_model::{PartitionReader, ReadStatus, Record};

/// One JSONL file, or standard input, as a partition that ends.
///
/// A compressed file is decompressed on a thread of its own, a megabyte ahead. A stream that is no
/// regular file is read in the same way: while it is silent, a read returns [`ReadStatus::More`]
/// without a record, because the partition is not at its end and time must not pass without it.
pub struct FileReader {
    name: String,
    partition: u32,
    lines: Lines<Box<dyn Read + Send>>,
    /// Number of records shown so far.
    records: u64,
    done: bool,
}

impl FileReader {
    /// Opens the file at `path`, or standard input for `-`, as the partition of this number.
    ///
    /// # Errors
    /// When it is missing, a folder, or can't be read.
    pub fn open(path: &Path, partition: u32) -> Result<FileReader, Error> {
        let failed = |source| Error::file("open", path, source);
        if path == Path::new("-") {
            let stream = ReadAhead::start(|| Decoder::new(io::stdin())).map_err(failed)?;
            return Ok(FileReader::new("standard input".to_owned(), partition, Box::new(stream)));
        }
        let metadata = std::fs::metadata(path).map_err(failed)?;
        if metadata.is_dir() {
            return Err(failed(ErrorKind::IsADirectory.into()));
        }
        let stream: Box<dyn Read + Send> = if metadata.is_file() {
            let decoder = Decoder::new(File::open(path).map_err(failed)?).map_err(failed)?;
            match decoder.codec() {
                Codec::Plain => Box::new(decoder),
                Codec::Gzip | Codec::Zstd => Box::new(ReadAhead::start(|| Ok(decoder)).map_err(failed)?),
            }
        } else {
            // Opening a named pipe waits for its writer, so the thread does that too.
            let path = path.to_owned();
            Box::new(ReadAhead::start(move || Decoder::new(File::open(path)?)).map_err(failed)?)
        };
        Ok(FileReader::new(path.display().to_string(), partition, stream))
    }

    fn new(name: String, partition: u32, stream: Box<dyn Read + Send>) -> FileReader {
        FileReader { name, partition, lines: Lines::new(stream, 0), records: 0, done: false }
    }
}

impl PartitionReader for FileReader {
    fn partition(&self) -> u32 {
        self.partition
    }

    fn read(&mut self, limit: usize, visit: &mut dyn FnMut(Record<'_>)) -> ReadStatus {
        if self.done {
            return ReadStatus::Finished;
        }
        let records = &mut self.records;
        let pause = self.lines.read(limit, |offset, line| {
            *records += 1;
            visit(Record { offset, log_time: None, payload: Some(line) });
        });
        match pause {
            Ok(Pause::Limit | Pause::Waiting) => ReadStatus::More,
            Ok(Pause::End) => {
                self.done = true;
                ReadStatus::Finished
            }
            Err(error) => {
                self.done = true;
                ReadStatus::Failed(format!(
                    "read {}: {} after {} records, in the line that starts at byte {}",
                    self.name,
                    chain(&error),
                    self.records,
                    self.lines.position(),
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::path::PathBuf;
    use std::time::{Duration, Instant};

    /// Reads to the end: the records, and the failure of the partition, if any.
    fn read_all(reader: &mut FileReader) -> (Vec<(u64, String)>, Option<String>) {
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut records = Vec::new();
        loop {
            assert!(Instant::now() < deadline, "the file did not end in time");
            let status = reader.read(1_000, &mut |record| {
                let payload = String::from_utf8_lossy(record.payload.expect("a line")).into_owned();
                assert_eq!(record.log_time, None);
                records.push((record.offset, payload));
            });
            match status {
                ReadStatus::More => {}
                ReadStatus::Finished => return (records, None),
                ReadStatus::Failed(message) => return (records, Some(message)),
                ReadStatus::CaughtUp | ReadStatus::Pending => panic!("a file that ends never says so"),
            }
        }
    }

    fn file(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("a written file");
        path
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).expect("compressed");
        encoder.finish().expect("compressed")
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("an encoder");
        encoder.include_checksum(true).expect("a checksum, as the command writes one");
        encoder.write_all(bytes).expect("compressed");
        encoder.finish().expect("compressed")
    }

    /// Returns lines that compress badly, and their records.
    fn log(lines: u64) -> (Vec<u8>, Vec<(u64, String)>) {
        let (mut bytes, mut records) = (Vec::new(), Vec::new());
        for i in 0..lines {
            let line = format!(r#"{{"n":{i},"x":"{:016x}"}}"#, i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            records.push((bytes.len() as u64, line.clone()));
            bytes.extend_from_slice(line.as_bytes());
            bytes.push(b'\n');
        }
        (bytes, records)
    }

    #[test]
    fn plain_gzip_and_zstd_give_the_same_records_whatever_the_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let (bytes, records) = log(50_000);
        let (first, second) = bytes.split_at(777_777);
        let members = [gzip(first), gzip(b""), gzip(second)].concat();
        let frames = [zstd(first), zstd(second)].concat();
        for (name, content) in [
            ("ticks.jsonl", &bytes),
            ("ticks.jsonl.gz", &members),
            ("ticks.jsonl.zst", &frames),
            ("misnamed.zst", &members),
            ("misnamed.gz", &bytes),
        ] {
            let mut reader = FileReader::open(&file(&folder, name, content), 3).expect("opened");
            assert_eq!(reader.partition(), 3);
            let (read, failure) = read_all(&mut reader);
            assert_eq!(failure, None, "{name}");
            assert!(read == records, "{name} has other records");
            assert!(matches!(reader.read(10, &mut |_| panic!("a record")), ReadStatus::Finished));
        }
    }

    #[test]
    fn an_empty_file_is_finished_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, content) in [("empty.jsonl", vec![]), ("empty.gz", gzip(b"")), ("empty.zst", zstd(b""))] {
            let mut reader = FileReader::open(&file(&folder, name, &content), 0).expect("opened");
            assert_eq!(read_all(&mut reader), (vec![], None), "{name}");
        }
    }

    #[test]
    fn a_truncated_stream_gives_what_stands_before_its_end_and_fails() {
        let folder = tempfile::tempdir().expect("a folder");
        let (bytes, records) = log(20_000);
        for (codec, content) in [("gzip", gzip(&bytes)), ("zstd", zstd(&bytes))] {
            for len in [content.len() / 2, content.len() - 1] {
                let path = file(&folder, "cut", &content[..len]);
                let (read, failure) = read_all(&mut FileReader::open(&path, 0).expect("opened"));
                let next = read.last().map_or(0, |(offset, line)| offset + line.len() as u64 + 1);
                assert_eq!(
                    failure,
                    Some(format!(
                        "read {}: {codec} stream ends early after {} records, in the line that starts at byte {next}",
                        path.display(),
                        read.len()
                    ))
                );
                assert!(read.len() > 1_000, "only {} records of {codec}", read.len());
                assert!(records.starts_with(&read));
            }
        }
    }

    #[test]
    fn damage_within_a_stream_is_a_failure_that_names_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let (bytes, records) = log(20_000);
        for (codec, mut content) in [("gzip", gzip(&bytes)), ("zstd", zstd(&bytes))] {
            let middle = content.len() / 2;
            content[middle..middle + 100].fill(0xa5);
            let path = file(&folder, "damaged", &content);
            let (read, failure) = read_all(&mut FileReader::open(&path, 0).expect("opened"));
            let failure = failure.expect("a failure");
            assert!(failure.contains(codec), "{failure}");
            // Only the checksum is wrong, so everything has been read before it is noticed.
            assert!(read.len() > 1_000 && records.starts_with(&read[..1_000]), "{codec}");
        }
    }

    #[test]
    fn what_cannot_be_opened_is_said() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = |path: &Path| FileReader::open(path, 0).err().map(|error| chain(&error));
        let missing = folder.path().join("missing.jsonl");
        assert_eq!(
            error(&missing),
            Some(format!("open {}: No such file or directory (os error 2)", missing.display()))
        );
        assert_eq!(error(folder.path()), Some(format!("open {}: is a directory", folder.path().display())));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_stream_that_is_no_regular_file_is_read_to_its_end() {
        let mut reader = FileReader::open(Path::new("/dev/null"), 0).expect("opened");
        assert_eq!(read_all(&mut reader), (vec![], None));
    }
}
