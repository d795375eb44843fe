//! How many bytes the files of a place may have together.
//!
//! They are counted when the first transfer to the place begins, those of incomplete files
//! too; from then on until the last one ends, the books are kept. A file's room is reserved
//! before its first byte is received, so transfers at once cannot go beyond a quota together.
//! What is put there in another way meanwhile counts from the next count on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::protocol::Name;
use crate::protocol::blocks::{self, BlockHash};
use crate::protocol::{Attributes, Entry};
use crate::store::{Found, Origin, Parked, Sink, Source, Store, StoreError};

/// The books of one place. A clone is another handle on the same books.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger(Arc<Mutex<Books>>);

#[derive(Debug, Default)]
struct Books {
    /// Transfers under way.
    running: usize,
    used_bytes: u64,
    reserved_bytes: u64,
}

impl Ledger {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A store for one transfer, in which no file goes beyond the quota. Blocks.
    pub(super) fn store(
        &self,
        inner: &Arc<dyn Store>,
        quota_bytes: u64,
    ) -> Result<Arc<dyn Store>, StoreError> {
        let mut books = self.books();
        if books.running == 0 {
            books.used_bytes = inner.usage()?;
            books.reserved_bytes = 0;
        }
        books.running += 1;
        drop(books);
        Ok(Arc::new(QuotaStore {
            inner: Arc::clone(inner),
            running: Arc::new(Running(self.clone())),
            quota_bytes,
        }))
    }
}

/// A transfer, until its store and its sinks are gone.
#[derive(Debug)]
struct Running(Ledger);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.books().running -= 1;
    }
}

#[derive(Debug)]
struct QuotaStore {
    inner: Arc<dyn Store>,
    running: Arc<Running>,
    quota_bytes: u64,
}

impl QuotaStore {
    /// Room for `bytes` more, in the place of what is called `name` now.
    fn reserve(&self, name: &Name, bytes: u64) -> Result<Reserved, StoreError> {
        let replaced = match self.inner.stat(name) {
            Ok(Some(found)) => found.size,
            // Why there is none is said when the file is begun.
            Ok(None) | Err(_) => 0,
        };
        let mut books = self.running.0.books();
        let others = books.used_bytes.saturating_add(books.reserved_bytes);
        let then = others.saturating_add(bytes).saturating_sub(replaced);
        if then > self.quota_bytes {
            return Err(StoreError::QuotaExceeded {
                name: name.to_string(),
                quota_bytes: self.quota_bytes,
                used_bytes: others,
            });
        }
        books.reserved_bytes += bytes;
        drop(books);
        Ok(Reserved {
            running: Arc::clone(&self.running),
            name: name.clone(),
            quota_bytes: self.quota_bytes,
            bytes,
            replaced,
            is_kept: false,
        })
    }
}

/// Room for one file. What becomes of it is known when it is dropped.
#[derive(Debug)]
struct Reserved {
    running: Arc<Running>,
    name: Name,
    quota_bytes: u64,
    bytes: u64,
    replaced: u64,
    is_kept: bool,
}

impl Reserved {
    /// Room for `bytes` in all, in the place of `replaced`: what comes through a pipe has said
    /// no length.
    fn grow(&mut self, bytes: u64, replaced: u64) -> Result<(), StoreError> {
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 {
            return Ok(());
        }
        let mut books = self.running.0.books();
        let used_bytes = books.used_bytes.saturating_add(books.reserved_bytes);
        if used_bytes.saturating_add(more).saturating_sub(replaced) > self.quota_bytes {
            return Err(StoreError::QuotaExceeded {
                name: self.name.to_string(),
                quota_bytes: self.quota_bytes,
                used_bytes,
            });
        }
        books.reserved_bytes += more;
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut books = self.running.0.books();
        books.reserved_bytes -= self.bytes;
        if self.is_kept {
            let used = books.used_bytes.saturating_add(self.bytes);
            books.used_bytes = used.saturating_sub(self.replaced);
        }
    }
}

