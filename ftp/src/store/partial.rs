//! A file that is not whole yet: a temporary name, a lock, and a rename at the end.
//!
//! The lock tells a file that somebody is writing from one that a killed process left behind.
//! A file with a [`Journal`] stays when it breaks off, if anything of it has been verified.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use cap_std::fs::OpenOptions;

use super::disk::{DiskFile, Folder};
use super::extent::Extent;
use super::journal::Journal;
use super::{Sink, StoreError};
use crate::protocol::Attributes;
use crate::protocol::blocks::BlockHash;
use crate::protocol::{PARTIAL_PREFIX, PARTIAL_SUFFIX};

/// Tells the partial files of one process apart.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Other processes' leftovers that are stepped over before giving up.
const MAX_TRIES: usize = 1000;

/// Written between two flushes, in bytes: much for a disk, little to wait for at the end. A disk
/// that is slower than the network is waited for once as much again is written, so what a resume
/// has to read and verify is never more than twice this, however large the file.
pub(super) const FLUSH_BYTES: u64 = 32 << 20;

/// What is taken over of a mode: nobody becomes somebody else by a file from far away.
#[cfg(unix)]
const MODE_BITS: u32 = 0o777;

/// A file on its way to its name.
#[derive(Debug)]
pub(super) struct Partial {
    finish: Finish,
    /// `None` once there is nothing to clean up.
    temporary: Option<Temporary>,
    file: DiskFile,
    extent: Extent,
    unflushed: u64,
    flushed: Arc<Mutex<io::Result<()>>>,
}

/// What a [`Partial`] becomes, and how.
#[derive(Debug)]
pub(super) struct Finish {
    pub(super) folder: Folder,
    /// Within the folder.
    pub(super) target: String,
    /// For messages: the target with its folders.
    pub(super) name: String,
    pub(super) overwrite: bool,
    pub(super) durable: bool,
    /// As [`DirStore::flush_every`](super::DirStore::flush_every).
    pub(super) flush_bytes: u64,
}

/// What a [`Partial`] is meanwhile.
#[derive(Debug)]
pub(super) struct Temporary {
    /// The name of the file.
    pub(super) part: String,
    /// The journal and its name, where it is parkable.
    pub(super) journal: Option<(String, Journal)>,
    /// Blocks that the journal knows.
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
    /// A file that is never parked.
    pub(super) fn create(finish: Finish, size: u64) -> Result<Self, StoreError> {
        let opened = open_temporary(&finish.folder);
        let (part, file) = opened.map_err(|error| StoreError::from_io(&finish.name, error))?;
        let temporary = Temporary {
            part,
            journal: None,
            blocks: 0,
        };
        Self::new(finish, temporary, file, Extent::new(size, None))
    }

    /// A file that is open already, at the place where writing goes on.
    pub(super) fn new(
        finish: Finish,
        temporary: Temporary,
        file: DiskFile,
        extent: Extent,
    ) -> Result<Self, StoreError> {
        let partial = Self {
            finish,
            temporary: Some(temporary),
            file,
            extent,
            unflushed: 0,
            flushed: Arc::new(Mutex::new(Ok(()))),
        };
        // Where there are no locks, nothing is ever taken for abandoned either.
        let _ = partial.file.try_lock();
        let reserved = partial.extent.reserve(&partial.file);
        reserved.map_err(|error| partial.failed(error))?;
        Ok(partial)
    }

    fn failed(&self, error: io::Error) -> StoreError {
        StoreError::from_io(&self.finish.name, error)
    }

    /// Whether the flushes that have ended by now went well: soon, rather than at the end of a
    /// large file.
    fn check_flushed(&self) -> io::Result<()> {
        self.flushed.try_lock().map_or(Ok(()), |ended| told(&ended))
    }

