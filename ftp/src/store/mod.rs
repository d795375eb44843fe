//! Where files come from and go to.
//!
//! The calls block; they are made where that holds nobody up. [`DirStore`] is a folder of the
//! file system, [`MemStore`] keeps everything in memory, for tests and virtual time.
//! [`PatternSource`] and [`HashStore`] carry files of any size and keep none of it.

mod digest;
mod dir;
mod disk;
mod extent;
mod hash;
mod journal;
mod memory;
mod parking;
mod partial;
mod pattern;
mod sweep;
mod usage;

use std::fmt;
use std::io;

use bytes::Bytes;

pub use self::digest::{Digest, HashStore};
pub use self::dir::{DirStore, open_file};
pub use self::disk::{Faults, Step};
pub use self::hash::hash_source;
pub use self::memory::MemStore;
pub use self::pattern::PatternSource;
use crate::protocol::Code;
use crate::protocol::blocks::BlockHash;
use crate::protocol::{Attributes, Entry, EntryKind};
use crate::protocol::{Name, NameError};

/// A way in for the fuzzer: any bytes as a journal.
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub fn fuzz_journal(bytes: &[u8]) {
    journal::fuzz(bytes);
}

/// A place with files in it.
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// Opens a file to read.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: not there, not a plain file, not allowed.
    fn open(&self, name: &Name) -> Result<Box<dyn Source>, StoreError>;

    /// Begins a file of `size` bytes. It gets its name when it is whole.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: not allowed, no room, no such folder, or there already and not to be
    /// replaced.
    fn create(&self, name: &Name, size: u64, overwrite: bool) -> Result<Box<dyn Sink>, StoreError>;

    /// What is left of a transfer of the same `key` to `name` that broke off; `None` when there
    /// is nothing, or when somebody is still writing it.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    fn parked(
        &self,
        name: &Name,
        key: &str,
        overwrite: bool,
    ) -> Result<Option<Parked>, StoreError> {
        let _ = (name, key, overwrite);
        Ok(None)
    }

    /// As [`create`](Self::create), for a file that is parked when it breaks off: what has been
    /// verified of it by then is kept, for [`parked`](Self::parked) with the same key. Stores
    /// that do not park keep nothing.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    fn create_parkable(
        &self,
        name: &Name,
        size: u64,
        overwrite: bool,
        origin: Origin<'_>,
    ) -> Result<Box<dyn Sink>, StoreError> {
        let _ = origin;
        self.create(name, size, overwrite)
    }

    /// What there is under a name; `None` when there is nothing. Links are not followed.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: a folder on the way is not there, or not allowed.
    fn stat(&self, name: &Name) -> Result<Option<Found>, StoreError> {
        match self.open(name) {
            Ok(source) => Ok(Some(Found {
                name: name.split().1.to_owned(),
                kind: FoundKind::File,
                size: source.size(),
                attributes: Attributes::default(),
                fingerprint: source.fingerprint(),
                allocated: source.allocated(),
            })),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Everything in a folder (`None`: the root), by name, also what could not be asked for;
    /// at most `limit` entries.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    fn scan(&self, folder: Option<&Name>, limit: usize) -> Result<Vec<Found>, StoreError> {
        let entries = self.list(folder, None, limit)?;
        Ok(entries.into_iter().map(Found::from).collect())
    }

    /// The bytes of all files together, also of those that have not arrived whole.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    fn usage(&self) -> Result<u64, StoreError> {
        usage::usage(self)
    }

    /// Makes a folder and those on the way to it, where they are not there.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: not allowed, or something that is no folder is in the way.
    fn make_folder(&self, name: &Name) -> Result<(), StoreError> {
        let _ = name;
        Ok(())
    }

    /// Everything written by now is on the disk when this returns: see [`Sink::settled`].
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the file system fails.
    fn settle(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Whether names that differ only in case are the same file.
    fn folds_case(&self) -> bool {
        false
    }

    /// The first `limit` entries of a folder (`None`: the root) behind the name `after`, by
    /// name. Names that could not be asked for are left out.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: not there, not a folder, not allowed.
    fn list(
        &self,
        folder: Option<&Name>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError>;
}

/// What there is in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name within the folder.
    pub name: String,
    /// What it is.
    pub kind: FoundKind,
    /// Bytes of a file.
    pub size: u64,
    /// What it keeps on its way besides its contents.
    pub attributes: Attributes,
    /// As [`Source::fingerprint`] of a file.
    pub fingerprint: Option<String>,
    /// As [`Source::allocated`] of a file.
    pub allocated: Option<u64>,
}

/// What something in a folder is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum FoundKind {
    /// A plain file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A device, a pipe, ...
    Other,
}

impl From<Entry> for Found {
    fn from(entry: Entry) -> Self {
        Self {
            name: entry.name,
            kind: match entry.kind {
                EntryKind::File => FoundKind::File,
                EntryKind::Folder => FoundKind::Folder,
            },
            size: entry.size,
            attributes: Attributes::default(),
            fingerprint: None,
            allocated: None,
        }
    }
}

/// Where a file that is received comes from.
#[derive(Copy, Clone, Debug)]
pub struct Origin<'a> {
    /// What a later transfer of the same file says again.
    pub key: &'a str,
    /// The source's [`fingerprint`](Source::fingerprint).
    pub source: &'a str,
    /// As [`Source::allocated`].
    pub allocated: Option<u64>,
}

/// A file that has not arrived whole, and how much of it is verified.
#[derive(Debug)]
pub struct Parked {
    /// Of the whole file, in bytes.
    pub size: u64,
    /// The [`fingerprint`](Source::fingerprint) of its source.
    pub source: String,
    /// Of the verified blocks, from the first on; never of the last block of the file.
    pub hashes: Vec<BlockHash>,
    /// Goes on behind these blocks.
    pub sink: Box<dyn Sink>,
}