#[derive(Debug)]
struct QuotaSink {
    sink: Box<dyn Sink>,
    reserved: Reserved,
    /// Bytes of the file that has the name until this one gets it.
    replaced: u64,
    written: u64,
}

impl QuotaSink {
    /// A file that may stay when it breaks off counts as a whole until the next count.
    fn hold(sink: Box<dyn Sink>, mut reserved: Reserved, is_parkable: bool) -> Box<dyn Sink> {
        let replaced = reserved.replaced;
        reserved.is_kept = is_parkable;
        reserved.replaced = 0;
        Box::new(Self {
            sink,
            reserved,
            replaced,
            written: 0,
        })
    }
}

impl Store for QuotaStore {
    fn open(&self, name: &Name) -> Result<Box<dyn Source>, StoreError> {
        self.inner.open(name)
    }

    fn create(&self, name: &Name, size: u64, overwrite: bool) -> Result<Box<dyn Sink>, StoreError> {
        let reserved = self.reserve(name, size)?;
        let sink = self.inner.create(name, size, overwrite)?;
        Ok(QuotaSink::hold(sink, reserved, false))
    }

    fn parked(
        &self,
        name: &Name,
        key: &str,
        overwrite: bool,
    ) -> Result<Option<Parked>, StoreError> {
        let Some(mut parked) = self.inner.parked(name, key, overwrite)? else {
            return Ok(None);
        };
        let there = blocks::offset(parked.hashes.len() as u64);
        let reserved = self.reserve(name, parked.size.saturating_sub(there))?;
        parked.sink = QuotaSink::hold(parked.sink, reserved, true);
        Ok(Some(parked))
    }

    fn create_parkable(
        &self,
        name: &Name,
        size: u64,
        overwrite: bool,
        origin: Origin<'_>,
    ) -> Result<Box<dyn Sink>, StoreError> {
        let reserved = self.reserve(name, size)?;
        let sink = self.inner.create_parkable(name, size, overwrite, origin)?;
        Ok(QuotaSink::hold(sink, reserved, true))
    }

    fn stat(&self, name: &Name) -> Result<Option<Found>, StoreError> {
        self.inner.stat(name)
    }

    fn scan(&self, folder: Option<&Name>, limit: usize) -> Result<Vec<Found>, StoreError> {
        self.inner.scan(folder, limit)
    }

    fn usage(&self) -> Result<u64, StoreError> {
        self.inner.usage()
    }

    fn make_folder(&self, name: &Name) -> Result<(), StoreError> {
        self.inner.make_folder(name)
    }

    fn settle(&self) -> Result<(), StoreError> {
        self.inner.settle()
    }

    fn folds_case(&self) -> bool {
        self.inner.folds_case()
    }

    fn list(
        &self,
        folder: Option<&Name>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.inner.list(folder, after, limit)
    }
}

impl Sink for QuotaSink {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.written += bytes.len() as u64;
        self.reserved.grow(self.written, self.replaced)?;
        self.sink.write(bytes)
    }

    fn verified(&mut self, hash: BlockHash) -> Result<(), StoreError> {
        self.sink.verified(hash)
    }

    fn set_attributes(&mut self, attributes: Attributes) -> Result<(), StoreError> {
        self.sink.set_attributes(attributes)
    }

    fn settled(&mut self) {
        self.sink.settled();
    }

    fn flush(&mut self) -> Option<Box<dyn FnOnce() + Send>> {
        self.sink.flush()
    }

    fn discard(self: Box<Self>) {
        let Self {
            sink, mut reserved, ..
        } = *self;
        sink.discard();
        reserved.is_kept = false;
    }

    fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let Self {
            sink,
            mut reserved,
            replaced,
            ..
        } = *self;
        let named = sink.commit();
        reserved.is_kept = named.is_ok();
        reserved.replaced = replaced;
        named
    }
}
