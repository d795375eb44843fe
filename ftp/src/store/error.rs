//! Why a store cannot do something.

use std::io;

use crate::protocol::{Code, NameError};

/// A failed operation on a store, with the file it failed for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file, or a folder on its path, does not exist.
    #[error("{name:?} does not exist")]
    NotFound {
        /// The file.
        name: String,
    },
    /// The name is that of a folder, a device, ...
    #[error("{name:?} is not a plain file")]
    NotAFile {
        /// The file.
        name: String,
    },
    /// The name is that of a file where a folder is needed.
    #[error("{name:?} is not a folder")]
    NotAFolder {
        /// The file.
        name: String,
    },
    /// A symbolic link leads out of the root.
    #[error("{name:?} leads out of the shared folder, which is refused")]
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
    /// No space is left.
    #[error("no space for {name:?}: the disk is full, or a limit on sizes is reached")]
    DiskFull {
        /// The file.
        name: String,
    },
    /// The client's quota would be exceeded.
    #[error(
        "no space for {name:?}: it would exceed the quota of {quota_bytes} bytes, of which \
         {used_bytes} are used"
    )]
    QuotaExceeded {
        /// The file.
        name: String,
        /// Bytes that the files may have together.
        quota_bytes: u64,
        /// Bytes that they have.
        used_bytes: u64,
    },
    /// The client's quota of files and folders would be exceeded.
    #[error(
        "no space for {name:?}: it would exceed the quota of {quota_entries} files and folders, of \
         which {used_entries} are used"
    )]
    TooManyEntries {
        /// The file.
        name: String,
        /// Files, folders and everything else with a name that there may be.
        quota_entries: u64,
        /// Number of them.
        used_entries: u64,
    },
    /// The file exists.
    #[error("{name:?} already exists and is not to be replaced")]
    Exists {
        /// The file.
        name: String,
    },
    /// The name is invalid.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The file system failed in another way.
    #[error("{name:?}: {source}")]
    Io {
        /// The file.
        name: String,
        /// Error of the system.
        source: io::Error,
    },
}

impl StoreError {
    /// The code that tells a peer about it.
    pub const fn code(&self) -> Code {
        match self {
            Self::NotFound { .. } => Code::NotFound,
            Self::NotAFile { .. } | Self::NotAFolder { .. } => Code::NotAFile,
            Self::OutsideRoot { .. } | Self::Name(_) => Code::NameRefused,
            Self::PermissionDenied { .. } => Code::PermissionDenied,
            Self::DiskFull { .. } => Code::DiskFull,
            Self::QuotaExceeded { .. } | Self::TooManyEntries { .. } => Code::QuotaExceeded,
            Self::Exists { .. } => Code::Exists,
            Self::Io { .. } => Code::Io,
        }
    }

    /// Returns true when the store writes to a pipe whose reader has left.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Sorts an error of the file system, or of something that is used as a file, into the
    /// variants above.
    pub fn from_io(name: impl Into<String>, source: io::Error) -> Self {
        use io::ErrorKind as Kind;
        let name = name.into();
        match source.kind() {
            Kind::NotFound => Self::NotFound { name },
            Kind::IsADirectory => Self::NotAFile { name },
            Kind::NotADirectory => Self::NotAFolder { name },
            // cap-std refuses a path that leaves the root without asking the system, so there is
            // no errno; a refusal by the system has one.
            Kind::PermissionDenied if source.raw_os_error().is_none() => Self::OutsideRoot { name },
            Kind::PermissionDenied | Kind::ReadOnlyFilesystem => Self::PermissionDenied { name },
            Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => Self::DiskFull { name },
            Kind::AlreadyExists => Self::Exists { name },
            _ => Self::Io { name, source },
        }
    }

    /// Refusal of a source that can be read from its beginning only.
    pub fn no_seek(offset: u64) -> Self {
        let source = io::Error::from(io::ErrorKind::Unsupported);
        Self::from_io(format!("offset {offset}"), source)
    }
}
