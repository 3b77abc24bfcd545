//! The segments of one partition: their names, and the check that they follow without a gap.

use super::backwards;
use std::fs::File;
use std::path::{Path, PathBuf};
use tallow_model::error::Error;

/// A segment of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// Offset of its first byte.
    pub(super) base: u64,
    /// Size in bytes.
    pub(super) len: u64,
    pub(super) path: PathBuf,
}

impl Segment {
    /// Returns the offset past its last byte.
    pub(super) fn end(&self) -> u64 {
        self.base + self.len
    }

    /// Returns the size of its whole lines: less than `len` if the last line is torn.
    pub(super) fn whole_lines(&self) -> Result<u64, Error> {
        let failed = |source| Error::file("read", &self.path, source);
        let mut file = File::open(&self.path).map_err(failed)?;
        backwards::end_of_last_line(&mut file, self.len).map_err(failed)
    }
}

/// Returns the folder of a partition.
pub(super) fn partition_folder(log: &Path, partition: u32) -> PathBuf {
    log.join(format!("partition-{partition}"))
}

/// Returns the file of the segment that starts at `base`.
pub(super) fn segment_path(partition: &Path, base: u64) -> PathBuf {
    partition.join(format!("{base:020}.jsonl"))
}

/// Parses the base offset from a segment's name; `None` for a file that is no segment.
fn base_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".jsonl")?;
    (digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())?
}

/// Returns the segments of a partition's folder in order.
///
/// # Errors
/// When the folder can't be read, or the segments do not follow one another from offset 0 on.
pub(super) fn list(partition: &Path) -> Result<Vec<Segment>, Error> {
    let failed = |source| Error::file("list", partition, source);
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(partition).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if let Some(base) = path.file_name().and_then(|name| name.to_str()).and_then(base_of) {
            segments.push(Segment { base, len: 0, path });
        }
    }
    segments.sort_unstable_by_key(|segment| segment.base);
    let mut end = 0;
    for segment in &mut segments {
        if segment.base != end {
            return Err(Error::Damaged {
                what: format!("log partition {}", partition.display()),
                detail: format!("a segment starts at offset {}, the one before ends at {end}", segment.base),
            });
        }
        segment.len = std::fs::metadata(&segment.path)
            .map_err(|source| Error::file("read", &segment.path, source))?
            .len();
        end = segment.end();
    }
    Ok(segments)
}

/// Makes the names in a folder durable.
///
/// # Errors
/// When the system refuses.
pub(super) fn sync_folder(folder: &Path) -> Result<(), Error> {
    // On other systems a folder can't be opened, and its names are durable anyway.
    if cfg!(unix) {
        File::open(folder)
            .and_then(|file| file.sync_all())
            .map_err(|source| Error::file("synchronise folder", folder, source))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_twenty_digits_are_segments() {
        assert_eq!(base_of("00000000000067108852.jsonl"), Some(67_108_852));
        for name in
            ["67108852.jsonl", "+0000000000067108852.jsonl", "00000000000067108852.jsonl.gz", ".jsonl"]
        {
            assert_eq!(base_of(name), None, "{name}");
        }
    }

    #[test]
    fn a_gap_between_segments_is_damage() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(segment_path(folder.path(), 0), "{a}\n").expect("written");
        std::fs::write(segment_path(folder.path(), 4), "{b}\n").expect("written");
        assert_eq!(list(folder.path()).expect("in order").len(), 2);
        std::fs::write(segment_path(folder.path(), 9), "{c}\n").expect("written");
        let error = list(folder.path()).expect_err("a gap");
        assert_eq!(
            error.to_string(),
            format!(
                "log partition {} is damaged: a segment starts at offset 9, the one before ends at 8",
                folder.path().display()
            )
        );
    }
}
