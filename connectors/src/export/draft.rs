//! A file that takes its name only once it is complete.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tallow_model::error::Error;

/// The file while it is written, hidden and under another name. Dropped before it is published, it is removed.
pub(super) struct Draft {
    folder: PathBuf,
    /// What it is to be, for messages.
    path: PathBuf,
    hidden: PathBuf,
    file: BufWriter<File>,
}

impl Draft {
    /// Begins the file `name` in a folder.
    ///
    /// # Errors
    /// When it can't be created there.
    pub(super) fn create(folder: &Path, name: &str) -> Result<Draft, Error> {
        let path = folder.join(name);
        // The process in the name keeps two runs into one folder from writing into each other's drafts.
        let hidden = folder.join(format!(".{name}.{}.draft", std::process::id()));
        let file = File::create(&hidden).map_err(|source| Error::file("create", &path, source))?;
        Ok(Draft { folder: folder.to_owned(), path, hidden, file: BufWriter::with_capacity(1 << 16, file) })
    }

    /// Writes into it.
    ///
    /// # Errors
    /// When that fails, with the file's name.
    pub(super) fn write_with<T>(
        &mut self,
        write: impl FnOnce(&mut BufWriter<File>) -> io::Result<T>,
    ) -> Result<T, Error> {
        write(&mut self.file).map_err(|source| self.failed(source))
    }

    /// Opens what has been written for reading.
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

    /// Gives the completed file its name, in place of one that has it.
    ///
    /// # Errors
    /// When it can't be moved there.
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
        // Once published it is gone from here; where it can't be removed it is a hidden file that says what it is.
        let _ = std::fs::remove_file(&self.hidden);
    }
}
