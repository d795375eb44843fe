//! A store in a folder of the file system, accessed through a handle that no name can leave.
//!
//! `cap-std` resolves every name below the handle: `..`, absolute names and symbolic links that
//! leave the root are errors, even if the folders are changed meanwhile.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirEntry, Metadata, OpenOptions, OpenOptionsExt};
use cap_std::time::SystemTime;

use super::disk::{Disk, Faults, Folder};
use super::error::StoreError;
#[cfg(unix)]
use super::file_source::sparse;
use super::file_source::{FileSource, fingerprint_of, nanoseconds};
use super::folder_page;
use super::partial::{FLUSH_BYTES, Finish, Partial};
use super::partial_store::PartialStore;
use super::sweep::{self, KEEP_PARTIALS};
use super::traits::{
    CreateOptions, Found, FoundKind, PartialOptions, ResumablePartial, Sink, Source, Store,
};
use super::usage::{self, DiskUsage, FileId, OnDisk, UNIT_BYTES, Usage};
use crate::protocol::{Attributes, Entry, EntryKind, Name};

/// Largest unit that is believed: that of the largest clusters of common file systems, in bytes.
const MAX_UNIT_BYTES: u64 = 64 << 10;

/// A folder of the file system and everything below it.
#[derive(Debug)]
pub struct DirStore {
    root: Folder,
    durable: bool,
    flush_bytes: u64,
    keep_partials: Duration,
    folds_case: bool,
    /// As [`DiskUsage::unit`].
    unit: u64,
}

impl DirStore {
    /// Opens a folder.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: not found, not a folder, not readable.
    pub fn open(root: impl AsRef<Path>) -> Result<Self, StoreError> {
        let root = root.as_ref();
        Dir::open_ambient_dir(root, ambient_authority())
            .map(|root| Self {
                unit: unit(&root),
                root: Folder::new(root),
                durable: true,
                flush_bytes: FLUSH_BYTES,
                keep_partials: KEEP_PARTIALS,
                folds_case: cfg!(any(windows, target_vendor = "apple")),
            })
            .map_err(|error| StoreError::from_io(root.to_string_lossy(), error))
    }

    /// Sets whether a file is synced to the disk before it gets its name. Default yes.
    #[must_use]
    pub const fn durable(mut self, durable: bool) -> Self {
        self.durable = durable;
        self
    }

    /// Sets the bytes written to a file between two syncs. Default 32 MiB. A power failure costs a
    /// transfer about this much.
    #[must_use]
    pub const fn flush_every(mut self, bytes: u64) -> Self {
        self.flush_bytes = bytes;
        self
    }

    /// Injects failures into every operation on the disk, for tests.
    #[must_use]
    pub fn with_faults(mut self, faults: Arc<dyn Faults>) -> Self {
        self.root = self.root.failing(faults);
        self
    }

    /// Sets how long partial files are kept for another attempt. Default 7 days.
    #[must_use]
    pub const fn keep_partials(mut self, keep_partials: Duration) -> Self {
        self.keep_partials = keep_partials;
        self
    }

    /// Sets whether names that differ only in case are the same file. Default: as is usual for file
    /// systems of this operating system.
    #[must_use]
    pub const fn fold_case(mut self, folds_case: bool) -> Self {
        self.folds_case = folds_case;
        self
    }

    /// Opens a folder below this one as a store of its own, creating it if needed.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); also when a link on the path leads out of this folder.
    pub fn below(&self, folder: &Name) -> Result<Self, StoreError> {
        self.create_folder(folder, None)?;
        Ok(Self {
            root: self.folder(Some(folder.as_str()))?,
            ..*self
        })
    }

    /// Removes partial files that will not be resumed: those without a journal, and those that are
    /// too old. Returns their number. A file that a living process is writing stays.
    ///
    /// # Errors
    ///
    /// [`io::Error`] when the root cannot be read.
    pub fn sweep(&self) -> io::Result<usize> {
        sweep::sweep(self.root.dir()?, self.keep_partials)
    }

    /// Checks that a file may be created, and returns where it goes.
    fn target(&self, name: &Name, overwrite: bool) -> Result<Finish, StoreError> {
        let (path, target) = name.split();
        let folder = self.folder(path)?;
        let found = folder.dir().and_then(|dir| dir.symlink_metadata(target));
        match found {
            // Only files and links are replaced: a rename would destroy a device or a pipe.
            Ok(metadata) if !metadata.is_file() && !metadata.is_symlink() => {
                return Err(StoreError::NotAFile {
                    name: name.to_string(),
                });
            }
            Ok(_) if !overwrite => {
                return Err(StoreError::Exists {
                    name: name.to_string(),
                });
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::from_io(name.as_str(), error));
            }
            _ => {}
        }
        Ok(Finish {
            folder,
            target: target.to_owned(),
            name: name.to_string(),
            overwrite,
            durable: self.durable,
            unit: self.unit,
            flush_bytes: self.flush_bytes,
        })
    }

    fn folder(&self, folder: Option<&str>) -> Result<Folder, StoreError> {
        match folder {
            Some(path) => self.root.open_dir(path),
            None => self.root.try_clone(),
        }
        .map_err(|error| StoreError::from_io(folder.unwrap_or_default(), error))
    }
}

