//! How many bytes the files below one storage root have together.
//!
//! They are counted when the first transfer to the root starts, partial files included; from
//! then on until the last transfer ends, the usage is kept up to date. A file's space is reserved
//! before its first byte is received, so that concurrent transfers cannot exceed a quota together.
//! Files that appear there in another way are included from the next count on.

use std::sync::Arc;

use parking_lot::Mutex;

use super::guarded_sink::{GuardedSink, SinkGuard};
use crate::protocol::{Entry, Name, blocks};
use crate::store::{
    CreateOptions, Found, PartialOptions, ResumablePartial, Sink, Source, Store, StoreError,
};

/// The usage of one storage root. A clone is another handle on the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct QuotaUsage(Arc<Mutex<Accounting>>);

#[derive(Debug, Default)]
struct Accounting {
    /// Transfers in progress.
    running: usize,
    used_bytes: u64,
    reserved_bytes: u64,
}

impl QuotaUsage {
    /// Wraps a store for one transfer, so that no file exceeds the quota. Blocks.
    pub(super) fn store(
        &self,
        inner: &Arc<dyn Store>,
        quota_bytes: u64,
    ) -> Result<Arc<dyn Store>, StoreError> {
        let mut accounting = self.0.lock();
        // With a transfer in progress its reservations are known here and not on the disk, so a
        // new count would be wrong; without one the disk knows better.
        if accounting.running == 0 {
            accounting.used_bytes = inner.usage()?;
            accounting.reserved_bytes = 0;
        }
        accounting.running += 1;
        drop(accounting);
        Ok(Arc::new(QuotaStore {
            inner: Arc::clone(inner),
            running: Arc::new(Running(self.clone())),
            quota_bytes,
        }))
    }
}

/// A transfer, until its store and its sinks are gone.
#[derive(Debug)]
struct Running(QuotaUsage);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.0.lock().running -= 1;
    }
}

#[derive(Debug)]
struct QuotaStore {
    inner: Arc<dyn Store>,
    running: Arc<Running>,
    quota_bytes: u64,
}

impl QuotaStore {
    /// Reserves space for `bytes` more, which replace the file that is called `name` now.
    fn reserve(&self, name: &Name, bytes: u64) -> Result<Reservation, StoreError> {
        let replaced = match self.inner.stat(name) {
            Ok(Some(found)) => found.size,
            // The error, if it is one, is reported when the file is created.
            Ok(None) | Err(_) => 0,
        };
        let mut accounting = self.running.0.0.lock();
        let others = accounting
            .used_bytes
            .saturating_add(accounting.reserved_bytes);
        let then = others.saturating_add(bytes).saturating_sub(replaced);
        if then > self.quota_bytes {
            return Err(StoreError::QuotaExceeded {
                name: name.to_string(),
                quota_bytes: self.quota_bytes,
                used_bytes: others,
            });
        }
        accounting.reserved_bytes += bytes;
        drop(accounting);
        Ok(Reservation {
            running: Arc::clone(&self.running),
            name: name.clone(),
            quota_bytes: self.quota_bytes,
            bytes,
            replaced,
            is_used: false,
        })
    }
}

/// Space for one file. Dropping it settles what becomes of the space.
#[derive(Debug)]
struct Reservation {
    running: Arc<Running>,
    name: Name,
    quota_bytes: u64,
    bytes: u64,
    /// Bytes that the file frees when it gets its name.
    replaced: u64,
    is_used: bool,
}

impl Reservation {
    /// Extends the reservation to `bytes` in all, which replace `replaced`: a piped file has
    /// announced no length.
    fn grow(&mut self, bytes: u64, replaced: u64) -> Result<(), StoreError> {
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 {
            return Ok(());
        }
        let mut accounting = self.running.0.0.lock();
        let used_bytes = accounting
            .used_bytes
            .saturating_add(accounting.reserved_bytes);
        if used_bytes.saturating_add(more).saturating_sub(replaced) > self.quota_bytes {
            return Err(StoreError::QuotaExceeded {
                name: self.name.to_string(),
                quota_bytes: self.quota_bytes,
                used_bytes,
            });
        }
        accounting.reserved_bytes += more;
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut accounting = self.running.0.0.lock();
        accounting.reserved_bytes -= self.bytes;
        if self.is_used {
            let used = accounting.used_bytes.saturating_add(self.bytes);
            accounting.used_bytes = used.saturating_sub(self.replaced);
        }
    }
}

/// The quota's part in one open file.
#[derive(Debug)]
struct QuotaGuard {
    reservation: Reservation,
    /// Bytes of the file that has the name until this one gets it.
    replaced: u64,
    written: u64,
}

impl QuotaGuard {
    /// Guards a sink. A file that may stay after an interruption counts as a whole until the next
    /// count: the guard does not learn how much of it was verified.
    fn guard(
        sink: Box<dyn Sink>,
        mut reservation: Reservation,
        is_resumable: bool,
    ) -> Box<dyn Sink> {
        let replaced = reservation.replaced;
        reservation.is_used = is_resumable;
        // The old file is freed by a commit only.
        reservation.replaced = 0;
        let guard = Self {
            reservation,
            replaced,
            written: 0,
        };
        GuardedSink::boxed(sink, guard)
    }
}

impl SinkGuard for QuotaGuard {
    fn before_write(&mut self, bytes: u64) -> Result<(), StoreError> {
        self.written += bytes;
        self.reservation.grow(self.written, self.replaced)
    }

    fn discarded(&mut self) {
        self.reservation.is_used = false;
    }

    fn committed(&mut self, has_name: bool) {
        self.reservation.is_used = has_name;
        self.reservation.replaced = self.replaced;
    }
}

impl Store for QuotaStore {
    fn open(&self, name: &Name) -> Result<Box<dyn Source>, StoreError> {
        self.inner.open(name)
    }

    fn create(&self, name: &Name, options: CreateOptions<'_>) -> Result<Box<dyn Sink>, StoreError> {
        let reservation = self.reserve(name, options.size)?;
        let sink = self.inner.create(name, options)?;
        let is_resumable = options.origin.is_some();
        Ok(QuotaGuard::guard(sink, reservation, is_resumable))
    }

    fn open_partial(
        &self,
        name: &Name,
        options: PartialOptions<'_>,
    ) -> Result<Option<ResumablePartial>, StoreError> {
        let Some(mut partial) = self.inner.open_partial(name, options)? else {
            return Ok(None);
        };
        // The verified blocks were counted as partial files are; only the rest needs space.
        let verified = blocks::offset(partial.hashes.len() as u64);
        let reservation = self.reserve(name, partial.size.saturating_sub(verified))?;
        partial.sink = QuotaGuard::guard(partial.sink, reservation, true);
        Ok(Some(partial))
    }

    fn stat(&self, name: &Name) -> Result<Option<Found>, StoreError> {
        self.inner.stat(name)
    }

    fn list(
        &self,
        folder: Option<&Name>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.inner.list(folder, after, limit)
    }

    fn scan(
        &self,
        folder: Option<&Name>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Found>, StoreError> {
        self.inner.scan(folder, after, limit)
    }

    fn usage(&self) -> Result<u64, StoreError> {
        self.inner.usage()
    }

    fn create_folder(&self, name: &Name) -> Result<(), StoreError> {
        self.inner.create_folder(name)
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.inner.sync()
    }

    fn folds_case(&self) -> bool {
        self.inner.folds_case()
    }
}
