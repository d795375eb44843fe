//! The contract between a transfer and the place its files are in: [`Store`], [`Source`] and
//! [`Sink`]. No method has a default: a store that does not do something says so.

use std::fmt;
use std::io;

use bytes::Bytes;

use super::error::StoreError;
use super::usage::{DiskUsage, OnDisk};
use crate::protocol::blocks::BlockHash;
use crate::protocol::{Attributes, Entry, EntryKind, Name};

/// A tree of files. Every call may block.
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// Opens a file for reading.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: not found, not a plain file, not allowed.
    fn open(&self, name: &Name) -> Result<Box<dyn Source>, StoreError>;

    /// Starts a file, which gets its name when it is complete ([`Sink::commit`]).
    ///
    /// With an [`Origin`] in the options, what has been verified of it survives an interruption,
    /// for [`open_partial`](Self::open_partial) with the same key. A store that keeps no partial
    /// files ignores the origin.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: not allowed, no space, no such folder, or the file exists and must not be
    /// replaced.
    fn create(&self, name: &Name, options: CreateOptions<'_>) -> Result<Box<dyn Sink>, StoreError>;

    /// Opens what an interrupted transfer left of a file; `None` when there is nothing, or when
    /// another transfer is still writing it.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    fn open_partial(
        &self,
        name: &Name,
        options: PartialOptions<'_>,
    ) -> Result<Option<ResumablePartial>, StoreError>;

    /// Describes what has this name; `None` when nothing does. Links are not followed.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: a folder on the path does not exist, or not allowed.
    fn stat(&self, name: &Name) -> Result<Option<Found>, StoreError>;

    /// Lists the first `limit` files and folders of a folder (`None`: the root) whose names come
    /// after `after`, by name; fewer than `limit` are the last. Names that no request could contain
    /// are left out.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: not found, not a folder, not allowed.
    fn list(
        &self,
        folder: Option<&Name>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError>;

    /// Lists the same of everything in a folder, including links, devices and names that no request
    /// could contain.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    fn scan(
        &self,
        folder: Option<&Name>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Found>, StoreError>;

    /// Returns the space of the files; `None` where they take none that a quota could limit.
    fn disk_usage(&self) -> Option<&dyn DiskUsage>;

    /// Creates a folder and its parents, where they do not exist yet; with a `mode`, the folder is
    /// at no time accessible to more users than that allows.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: not allowed, or something that is not a folder has the name.
    fn create_folder(&self, name: &Name, mode: Option<u32>) -> Result<(), StoreError>;

    /// Brings everything written so far onto the disk, for many files at once: see
    /// [`Sink::store_synced`].
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the file system fails.
    fn sync(&self) -> Result<(), StoreError>;

    /// Returns whether names that differ only in case are the same file.
    fn folds_case(&self) -> bool;
}

/// How [`Store::create`] starts a file.
#[derive(Copy, Clone, Debug)]
pub struct CreateOptions<'a> {
    /// Size of the complete file, in bytes.
    pub size: u64,
    /// Whether an existing file of the same name is replaced.
    pub overwrite: bool,
    /// What makes the file resumable; `None` leaves nothing behind after an interruption.
    pub origin: Option<Origin<'a>>,
}

impl<'a> CreateOptions<'a> {
    /// Options for a file that leaves nothing behind when it is interrupted.
    pub const fn new(size: u64, overwrite: bool) -> Self {
        Self {
            size,
            overwrite,
            origin: None,
        }
    }

    /// The same for a file that a later transfer from the same origin resumes.
    #[must_use]
    pub const fn resumable(mut self, origin: Origin<'a>) -> Self {
        self.origin = Some(origin);
        self
    }
}

/// How [`Store::open_partial`] finds a file.
#[derive(Copy, Clone, Debug)]
pub struct PartialOptions<'a> {
    /// The [key](Origin::key) of the interrupted transfer.
    pub key: &'a str,
    /// Whether an existing file of the same name is replaced at the end.
    pub overwrite: bool,
    /// Size of the complete file, in bytes, where it is known: what is held of a file of another
    /// size is of no use, and is removed.
    pub size: Option<u64>,
}

impl<'a> PartialOptions<'a> {
    /// Options for the partial file of the transfer with this key.
    pub const fn new(key: &'a str, overwrite: bool) -> Self {
        Self {
            key,
            overwrite,
            size: None,
        }
    }

    /// The same for a file whose size is known.
    #[must_use]
    pub const fn of_size(mut self, size: u64) -> Self {
        self.size = Some(size);
        self
    }
}

/// Identity of a file's source, by which a later transfer of the same file resumes this one.
#[derive(Copy, Clone, Debug)]
pub struct Origin<'a> {
    /// Name of the transfer, the same whenever it is tried again.
    pub key: &'a str,
    /// The source's [`fingerprint`](Source::fingerprint).
    pub source: &'a str,
    /// The source's [`allocated`](Source::allocated) bytes.
    pub allocated: Option<u64>,
}

/// A file or folder in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Name within its folder.
    pub name: String,
    /// Kind of thing it is.
    pub kind: FoundKind,
    /// Size of a file, in bytes.
    pub size: u64,
    /// Mode and time, which travel with the contents.
    pub attributes: Attributes,
    /// As [`Source::fingerprint`] of a file.
    pub fingerprint: Option<String>,
    /// As [`Source::allocated`] of a file.
    pub allocated: Option<u64>,
}

