//! A file that takes its name only once it is complete.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tallow_model::error::Error;

/// A hidden file that is being written. Dropping it before it is published removes it.
pub(super) struct Draft {
    folder: PathBuf,
    /// Final path, for messages.
    path: PathBuf,
    hidden: PathBuf,
    file: BufWriter<File>,
}

impl Draft {
    /// Creates the draft of the file `name` in a folder.
    ///
    /// # Errors
    /// When the file can't be created.
    pub(super) fn create(folder: &Path, name: &str) -> Result<Draft, Error> {
        let path = folder.join(name);
        // The process number in the name keeps two runs into one folder from writing to each
        // other's drafts.
        let hidden = folder.join(format!(".{name}.{}.draft", std::process::id()));
        let file = File::create(&hidden).map_err(|source| Error::file("create", &path, source))?;
        Ok(Draft { folder: folder.to_owned(), path, hidden, file: BufWriter::with_capacity(1 << 16, file) })
    }

    /// Writes to the draft by `write`.
    ///
    /// # Errors
    /// When writing fails; the text names the file.
    pub(super) fn write_with<T>(
        &mut self,
        write: impl FnOnce(&mut BufWriter<File>) -> io::Result<T>,
    ) -> Result<T, Error> {
        write(&mut self.file).map_err(|source| self.failed(source))
    }

    /// Opens the written content for reading.
    ///
    /// # Errors
    /// When not all of it can be written, or it can't be opened.
    pub(super) fn reopen(&mut self) -> Result<File, Error> {
        self.file.flush().and_then(|()| File::open(&self.hidden)).map_err(|source| self.failed(source))
    }

    /// Makes everything written durable, so that publishing can hardly fail.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn complete(&mut self) -> Result<(), Error> {
        self.file.flush().and_then(|()| self.file.get_ref().sync_all()).map_err(|source| self.failed(source))
    }

    /// Gives the complete file its name, and replaces an existing one.
    ///
    /// # Errors
    /// When the file can't be moved.
    pub(super) fn publish_as(self, name: &str) -> Result<(), Error> {
        let path = self.folder.join(name);
        std::fs::rename(&self.hidden, &path).map_err(|source| Error::file("create", &path, source))
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::file("write", &self.path, source)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // A published draft no longer exists here; one that can't be removed is a hidden file whose
        // name says what it is.
        let _ = std::fs::remove_file(&self.hidden);
    }
}
