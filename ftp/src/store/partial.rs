//! A file that is not complete yet: a temporary name, a lock, and a rename at the end.
//!
//! The lock distinguishes a file that a process is writing from one that a killed process left.
//! A file with a [`Journal`] stays after an interruption if anything of it has been verified.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use cap_std::fs::OpenOptions;
use parking_lot::Mutex;

use super::disk::{DiskFile, Folder};
use super::error::StoreError;
use super::file_source::FileSource;
use super::journal::Journal;
#[cfg(unix)]
use super::mode;
use super::preallocation::Preallocation;
use super::source_blocks::SourceBlocks;
use super::traits::{BlockReader, Sink, Stored};
use super::usage::{self, OnDisk};
use crate::protocol::Attributes;
use crate::protocol::blocks::{self, BlockHash};
use crate::protocol::{PARTIAL_PREFIX, PARTIAL_SUFFIX};

/// Number of the next partial file of this process.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Names of other processes' leftovers that are skipped before giving up.
const MAX_ATTEMPTS: usize = 1000;

/// Bytes written between two flushes: much for a disk, little to wait for at the end. A disk that
/// is slower than the network is waited for once as much again is written, so a resumed transfer
/// never has to read and verify more than twice this, however large the file.
pub(super) const FLUSH_BYTES: u64 = 32 << 20;

/// A partial file, until it gets its name.
#[derive(Debug)]
pub(super) struct Partial {
    finish: Finish,
    /// `None` once nothing is left to clean up.
    temporary: Option<Temporary>,
    file: DiskFile,
    preallocation: Preallocation,
    /// Mode and time that the file is to have.
    attributes: Attributes,
    /// Bytes written since the last flush started.
    unflushed: u64,
    /// Result of the flushes so far; locked while one runs.
    flushed: Arc<Mutex<io::Result<()>>>,
}

/// Final name of a [`Partial`], and how it gets it.
#[derive(Debug)]
pub(super) struct Finish {
    pub(super) folder: Folder,
    /// Name within the folder.
    pub(super) target: String,
    /// Name with its folders, for messages.
    pub(super) name: String,
    pub(super) overwrite: bool,
    pub(super) durable: bool,
    /// As [`DiskUsage::unit`](super::DiskUsage::unit).
    pub(super) unit: u64,
    /// As [`DirStore::flush_every`](super::DirStore::flush_every).
    pub(super) flush_bytes: u64,
}

/// Temporary name of a [`Partial`].
#[derive(Debug)]
pub(super) struct Temporary {
    /// Name of the file.
    pub(super) part: String,
    /// Name of the journal, and the journal, of a resumable file.
    pub(super) journal: Option<(String, Journal)>,
    /// Blocks that the journal has recorded.
    pub(super) blocks: u64,
}

impl Temporary {
    fn remove(&self, folder: &Folder) {
        if let Err(error) = folder.remove_file(&self.part) {
            tracing::warn!(%error, file = self.part, "an incomplete file could not be removed");
        }
        self.remove_journal(folder);
    }

    fn remove_journal(&self, folder: &Folder) {
        if let Some((name, _)) = &self.journal
            && let Err(error) = folder.remove_file(name)
        {
            tracing::warn!(%error, file = name, "a journal could not be removed");
        }
    }
}

impl Partial {
    /// Creates a file that leaves nothing behind.
    pub(super) fn create(finish: Finish, size: u64) -> Result<Self, StoreError> {
        let opened = open_temporary(&finish.folder);
        let (part, file) = opened.map_err(|error| StoreError::from_io(&finish.name, error))?;
        let temporary = Temporary {
            part,
            journal: None,
            blocks: 0,
        };
        Self::new(finish, temporary, file, Preallocation::new(size, None))
    }

    /// Takes over an open file, which is written where the preallocation says.
    pub(super) fn new(
        finish: Finish,
        temporary: Temporary,
        file: DiskFile,
        preallocation: Preallocation,
    ) -> Result<Self, StoreError> {
        let partial = Self {
            finish,
            temporary: Some(temporary),
            file,
            preallocation,
            attributes: Attributes::default(),
            unflushed: 0,
            flushed: Arc::new(Mutex::new(Ok(()))),
        };
        // Without locks on this file system nothing is ever taken for abandoned either.
        let _ = partial.file.try_lock();
        let found = partial.preallocation.find_space(&partial.file);
        found.map_err(|error| partial.failed(error))?;
        Ok(partial)
    }