    fn put_in_place(&mut self) -> io::Result<()> {
        let Some(temporary) = &self.temporary else {
            return Ok(());
        };
        let (folder, target) = (&self.finish.folder, &self.finish.target);
        self.extent.settle(&self.file)?;
        if self.finish.durable {
            // The system tells of a failure only once: a flush may have been told instead.
            let mut flushed = lock(&self.flushed);
            if flushed.is_ok() {
                *flushed = self.file.sync(true);
            }
            told(&flushed)?;
        }
        if self.finish.overwrite {
            folder.rename(&temporary.part, target)?;
        } else {
            // A link, unlike a rename, never replaces.
            folder.hard_link(&temporary.part, target)?;
            folder.remove_file(&temporary.part)?;
        }
        temporary.remove_journal(folder);
        self.temporary = None;
        if self.finish.durable {
            self.finish.folder.sync()?;
        }
        Ok(())
    }
}

impl Sink for Partial {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        if self.finish.durable && self.unflushed >= self.finish.flush_bytes {
            drop(lock(&self.flushed));
        }
        let written = self.extent.write(&mut self.file, bytes);
        written.map_err(|error| self.failed(error))?;
        self.unflushed += bytes.len() as u64;
        Ok(())
    }

    fn verified(&mut self, hash: BlockHash) -> Result<(), StoreError> {
        self.check_flushed().map_err(|error| self.failed(error))?;
        let Some(temporary) = &mut self.temporary else {
            return Ok(());
        };
        let Some((_, journal)) = &temporary.journal else {
            return Ok(());
        };
        temporary.blocks += 1;
        let settled = self.extent.settle(&self.file);
        let mut noted = settled.and_then(|()| journal.block(hash));
        if noted.is_ok() && !self.finish.durable {
            noted = journal.mark(temporary.blocks);
        }
        noted.map_err(|error| self.failed(error))
    }

    fn flush(&mut self) -> Option<Box<dyn FnOnce() + Send>> {
        // One after another: a disk that is slow has enough to do.
        if !self.finish.durable
            || self.unflushed < self.finish.flush_bytes
            || self.flushed.try_lock().is_err()
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
            let mut flushed = lock(&flushed);
            // The system tells of a failure only once; what is synced from here on proves nothing.
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

    fn set_attributes(&mut self, attributes: Attributes) -> Result<(), StoreError> {
        let set = || {
            #[cfg(unix)]
            if let Some(mode) = attributes.mode {
                use std::os::unix::fs::PermissionsExt;
                let permissions = std::fs::Permissions::from_mode(mode & MODE_BITS);
                self.file.set_permissions(permissions)?;
            }
            match attributes.modified_ns.and_then(time) {
                Some(modified) => self.file.set_modified(modified),
                None => Ok(()),
            }
        };
        set().map_err(|error| self.failed(error))
    }

    fn settled(&mut self) {
        self.finish.durable = false;
    }

    fn discard(mut self: Box<Self>) {
        if let Some(temporary) = self.temporary.take() {
            temporary.remove(&self.finish.folder);
        }
    }

    fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        self.put_in_place().map_err(|error| self.failed(error))
    }
}

/// A time in nanoseconds since 1970, if the system has it.
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
        if let Some(temporary) = self.temporary.take()
            && (temporary.journal.is_none() || temporary.blocks == 0)
        {
            temporary.remove(&self.finish.folder);
        }
        // A flush that is still running shares the lock.
        let _ = self.file.unlock();
    }
}

/// What became of a sync, for another who asks: a failure stays one, for flushes that come late.
fn told(synced: &io::Result<()>) -> io::Result<()> {
    synced
        .as_ref()
        .copied()
        .map_err(|error| match error.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => error.kind().into(),
        })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open_temporary(folder: &Folder) -> io::Result<(String, DiskFile)> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    let mut tries = 0;
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let temporary = format!("{PARTIAL_PREFIX}{process}-{number}{PARTIAL_SUFFIX}");
        match folder.create(&temporary, &options) {
            Ok(file) => return Ok((temporary, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tries < MAX_TRIES => {
                tries += 1;
            }
            Err(error) => return Err(error),
        }
    }
}
