//! Where files come from and go to.
//!
//! The calls block; they are made where that holds nobody up. [`DirStore`] is a folder of the
//! file system, [`MemStore`] keeps everything in memory, for tests and virtual time.
//! [`PatternSource`] and [`HashStore`] carry files of any size and keep none of it.

mod digest;
mod dir;
mod memory;
mod partial;
mod pattern;

use std::fmt;
use std::io;

use bytes::Bytes;

pub use self::digest::{Digest, HashStore};
pub use self::dir::{DirStore, open_file};
pub use self::memory::MemStore;
pub use self::pattern::PatternSource;
use crate::code::Code;
use crate::message::Entry;
use crate::names::{Name, NameError};

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
}

/// A file that is written from its beginning to its end. Dropping it leaves nothing behind.
pub trait Sink: Send + fmt::Debug {
    /// Appends bytes.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: no room, or the file system fails.
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError>;

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
            Self::Exists { .. } => Code::Exists,
            Self::Io { .. } => Code::Io,
        }
    }

    pub(crate) fn from_io(name: impl Into<String>, source: io::Error) -> Self {
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