/// A file that is read from its beginning to its end.
pub trait Source: Send + fmt::Debug {
    /// How long it was when it was opened, in bytes.
    fn size(&self) -> u64;

    /// The next bytes, `max` of them or what is left; none at the end.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the file system fails.
    fn read(&mut self, max: usize) -> Result<Bytes, StoreError>;

    /// What tells this file from any other, and from itself when it was changed: a file with
    /// the same fingerprint has the same bytes. `None`: cannot be told, so a transfer that
    /// broke off begins anew.
    fn fingerprint(&self) -> Option<String> {
        None
    }

    /// Bytes that it takes on its disk, where it has holes: long runs of zeros that are kept
    /// nowhere. `None`: it has none, or that cannot be told.
    fn allocated(&self) -> Option<u64> {
        None
    }

    /// Goes on reading at `offset`, in bytes from the beginning.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the file system fails, or when there is no such way.
    fn seek(&mut self, offset: u64) -> Result<(), StoreError> {
        let source = io::Error::from(io::ErrorKind::Unsupported);
        Err(StoreError::from_io(format!("offset {offset}"), source))
    }
}

/// A file that is written from its beginning to its end. Dropping it leaves nothing behind,
/// unless it is [parkable](Store::create_parkable).
pub trait Sink: Send + fmt::Debug {
    /// Appends bytes.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: no room, or the file system fails.
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError>;

    /// The block behind those before is written and is the sender's, by its `hash`. Said of
    /// every block but the last of the file.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: no room, or the file system fails.
    fn verified(&mut self, hash: BlockHash) -> Result<(), StoreError> {
        let _ = hash;
        Ok(())
    }

    /// Leaves nothing behind, parkable or not.
    fn discard(self: Box<Self>) {}

    /// Gives the file the mode and time of its source. Follows everything that is written.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the file system fails.
    fn set_attributes(&mut self, attributes: Attributes) -> Result<(), StoreError> {
        let _ = attributes;
        Ok(())
    }

    /// The store was [settled](Store::settle) since the last write: [`commit`](Self::commit)
    /// need not wait for the disk again.
    fn settled(&mut self) {}

    /// A job to be run beside further writes, now and then: it brings what is written so far
    /// onto the disk, so that little is left to wait for in [`commit`](Self::commit).
    fn flush(&mut self) -> Option<Box<dyn FnOnce() + Send>> {
        None
    }

    /// The file is whole: it gets its name, at once and as a whole.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; nothing is left behind then either.
    fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

/// What a store cannot do, and with which file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It is not there, or a folder on the way to it is not.
    #[error("{name:?} is not there")]
    NotFound {
        /// The file.
        name: String,
    },
    /// It is a folder, a device, ...
    #[error("{name:?} is not a plain file")]
    NotAFile {
        /// The file.
        name: String,
    },
    /// It is a file where a folder is needed.
    #[error("{name:?} is not a folder")]
    NotAFolder {
        /// The file.
        name: String,
    },
    /// A symbolic link leads out of the root.
    #[error("{name:?} leads out of the shared folder; that is refused")]
    OutsideRoot {
        /// The file.
        name: String,
    },
    /// The file system does not allow it.
    #[error("{name:?} cannot be opened or written: permission denied, or read-only")]
    PermissionDenied {
        /// The file.
        name: String,
    },
    /// There is no room for it.
    #[error("no room for {name:?}: the disk is full, or a limit on sizes is reached")]
    DiskFull {
        /// The file.
        name: String,
    },
    /// The client may not have so much here.
    #[error(
        "no room for {name:?}: it would go beyond the quota of {quota_bytes} bytes, of which \
         {used_bytes} are used"
    )]
    QuotaExceeded {
        /// The file.
        name: String,
        /// The most that files may have together here.
        quota_bytes: u64,
        /// What they have.
        used_bytes: u64,
    },
    /// It is there already.
    #[error("{name:?} is there already and is not to be replaced")]
    Exists {
        /// The file.
        name: String,
    },
    /// The name is never accepted.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The file system failed in another way.
    #[error("{name:?}: {source}")]
    Io {
        /// The file.
        name: String,
        /// What the system said.
        source: io::Error,
    },
}

impl StoreError {
    /// The word for it.
    pub const fn code(&self) -> Code {
        match self {
            Self::NotFound { .. } => Code::NotFound,
            Self::NotAFile { .. } | Self::NotAFolder { .. } => Code::NotAFile,
            Self::OutsideRoot { .. } | Self::Name(_) => Code::NameRefused,
            Self::PermissionDenied { .. } => Code::PermissionDenied,
            Self::DiskFull { .. } => Code::DiskFull,
            Self::QuotaExceeded { .. } => Code::QuotaExceeded,
            Self::Exists { .. } => Code::Exists,
            Self::Io { .. } => Code::Io,
        }
    }

    /// An error of the file system, or of something that is used as a file, with its name.
    pub fn from_io(name: impl Into<String>, source: io::Error) -> Self {
        use io::ErrorKind as Kind;
        let name = name.into();
        match source.kind() {
            Kind::NotFound => Self::NotFound { name },
            Kind::IsADirectory => Self::NotAFile { name },
            Kind::NotADirectory => Self::NotAFolder { name },
            // The rooted handle's own refusal, not the system's.
            Kind::PermissionDenied if source.raw_os_error().is_none() => Self::OutsideRoot { name },
            Kind::PermissionDenied | Kind::ReadOnlyFilesystem => Self::PermissionDenied { name },
            Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => Self::DiskFull { name },
            Kind::AlreadyExists => Self::Exists { name },
            _ => Self::Io { name, source },
        }
    }
}
