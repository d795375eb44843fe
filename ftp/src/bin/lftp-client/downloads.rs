//! The default folder for received files, which is created with its first file.

use std::fs;
use std::io;
use std::path::PathBuf;

use lftp_ftp::{
    CreateOptions, DirStore, DiskUsage, Entry, Found, Name, PartialOptions, ResumablePartial, Sink,
    Source, Store, StoreError,
};

/// A folder that may not exist yet.
#[derive(Debug)]
pub(crate) struct Downloads(PathBuf);

impl Downloads {
    pub(crate) fn new(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    fn opened(&self) -> Result<DirStore, StoreError> {
        DirStore::open(&self.0)
    }

    /// Opens the folder, creating it if it is missing.
    pub(crate) fn created(&self) -> Result<DirStore, StoreError> {
        match fs::create_dir(&self.0) {
            // Opening what has that name says whether it is a folder.
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(StoreError::from_io(self.0.to_string_lossy(), error))
            }
            _ => self.opened(),
        }
    }
}

impl Store for Downloads {
    fn open(&self, name: &Name) -> Result<Box<dyn Source>, StoreError> {
        self.opened()?.open(name)
    }

    fn create(&self, name: &Name, options: CreateOptions<'_>) -> Result<Box<dyn Sink>, StoreError> {
        self.created()?.create(name, options)
    }

    fn open_partial(
        &self,
        name: &Name,
        options: PartialOptions<'_>,
    ) -> Result<Option<ResumablePartial>, StoreError> {
        self.opened()?.open_partial(name, options)
    }

    fn stat(&self, name: &Name) -> Result<Option<Found>, StoreError> {
        self.opened()?.stat(name)
    }

    fn list(
        &self,
        folder: Option<&Name>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.opened()?.list(folder, after, limit)
    }

    fn scan(
        &self,
        folder: Option<&Name>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Found>, StoreError> {
        self.opened()?.scan(folder, after, limit)
    }

    /// A client has no quota of its own.
    fn disk_usage(&self) -> Option<&dyn DiskUsage> {
        None
    }

    fn create_folder(&self, name: &Name, mode: Option<u32>) -> Result<(), StoreError> {
        self.created()?.create_folder(name, mode)
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.opened()?.sync()
    }

    /// As [`DirStore`] takes it: there is no folder to ask before the first file.
    fn folds_case(&self) -> bool {
        self.opened().is_ok_and(|store| store.folds_case())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_created_with_the_first_file_and_not_earlier() {
        let working = tempfile::tempdir().unwrap();
        let folder = working.path().join("Download");
        let store = Downloads::new(&folder);
        assert!(!folder.exists());
        let name = Name::parse("a").unwrap();
        for _ in 0..2 {
            let mut sink = store.create(&name, CreateOptions::new(1, true)).unwrap();
            sink.write(b"x").unwrap();
            sink.commit().unwrap();
        }
        assert_eq!(fs::read(folder.join("a")).unwrap(), b"x");
    }

    #[test]
    fn the_error_names_a_file_that_has_the_name_of_the_folder() {
        let working = tempfile::tempdir().unwrap();
        let folder = working.path().join("Download");
        fs::write(&folder, "a file").unwrap();
        let name = Name::parse("a").unwrap();
        let error = Downloads::new(&folder)
            .create(&name, CreateOptions::new(1, true))
            .unwrap_err();
        assert!(error.to_string().contains("Download"), "{error}");
    }
}
