//! A file that is not whole yet: a temporary name, a lock, and a rename at the end.
//!
//! The lock tells a file that somebody is writing from one that a killed process left behind.

use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cap_std::fs::{Dir, OpenOptions};

use super::{Sink, StoreError};
use crate::names::{PARTIAL_PREFIX, PARTIAL_SUFFIX, is_partial};

/// Tells the partial files of one process apart.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Other processes' leftovers that are stepped over before giving up.
const MAX_TRIES: usize = 1000;

/// Written between two flushes: much for a disk, little to wait for at the end.
const FLUSH_BYTES: usize = 32 << 20;

/// A file on its way to its name.
#[derive(Debug)]
pub(super) struct Partial {
    folder: Dir,
    /// `None` once there is nothing to clean up.
    temporary: Option<String>,
    file: File,
    target: String,
    /// For messages: the target with its folders.
    name: String,
    overwrite: bool,
    durable: bool,
    unflushed: usize,
    flushed: Arc<Mutex<io::Result<()>>>,
}

/// How a [`Partial`] becomes a file.
#[derive(Copy, Clone, Debug)]
pub(super) struct Finish {
    pub(super) overwrite: bool,
    pub(super) durable: bool,
}

impl Partial {
    pub(super) fn create(
        folder: Dir,
        target: &str,
        name: &str,
        size: u64,
        finish: Finish,
    ) -> Result<Self, StoreError> {
        let failed = |error| StoreError::from_io(name, error);
        let (temporary, file) = open_temporary(&folder).map_err(failed)?;
        let partial = Self {
            folder,
            temporary: Some(temporary),
            file,
            target: target.to_owned(),
            name: name.to_owned(),
            overwrite: finish.overwrite,
            durable: finish.durable,
            unflushed: 0,
            flushed: Arc::new(Mutex::new(Ok(()))),
        };
        // Where there are no locks, nothing is ever taken for abandoned either.
        let _ = partial.file.try_lock();
        reserve(&partial.file, size).map_err(failed)?;
        Ok(partial)
    }

    fn put_in_place(&mut self) -> io::Result<()> {
        let Some(temporary) = self.temporary.as_deref() else {
            return Ok(());
        };
        if self.durable {
            // The system tells of a failure only once: a flush may have been told instead.
            let mut flushed = lock(&self.flushed);
            self.file.sync_all()?;
            std::mem::replace(&mut *flushed, Ok(()))?;
        }
        if self.overwrite {
            self.folder.rename(temporary, &self.folder, &self.target)?;
            self.temporary = None;
        } else {
            // A link, unlike a rename, never replaces. The temporary name goes with the drop.
            self.folder
                .hard_link(temporary, &self.folder, &self.target)?;
        }
        if self.durable {
            self.folder.open(".")?.sync_all()?;
        }
        Ok(())
    }
}

impl Sink for Partial {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file
            .write_all(bytes)
            .map_err(|error| StoreError::from_io(&self.name, error))?;
        self.unflushed += bytes.len();
        Ok(())
    }

    fn flush(&mut self) -> Option<Box<dyn FnOnce() + Send>> {
        // One after another: a disk that is slow has enough to do.
        if !self.durable || self.unflushed < FLUSH_BYTES || self.flushed.try_lock().is_err() {
            return None;
        }
        self.unflushed = 0;
        let (file, flushed) = (self.file.try_clone().ok()?, Arc::clone(&self.flushed));
        Some(Box::new(move || {
            let mut flushed = lock(&flushed);
            if let Err(error) = file.sync_data() {
                *flushed = Err(error);
            }
        }))
    }

    fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        self.put_in_place()
            .map_err(|error| StoreError::from_io(&self.name, error))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if let Some(temporary) = self.temporary.take()
            && let Err(error) = self.folder.remove_file(&temporary)
        {
            tracing::warn!(%error, file = temporary, "an incomplete file could not be removed");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open_temporary(folder: &Dir) -> io::Result<(String, File)> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    let mut tries = 0;
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let temporary = format!("{PARTIAL_PREFIX}{process}-{number}{PARTIAL_SUFFIX}");
        match folder.open_with(&temporary, &options) {
            Ok(file) => return Ok((temporary, file.into_std())),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tries < MAX_TRIES => {
                tries += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Asks for the room before anything is sent. File systems that cannot promise it are believed.
#[cfg(target_os = "linux")]
fn reserve(file: &File, size: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    use rustix::io::Errno;
    if size == 0 {
        return Ok(());
    }
    match fallocate(file, FallocateFlags::KEEP_SIZE, 0, size) {
        Err(error @ (Errno::NOSPC | Errno::FBIG | Errno::DQUOT)) => Err(error.into()),
        // A length that does not fit the system's type.
        Err(Errno::INVAL) if i64::try_from(size).is_err() => Err(Errno::FBIG.into()),
        _ => Ok(()),
    }
}

#[cfg(not(target_os = "linux"))]
fn reserve(_: &File, _: u64) -> io::Result<()> {
    Ok(())
}

/// Removes the partial files in a folder that nobody is writing; says how many.
pub(super) fn sweep(folder: &Dir) -> io::Result<usize> {
    let mut removed = 0;
    for entry in folder.entries()? {
        let entry = entry?;
        let Ok(file_name) = entry.file_name().into_string() else {
            continue;
        };
        if !is_partial(&file_name) || !entry.file_type()?.is_file() {
            continue;
        }
        let Ok(file) = entry.open().map(cap_std::fs::File::into_std) else {
            continue;
        };
        if file.try_lock().is_ok() && folder.remove_file(&file_name).is_ok() {
            removed += 1;
        }
    }
    Ok(removed)
}
