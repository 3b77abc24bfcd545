//! `log.json`: the properties that are fixed for the life of a log.

use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use tallow_model::error::Error;

/// The format that this code reads and writes.
const FORMAT: u32 = 1;

/// The content of `log.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// Version of the layout.
    format: u32,
    /// Number of partitions.
    pub(super) partitions: u32,
}

impl Manifest {
    /// Reads the manifest of an existing log; `None` if there is no log.
    ///
    /// # Errors
    /// When it can't be read, or another version wrote it.
    pub(super) fn read(folder: &Path) -> Result<Option<Manifest>, Error> {
        let path = path(folder);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::file("read", &path, source)),
        };
        let damaged = |detail: String| Error::Damaged { what: path.display().to_string(), detail };
        let manifest: Manifest = serde_json::from_slice(&text).map_err(|e| damaged(e.to_string()))?;
        if manifest.format != FORMAT {
            return Err(Error::Invalid(format!(
                "open log {}: it has format {}, this version reads format {FORMAT}",
                folder.display(),
                manifest.format
            )));
        }
        if manifest.partitions == 0 {
            return Err(damaged("a log has at least one partition".to_owned()));
        }
        Ok(Some(manifest))
    }

    /// Reads the manifest of an existing log, which must have this number of partitions, or writes
    /// it for a new log.
    ///
    /// # Errors
    /// When it can't be read or written, or the log has another number of partitions.
    pub(super) fn ensure(folder: &Path, partitions: u32) -> Result<Manifest, Error> {
        match Manifest::read(folder)? {
            Some(manifest) if manifest.partitions == partitions => Ok(manifest),
            Some(manifest) => Err(Error::Invalid(format!(
                "open log {} with {partitions} partitions: it has {}, which can't be changed",
                folder.display(),
                manifest.partitions
            ))),
            None if super::segments::partition_folder(folder, 0).exists() => Err(Error::Damaged {
                what: format!("log {}", folder.display()),
                detail: "it has partitions and no log.json".to_owned(),
            }),
            None => {
                let manifest = Manifest { format: FORMAT, partitions };
                manifest.write(folder)?;
                Ok(manifest)
            }
        }
    }

    /// Writes the manifest beside its place and moves it there, so that no crash leaves half of it.
    fn write(&self, folder: &Path) -> Result<(), Error> {
        let draft = folder.join("log.json.new");
        let failed = |source| Error::file("write", &draft, source);
        let mut text = serde_json::to_vec(self).map_err(|e| failed(e.into()))?;
        text.push(b'\n');
        let mut file = File::create(&draft).map_err(failed)?;
        file.write_all(&text).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        let path = path(folder);
        std::fs::rename(&draft, &path).map_err(|source| Error::file("create", &path, source))?;
        super::segments::sync_folder(folder)
    }
}

fn path(folder: &Path) -> PathBuf {
    folder.join("log.json")
}