/// Kinds of things in a folder.
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
    /// Anything whose name is not valid UTF-8. The name that is shown has other bytes.
    NotUtf8,
}

impl From<Entry> for Found {
    fn from(entry: Entry) -> Self {
        Self {
            name: entry.name.into_raw(),
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

/// A file that is not complete, and how much of it is verified.
#[derive(Debug)]
pub struct ResumablePartial {
    /// Size of the complete file, in bytes.
    pub size: u64,
    /// The [`fingerprint`](Source::fingerprint) of its source.
    pub source: String,
    /// Hashes of the verified blocks, from the first on; never of the last block of the file.
    pub hashes: Vec<BlockHash>,
    /// Sink that continues after these blocks.
    pub sink: Box<dyn Sink>,
}

impl ResumablePartial {
    /// Returns this file if it is of the size that is asked for, and removes it otherwise.
    pub(super) fn of_size(self, size: Option<u64>) -> Option<Self> {
        if size.is_none_or(|size| size == self.size) {
            return Some(self);
        }
        self.sink.discard();
        None
    }
}

/// A file that is read from its beginning to its end.
pub trait Source: Send + fmt::Debug {
    /// Returns the size that the file had when it was opened, in bytes.
    fn size(&self) -> u64;

    /// Reads the next `max` bytes, or what is left; nothing at the end.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the file system fails.
    fn read(&mut self, max: usize) -> Result<Bytes, StoreError>;

    /// Returns what distinguishes this file from itself after a change, as a hint: whether a file is
    /// the one of an interrupted transfer is decided by its bytes. `None` when the file cannot be
    /// read again; an interrupted transfer then starts from scratch.
    fn fingerprint(&self) -> Option<String>;

    /// Returns the bytes that a sparse file takes on its disk; `None` when it has no holes, or
    /// when that is unknown.
    fn allocated(&self) -> Option<u64>;

    /// Returns the mode and time of the file, as far as it has such.
    fn attributes(&self) -> Attributes;

    /// Continues reading at `offset`, in bytes from the beginning.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the file system fails, or when the source
    /// [cannot seek](StoreError::no_seek).
    fn seek(&mut self, offset: u64) -> Result<(), StoreError>;

    /// Looks at the file again: whether it has changed since it was opened, by size and time.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the file system fails.
    fn has_changed(&self) -> Result<bool, StoreError>;

    /// Returns another reader of the same file, with a position of its own.
    ///
    /// # Errors
    ///
    /// As [`seek`](Self::seek).
    fn reopen(&self) -> Result<Box<dyn Source>, StoreError>;
}

/// Reads blocks of a file again, to hash them.
pub trait BlockReader: Send + fmt::Debug {
    /// Reads and hashes block `index`; `None` when the file ends before the end of that block.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the file system fails.
    fn hash_block(&mut self, index: u64) -> Result<Option<BlockHash>, StoreError>;
}

/// A file that is written from its beginning to its end. Dropping it leaves nothing behind,
/// unless it was created with an [`Origin`].
pub trait Sink: Send + fmt::Debug {
    /// Appends bytes.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: no space, or the file system fails.
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError>;

    /// Records that the next block is written completely and has the sender's `hash`. Called for
    /// every block but the last of the file.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: no space, or the file system fails.
    fn block_verified(&mut self, hash: BlockHash) -> Result<(), StoreError>;

    /// Returns a reader of what is written, for the blocks that an earlier transfer left.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the file system fails, or when this sink is never resumed.
    fn reread(&self) -> Result<Box<dyn BlockReader>, StoreError>;

    /// Overwrites block `index`, all of which is written already, with `bytes`.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    fn replace_block(&mut self, index: u64, bytes: &[u8]) -> Result<(), StoreError>;

    /// Notes the mode and time of the source, which the file gets with its name.
    fn set_attributes(&mut self, attributes: Attributes);

    /// Returns what this sink has on the disk, under its temporary name; nothing in a store without
    /// [disk usage](Store::disk_usage).
    fn on_disk(&self) -> OnDisk;

    /// Notes that the whole store was [synced](Store::sync) since the last write, so that
    /// [`commit`](Self::commit) need not sync this file again.
    fn store_synced(&mut self);

    /// Returns work to be done beside further writes, from time to time: it brings what is
    /// written so far onto the disk, so that [`commit`](Self::commit) has little left to wait for.
    fn flush(&mut self) -> Option<Box<dyn FnOnce() + Send>>;

    /// Leaves nothing behind, resumable or not.
    fn discard(self: Box<Self>);

    /// Gives the complete file its name, atomically.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; then nothing is left behind either.
    fn commit(self: Box<Self>) -> Result<Stored, StoreError>;
}

/// A file that has its name.
#[derive(Debug, Default)]
pub struct Stored {
    /// Reason why it is without the mode or the time of its source, if it is.
    pub without_attributes: Option<io::Error>,
}

impl BlockReader for Box<dyn BlockReader> {
    fn hash_block(&mut self, index: u64) -> Result<Option<BlockHash>, StoreError> {
        (**self).hash_block(index)
    }
}