impl Store for DirStore {
    fn open(&self, name: &Name) -> Result<Box<dyn Source>, StoreError> {
        let failed = |error| StoreError::from_io(name.as_str(), error);
        let mut options = OpenOptions::new();
        options.read(true);
        // Opening a named pipe would otherwise block until a process opens it for writing.
        #[cfg(unix)]
        options.custom_flags(nonblocking());
        let file = self.root.open(name.as_str(), &options).map_err(failed)?;
        FileSource::new(file, name.as_str())
    }

    fn create(&self, name: &Name, options: CreateOptions<'_>) -> Result<Box<dyn Sink>, StoreError> {
        let CreateOptions {
            size, overwrite, ..
        } = options;
        if let Some(origin) = options.origin {
            let finish = self.target(name, overwrite)?;
            if let Some(partial) =
                PartialStore::new(name, origin.key).create(finish, size, origin)?
            {
                return Ok(Box::new(partial));
            }
            // The file fits one block, or another transfer is writing the partial file of this
            // key: a file with a name of its own is received all the same, and not resumable.
        }
        let partial = Partial::create(self.target(name, overwrite)?, size)?;
        Ok(Box::new(partial))
    }

    fn open_partial(
        &self,
        name: &Name,
        options: PartialOptions<'_>,
    ) -> Result<Option<ResumablePartial>, StoreError> {
        let finish = self.target(name, options.overwrite)?;
        let partial = PartialStore::new(name, options.key).open(finish)?;
        Ok(partial.and_then(|partial| partial.of_size(options.size)))
    }

