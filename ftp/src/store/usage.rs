//! Space that files take: bytes on the disk, and entries of folders.
//!
//! What is counted can be known before a file is written, so that it can be reserved: the length of
//! a file, rounded up to whole [units](DiskUsage::unit) of its disk, or the blocks that the file has
//! where these are much more; a unit for each folder; an entry for everything that has a name. Holes of
//! sparse files count, journals beside partial files do not.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use cap_std::fs::{Dir, Metadata};

use super::error::StoreError;
use crate::protocol::{JOURNAL_SUFFIX, Name, is_partial};

/// Smallest unit in which space is counted, in bytes: the usual block of a file system.
pub(crate) const UNIT_BYTES: u64 = 4096;

/// Bytes beside the contents of a file that are not counted, as is a sixteenth of its length: a file
/// system needs some blocks to find the others again, and how many is not known before.
#[cfg(unix)]
const INDEX_BYTES: u64 = 64 << 10;

/// Space that some files take together.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes on the disk.
    pub bytes: u64,
    /// Files, folders and everything else that has a name.
    pub entries: u64,
}

impl Usage {
    /// Returns the space of a file of `len` bytes on a disk with this unit.
    pub fn of_file(len: u64, unit: u64) -> Self {
        let bytes = len.checked_next_multiple_of(unit).unwrap_or(u64::MAX);
        Self { bytes, entries: 1 }
    }

    /// Returns the sum; it never overflows.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            entries: self.entries.saturating_add(other.entries),
        }
    }

    /// Returns the lesser of both, in bytes and in entries.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.min(other.bytes),
            entries: self.entries.min(other.entries),
        }
    }

    /// Returns the difference; it is never below zero.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_sub(other.bytes),
            entries: self.entries.saturating_sub(other.entries),
        }
    }
}

/// Identity of a file or folder, whatever it is called.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId {
    /// Number of the file system.
    pub device: u64,
    /// Number of the file in it.
    pub inode: u64,
}

/// A file on the disk, or several, and their space; by default none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnDisk {
    /// Space of all of them.
    pub usage: Usage,
    /// Identities, where the system has such.
    pub files: Vec<FileId>,
}

/// Space of the files of a store. Every call may block.
pub trait DiskUsage {
    /// Returns the identity of the root: two stores with the same one have the same files.
    fn root_id(&self) -> Option<FileId>;

    /// Returns the mode of the root folder.
    fn root_mode(&self) -> Option<u32>;

    /// Returns the unit in which space is allocated, in bytes.
    fn unit(&self) -> u64;

    /// Counts everything, partial files included, but for the files `except`.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the root cannot be read.
    fn total(&self, except: &BTreeSet<FileId>) -> Result<Usage, StoreError>;

    /// Returns what has this name.
    fn file(&self, name: &Name) -> OnDisk;

    /// Returns the partial file of the transfer with this [key](super::Origin::key) to this name.
    fn partial(&self, name: &Name, key: &str) -> OnDisk;

    /// Returns the number of folders that do not exist of those on this path.
    fn missing_folders(&self, name: &Name) -> u64;
}

/// Returns what a file, folder or anything else takes. Links are not followed.
pub(super) fn on_disk(metadata: &Metadata, unit: u64) -> OnDisk {
    let usage = if metadata.is_file() {
        let mut usage = Usage::of_file(metadata.len(), unit);
        #[cfg(unix)]
        {
            let blocks = cap_std::fs::MetadataExt::blocks(metadata);
            let blocks = blocks.saturating_mul(512);
            if blocks > usage.bytes.saturating_add(usage.bytes / 16 + INDEX_BYTES) {
                usage.bytes = blocks;
            }
        }
        usage
    } else if metadata.is_dir() {
        Usage::of_file(unit, unit)
    } else {
        Usage::of_file(0, unit)
    };
    OnDisk {
        usage,
        files: file_id(metadata).into_iter().collect(),
    }
}

#[cfg(unix)]
#[expect(
    clippy::unnecessary_wraps,
    reason = "other systems have no such numbers"
)]
pub(super) fn file_id(metadata: &Metadata) -> Option<FileId> {
    use cap_std::fs::MetadataExt;
    Some(FileId {
        device: metadata.dev(),
        inode: metadata.ino(),
    })
}

#[cfg(not(unix))]
pub(super) fn file_id(_: &Metadata) -> Option<FileId> {
    None
}

/// Implements [`DiskUsage::total`] for a folder of the file system. Links are not followed; what
/// vanishes meanwhile, and folders that must not be read, are not counted.
pub(super) fn total_of(root: &Dir, unit: u64, except: &BTreeSet<FileId>) -> io::Result<Usage> {
    let mut total = Usage::default();
    let mut folders = Vec::new();
    let mut entries = root.entries()?;
    let mut here = PathBuf::new();
    loop {
        for entry in entries.filter_map(Result::ok) {
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            let name = entry.file_name();
            let is_journal = name
                .to_str()
                .is_some_and(|name| is_partial(name) && name.ends_with(JOURNAL_SUFFIX));
            if is_journal || file_id(&metadata).is_some_and(|id| except.contains(&id)) {
                continue;
            }
            total = total.plus(on_disk(&metadata, unit).usage);
            if metadata.is_dir() {
                folders.push(here.join(name));
            }
        }
        (here, entries) = loop {
            let Some(next) = folders.pop() else {
                return Ok(total);
            };
            if let Ok(entries) = root.read_dir(&next) {
                break (next, entries);
            }
        };
    }
}