    fn failed(&self, error: io::Error) -> StoreError {
        StoreError::from_io(&self.finish.name, error)
    }

    /// Returns the result of the flushes that have ended by now: a broken disk is to be noticed
    /// soon, rather than at the end of a large file.
    fn check_flushed(&self) -> io::Result<()> {
        self.flushed
            .try_lock()
            .map_or(Ok(()), |ended| reported(&ended))
    }

    /// Sets the mode and time, before the file has its name. Not every file system keeps them, and
    /// one that does not is no reason to do without the file: returns the refusal.
    fn describe(&self) -> io::Result<Option<io::Error>> {
        let mut refused = None;
        let mut attempt = |done: io::Result<()>| match done {
            Err(error) if is_refusal(&error) => {
                refused = Some(error);
                Ok(())
            }
            done => done,
        };
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = mode::of_file(self.attributes.mode, self.replaced_mode(), mode::umask());
            let permissions = std::fs::Permissions::from_mode(mode);
            attempt(self.file.set_permissions(permissions))?;
        }
        if let Some(modified) = self.attributes.modified_ns.and_then(time) {
            attempt(self.file.set_modified(modified))?;
        }
        Ok(refused)
    }

    /// Returns the mode of the file that this one replaces.
    #[cfg(unix)]
    fn replaced_mode(&self) -> Option<u32> {
        let dir = self.finish.folder.dir().ok()?;
        let found = dir.symlink_metadata(&self.finish.target).ok()?;
        found
            .is_file()
            .then(|| cap_std::fs::MetadataExt::mode(&found))
    }

    fn rename_to_target(&mut self) -> io::Result<Stored> {
        let Some(temporary) = &self.temporary else {
            return Ok(Stored::default());
        };
        let (folder, target) = (&self.finish.folder, &self.finish.target);
        self.preallocation.extend(&self.file)?;
        let without_attributes = self.describe()?;
        if self.finish.durable {
            // The system reports a failed write only once (fsync(2)): a flush may have got it.
            let mut flushed = self.flushed.lock();
            if flushed.is_ok() {
                *flushed = self.file.sync(true);
            }
            reported(&flushed)?;
        }
        if self.finish.overwrite {
            folder.rename(&temporary.part, target)?;
        } else {
            name_new(folder, &temporary.part, target)?;
        }
        temporary.remove_journal(folder);
        self.temporary = None;
        if self.finish.durable {
            self.finish.folder.sync()?;
        }
        Ok(Stored { without_attributes })
    }
}

impl Sink for Partial {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        if self.finish.durable && self.unflushed >= self.finish.flush_bytes {
            drop(self.flushed.lock());
        }
        let written = self.preallocation.write(&self.file, bytes);
        written.map_err(|error| self.failed(error))?;
        self.unflushed += bytes.len() as u64;
        Ok(())
    }

    fn block_verified(&mut self, hash: BlockHash) -> Result<(), StoreError> {
        self.check_flushed().map_err(|error| self.failed(error))?;
        let Some(temporary) = &mut self.temporary else {
            return Ok(());
        };
        let Some((_, journal)) = &temporary.journal else {
            return Ok(());
        };
        temporary.blocks += 1;
        let extended = self.preallocation.extend(&self.file);
        let mut recorded = extended.and_then(|()| journal.block(hash));
        if recorded.is_ok() && !self.finish.durable {
            recorded = journal.mark(temporary.blocks);
        }
        recorded.map_err(|error| self.failed(error))
    }

    fn reread(&self) -> Result<Box<dyn BlockReader>, StoreError> {
        let file = self.file.try_clone().map_err(|error| self.failed(error))?;
        let source = FileSource::new(file, &self.finish.name)?;
        Ok(Box::new(SourceBlocks::new(source)))
    }

    /// Zeros are written as well: what they replace may not have been a hole.
    fn replace_block(&mut self, index: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let replaced = self.file.write_all_at(bytes, blocks::offset(index));
        replaced.map_err(|error| self.failed(error))?;
        self.unflushed += bytes.len() as u64;
        Ok(())
    }

    fn flush(&mut self) -> Option<Box<dyn FnOnce() + Send>> {
        // One flush at a time: a slow disk has enough to do.
        if !self.finish.durable
            || self.unflushed < self.finish.flush_bytes
            || self.flushed.try_lock().is_none()
        {
            return None;
        }
        self.unflushed = 0;
        let (file, flushed) = (self.file.try_clone().ok()?, Arc::clone(&self.flushed));
        let temporary = self.temporary.as_ref()?;
        let blocks = temporary.blocks;
        let journal = temporary
            .journal
            .as_ref()
            .map(|(_, journal)| journal.clone());
        Some(Box::new(move || {
            let mut flushed = flushed.lock();
            // The system reports a failed write only once, so no later sync proves anything.
            if flushed.is_err() {
                return;
            }
            let marked = file.sync(false).and_then(|()| {
                journal
                    .as_ref()
                    .map_or(Ok(()), |journal| journal.mark(blocks))
            });
            if let Err(error) = marked {
                *flushed = Err(error);
            }
        }))
    }

    fn set_attributes(&mut self, attributes: Attributes) {
        self.attributes = attributes;
    }

    fn on_disk(&self) -> OnDisk {
        let part = self.temporary.as_ref().and_then(|temporary| {
            let dir = self.finish.folder.dir().ok()?;
            dir.symlink_metadata(&temporary.part).ok()
        });
        part.map_or_else(OnDisk::default, |part| {
            usage::on_disk(&part, self.finish.unit)
        })
    }

    fn store_synced(&mut self) {
        self.finish.durable = false;
    }

    fn discard(mut self: Box<Self>) {
        if let Some(temporary) = self.temporary.take() {
            temporary.remove(&self.finish.folder);
        }
    }

    fn commit(mut self: Box<Self>) -> Result<Stored, StoreError> {
        self.rename_to_target().map_err(|error| self.failed(error))
    }
}