    fn stat(&self, name: &Name) -> Result<Option<Found>, StoreError> {
        let root = self.root.dir();
        match root.and_then(|root| root.symlink_metadata(name.as_str())) {
            Ok(metadata) => Ok(Some(found(name.split().1.to_owned(), &metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::from_io(name.as_str(), error)),
        }
    }

    fn scan(
        &self,
        folder: Option<&Name>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Found>, StoreError> {
        let path = folder.map(Name::as_str);
        let failed = |error| StoreError::from_io(path.unwrap_or_default(), error);
        let folder = self.folder(path)?;
        let folder = folder.dir().map_err(failed)?;
        let describe = |name, is_utf8: bool, metadata: &Metadata| {
            let mut found = found(name, metadata);
            if !is_utf8 {
                found.kind = FoundKind::NotUtf8;
            }
            Some(found)
        };
        folder_page::page(folder, after, limit, |_, _| true, describe).map_err(failed)
    }

    fn disk_usage(&self) -> Option<&dyn DiskUsage> {
        Some(self)
    }

    fn create_folder(&self, name: &Name, mode: Option<u32>) -> Result<(), StoreError> {
        let failed = |error| StoreError::from_io(name.as_str(), error);
        self.root
            .create_dir_all(name.as_str(), mode)
            .map_err(failed)
    }

    fn sync(&self) -> Result<(), StoreError> {
        #[cfg(target_os = "linux")]
        if self.durable {
            let failed = |error| StoreError::from_io("the shared folder", error);
            self.root.sync_file_system().map_err(failed)?;
        }
        Ok(())
    }

    fn folds_case(&self) -> bool {
        self.folds_case
    }

    fn list(
        &self,
        folder: Option<&Name>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let path = folder.map(Name::as_str);
        let failed = |error| StoreError::from_io(path.unwrap_or_default(), error);
        let folder = self.folder(path)?;
        let folder = folder.dir().map_err(failed)?;
        let describe = |name, _, metadata: &Metadata| entry_of(name, metadata);
        folder_page::page(folder, after, limit, is_listed, describe).map_err(failed)
    }
}

impl DiskUsage for DirStore {
    fn root_id(&self) -> Option<FileId> {
        let root = self.root.dir().and_then(Dir::dir_metadata);
        usage::file_id(&root.ok()?)
    }

    fn root_mode(&self) -> Option<u32> {
        #[cfg(unix)]
        {
            let root = self.root.dir().and_then(Dir::dir_metadata).ok()?;
            Some(cap_std::fs::MetadataExt::mode(&root) & 0o777)
        }
        #[cfg(not(unix))]
        None
    }

    fn unit(&self) -> u64 {
        self.unit
    }

    fn total(&self, except: &BTreeSet<FileId>) -> Result<Usage, StoreError> {
        let root = self.root.dir();
        let total = root.and_then(|root| usage::total_of(root, self.unit, except));
        total.map_err(|error| StoreError::from_io("the folder", error))
    }

    fn file(&self, name: &Name) -> OnDisk {
        let root = self.root.dir();
        let found = root.and_then(|root| root.symlink_metadata(name.as_str()));
        found.map_or_else(
            |_| OnDisk::default(),
            |found| usage::on_disk(&found, self.unit),
        )
    }

    fn partial(&self, name: &Name, key: &str) -> OnDisk {
        let folder = self.folder(name.split().0);
        let part = folder.and_then(|folder| {
            let found = PartialStore::new(name, key).metadata(&folder);
            found.map_err(|error| StoreError::from_io(name.as_str(), error))
        });
        part.map_or_else(
            |_| OnDisk::default(),
            |part| usage::on_disk(&part, self.unit),
        )
    }

    fn missing_folders(&self, name: &Name) -> u64 {
        let Ok(root) = self.root.dir() else {
            return 0;
        };
        let parts = name.as_str().split('/').count();
        let ends = name.as_str().match_indices('/').map(|(end, _)| end);
        let folders = ends.chain([name.as_str().len()]);
        let existing = folders.take_while(|&end| root.exists(&name.as_str()[..end]));
        (parts - existing.count()) as u64
    }
}

/// Unit in which a file system allocates space, in bytes; at least [`UNIT_BYTES`].
fn unit(root: &Dir) -> u64 {
    #[cfg(unix)]
    let unit = rustix::fs::fstatvfs(root).map_or(UNIT_BYTES, |disk| disk.f_frsize);
    #[cfg(not(unix))]
    let unit = {
        let _ = root;
        UNIT_BYTES
    };
    // A network file system may report how much it moves at once, which is not what files take.
    unit.clamp(UNIT_BYTES, MAX_UNIT_BYTES)
}

/// Returns whether a listing names this entry: files and folders that a request can name, and no
/// links, whose kind would be known only by following them.
fn is_listed(name: &str, entry: &DirEntry) -> bool {
    entry.file_name().to_str().is_some()
        && entry
            .file_type()
            .is_ok_and(|kind| kind.is_file() || kind.is_dir())
        && Name::parse(name).is_ok()
}

/// Describes a file or folder; `None` for what became something else in the meantime.
fn entry_of(name: String, metadata: &Metadata) -> Option<Entry> {
    if metadata.is_dir() {
        Some(Entry {
            name: name.into(),
            kind: EntryKind::Folder,
            size: 0,
        })
    } else if metadata.is_file() {
        Some(Entry {
            name: name.into(),
            kind: EntryKind::File,
            size: metadata.len(),
        })
    } else {
        None
    }
}

/// Describes anything in a folder, without following links.
fn found(name: String, metadata: &Metadata) -> Found {
    let kind = match metadata.file_type() {
        kind if kind.is_symlink() => FoundKind::Link,
        kind if kind.is_dir() => FoundKind::Folder,
        kind if kind.is_file() => FoundKind::File,
        _ => FoundKind::Other,
    };
    let modified = metadata.modified().ok().map(SystemTime::into_std);
    #[cfg(unix)]
    let (mode, allocated) = {
        use cap_std::fs::MetadataExt;
        let allocated = sparse(metadata.len(), metadata.blocks());
        (Some(metadata.mode() & 0o777), allocated)
    };
    #[cfg(not(unix))]
    let (mode, allocated) = (None, None);
    Found {
        name,
        kind,
        size: metadata.len(),
        attributes: Attributes {
            mode,
            modified_ns: modified.and_then(nanoseconds),
        },
        fingerprint: modified.map(|modified| fingerprint_of(metadata.len(), modified)),
        allocated,
    }
}

#[cfg(unix)]
const fn nonblocking() -> i32 {
    #[expect(clippy::cast_possible_wrap, reason = "a flag, not a number")]
    {
        rustix::fs::OFlags::NONBLOCK.bits() as i32
    }
}

/// Opens a file of the file system by its path, without the confinement of a store.
///
/// # Errors
///
/// [`StoreError`]: not found, not a plain file, not allowed.
pub fn open_file(path: &Path) -> Result<Box<dyn Source>, StoreError> {
    let name = path.to_string_lossy();
    let metadata =
        std::fs::metadata(path).map_err(|error| StoreError::from_io(name.as_ref(), error))?;
    if !metadata.is_file() {
        return Err(StoreError::NotAFile {
            name: name.into_owned(),
        });
    }
    let file =
        std::fs::File::open(path).map_err(|error| StoreError::from_io(name.as_ref(), error))?;
    FileSource::new(Disk::default().hold(file), &name)
}

#[cfg(test)]
mod tests;