/// Returns whether a file system says that it cannot do this at all: EPERM of CIFS and exFAT,
/// ENOTSUP, ENOSYS or EINVAL of others.
fn is_refusal(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::PermissionDenied | Kind::Unsupported | Kind::InvalidInput
    )
}

/// Gives a file its name, unless the name is taken.
fn name_new(folder: &Folder, part: &str, target: &str) -> io::Result<()> {
    // A hard link, unlike a rename, never replaces an existing file.
    match folder.hard_link(part, target) {
        Ok(()) => return folder.remove_file(part),
        Err(error) if !is_refusal(&error) && error.kind() != io::ErrorKind::TooManyLinks => {
            return Err(error);
        }
        Err(_) => {}
    }
    // File systems without hard links mostly have this.
    match folder.rename_new(part, target) {
        Err(error) if is_refusal(&error) => {}
        renamed => return renamed,
    }
    // Whoever creates the name has it; the rename then replaces no file but that empty one.
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    private(&mut options);
    drop(folder.create(target, &options)?);
    folder.rename(part, target).inspect_err(|_| {
        let _ = folder.remove_file(target);
    })
}

/// Lets only the owner read a file that is created with these options.
pub(super) fn private(options: &mut OpenOptions) {
    #[cfg(unix)]
    cap_std::fs::OpenOptionsExt::mode(options, mode::PRIVATE);
    #[cfg(not(unix))]
    let _ = options;
}

/// Converts nanoseconds since 1970, if the system can represent them.
fn time(modified_ns: i64) -> Option<SystemTime> {
    let since = Duration::from_nanos(modified_ns.unsigned_abs());
    if modified_ns < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(since)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(since)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if let Some(temporary) = self.temporary.take() {
            if temporary.journal.is_none() || temporary.blocks == 0 {
                temporary.remove(&self.finish.folder);
            } else {
                // Nobody may come back for it: it holds no more of the disk than what arrived.
                let _ = self.preallocation.release(&self.file);
            }
        }
        // Explicitly: a flush that is still running holds the same file, and the lock with it.
        let _ = self.file.unlock();
    }
}

/// Copies the result of a sync: a failure stays one, for every caller that asks later.
fn reported(synced: &io::Result<()>) -> io::Result<()> {
    synced
        .as_ref()
        .copied()
        .map_err(|error| match error.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => error.kind().into(),
        })
}

fn open_temporary(folder: &Folder) -> io::Result<(String, DiskFile)> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    private(&mut options);
    let mut attempts = 0;
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let temporary = format!("{PARTIAL_PREFIX}{process}-{number}{PARTIAL_SUFFIX}");
        match folder.create(&temporary, &options) {
            Ok(file) => return Ok((temporary, file)),
            Err(error)
                if error.kind() == io::ErrorKind::AlreadyExists && attempts < MAX_ATTEMPTS =>
            {
                attempts += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
