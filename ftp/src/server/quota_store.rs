//! A store for one transfer that keeps the files of its root within a quota.

use std::sync::Arc;

use super::guarded_sink::{GuardedSink, SinkGuard};
use super::quota_usage::{Change, NewFile, Quota, QuotaUsage, Reservation, Running};
use crate::protocol::{Entry, Name, blocks};
use crate::store::{
    CreateOptions, DiskUsage, Found, OnDisk, PartialOptions, ResumablePartial, Sink, Source, Store,
    StoreError, Stored, Usage,
};

/// A store, and the usage of its root.
#[derive(Debug)]
pub(super) struct QuotaStore {
    inner: Arc<dyn Store>,
    running: Arc<Running>,
    usage: QuotaUsage,
    quota: Option<Quota>,
}

impl QuotaStore {
    /// Wraps a store for one transfer. Without a quota its files are only accounted, for others that
    /// have one. A store without [disk usage](Store::disk_usage) is returned as it is.
    pub(super) fn wrap(
        inner: &Arc<dyn Store>,
        usage: &QuotaUsage,
        quota: Option<Quota>,
    ) -> Arc<dyn Store> {
        if inner.disk_usage().is_none() {
            return Arc::clone(inner);
        }
        Arc::new(Self {
            inner: Arc::clone(inner),
            running: Arc::new(usage.start()),
            usage: usage.clone(),
            quota,
        })
    }

    /// Guards the sink of a file that is covered by `reservation`.
    fn guard(
        &self,
        sink: Box<dyn Sink>,
        reservation: Reservation,
        (name, key, written): (&Name, Option<&str>, u64),
    ) -> Box<dyn Sink> {
        let guard = QuotaGuard {
            store: Arc::clone(&self.inner),
            _running: Arc::clone(&self.running),
            reservation: Some(reservation),
            name: name.clone(),
            key: key.map(str::to_owned),
            written,
        };
        GuardedSink::boxed(sink, guard)
    }
}

/// Returns the file of this name; nothing in a store without disk usage.
fn file_of(store: &dyn Store, name: &Name) -> OnDisk {
    let disk = store.disk_usage();
    disk.map_or_else(OnDisk::default, |disk| disk.file(name))
}

fn partial_of(store: &dyn Store, name: &Name, key: Option<&str>) -> OnDisk {
    let disk = store.disk_usage().zip(key);
    disk.map_or_else(OnDisk::default, |(disk, key)| disk.partial(name, key))
}

impl Store for QuotaStore {
    fn open(&self, name: &Name) -> Result<Box<dyn Source>, StoreError> {
        self.inner.open(name)
    }

    fn create(&self, name: &Name, options: CreateOptions<'_>) -> Result<Box<dyn Sink>, StoreError> {
        let Some(disk) = self.inner.disk_usage() else {
            return self.inner.create(name, options);
        };
        let file = NewFile {
            name,
            usage: Usage::of_file(options.size, disk.unit()),
            held: Usage::default(),
            replaces: &disk.file(name),
        };
        let mut reservation = self.usage.reserve(disk, self.quota, file)?;
        let key = options.origin.map(|origin| origin.key);
        let _name = self.usage.lock_name(name);
        let _changing = self.usage.changing();
        // What an earlier transfer left under this key goes; what another one is writing stays.
        let stale = partial_of(&*self.inner, name, key);
        let stale = self.usage.at_rest(&stale, None);
        let sink = self.inner.create(name, options)?;
        reservation.cover(sink.on_disk().files);
        let still = partial_of(&*self.inner, name, key);
        let still = self.usage.at_rest(&still, None);
        self.usage.changed(stale, still);
        Ok(self.guard(sink, reservation, (name, key, 0)))
    }

    fn open_partial(
        &self,
        name: &Name,
        options: PartialOptions<'_>,
    ) -> Result<Option<ResumablePartial>, StoreError> {
        let Some(disk) = self.inner.disk_usage() else {
            return self.inner.open_partial(name, options);
        };
        let key = Some(options.key);
        let _name = self.usage.lock_name(name);
        let held = partial_of(&*self.inner, name, key);
        if self.usage.at_rest(&held, None) != held.usage {
            return Ok(None);
        }
        let Some(mut partial) = self.inner.open_partial(name, options)? else {
            let left = partial_of(&*self.inner, name, key);
            self.usage.changed(held.usage, left.usage);
            return Ok(None);
        };
        // What is held is counted already; only the rest needs space.
        let file = NewFile {
            name,
            usage: Usage::of_file(partial.size, disk.unit()),
            held: held.usage,
            replaces: &disk.file(name),
        };
        let mut reservation = match self.usage.reserve(disk, self.quota, file) {
            Ok(reservation) => reservation,
            Err(error) => {
                drop(partial);
                let left = partial_of(&*self.inner, name, key);
                self.usage.changed(held.usage, left.usage);
                return Err(error);
            }
        };
        reservation.cover(partial.sink.on_disk().files);
        let written = blocks::offset(partial.hashes.len() as u64);
        partial.sink = self.guard(partial.sink, reservation, (name, key, written));
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

    fn disk_usage(&self) -> Option<&dyn DiskUsage> {
        self.inner.disk_usage()
    }

    fn create_folder(&self, name: &Name, mode: Option<u32>) -> Result<(), StoreError> {
        let Some(disk) = self.inner.disk_usage() else {
            return self.inner.create_folder(name, mode);
        };
        let unit = disk.unit();
        let usage_of = |count: u64| Usage {
            bytes: count.saturating_mul(unit),
            entries: count,
        };
        // Two folders may have a missing parent in common: one after the other.
        let (first, _) = name.as_str().split_once('/').unwrap_or((name.as_str(), ""));
        let first = Name::parse(first)?;
        let _name = self.usage.lock_name(&first);
        let missing = disk.missing_folders(name);
        if missing == 0 {
            return self.inner.create_folder(name, mode);
        }
        let folders = NewFile {
            name,
            usage: usage_of(missing),
            held: Usage::default(),
            replaces: &OnDisk::default(),
        };
        let reservation = self.usage.reserve(disk, self.quota, folders)?;
        let _changing = self.usage.changing();
        let created = self.inner.create_folder(name, mode);
        let new = missing.saturating_sub(disk.missing_folders(name));
        let after = Change {
            partial: usage_of(new),
            ..Change::default()
        };
        reservation.settle(&Change::default(), &after);
        created
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.inner.sync()
    }

    fn folds_case(&self) -> bool {
        self.inner.folds_case()
    }
}

/// The quota's part in one open file.
#[derive(Debug)]
struct QuotaGuard {
    store: Arc<dyn Store>,
    _running: Arc<Running>,
    /// `None` once the file has ended.
    reservation: Option<Reservation>,
    name: Name,
    /// Key of the partial file that the transfer may leave.
    key: Option<String>,
    /// Bytes from the beginning of the file.
    written: u64,
}

impl QuotaGuard {
    /// Ends the file, and accounts what that changes on the disk.
    fn end<T>(&mut self, end: impl FnOnce() -> T) -> T {
        let Some(reservation) = self.reservation.take() else {
            return end();
        };
        let usage = reservation.usage().clone();
        let _name = usage.lock_name(&self.name);
        let _changing = usage.changing();
        // The partial file may also be that of another transfer with the same key.
        let look = |own: Option<&Reservation>| {
            let partial = partial_of(&*self.store, &self.name, self.key.as_deref());
            Change {
                file: file_of(&*self.store, &self.name),
                partial: usage.at_rest(&partial, own),
            }
        };
        let before = look(None);
        let ended = end();
        let after = look(Some(&reservation));
        reservation.settle(&before, &after);
        ended
    }
}

impl SinkGuard for QuotaGuard {
    fn before_write(&mut self, bytes: u64) -> Result<(), StoreError> {
        self.written = self.written.saturating_add(bytes);
        match (&mut self.reservation, self.store.disk_usage()) {
            (Some(reservation), Some(disk)) => {
                reservation.grow(disk, Usage::of_file(self.written, disk.unit()))
            }
            _ => Ok(()),
        }
    }

    fn commit(&mut self, sink: Box<dyn Sink>) -> Result<Stored, StoreError> {
        self.end(|| sink.commit())
    }

    fn discard(&mut self, sink: Box<dyn Sink>) {
        self.end(|| sink.discard());
    }

    fn interrupt(&mut self, sink: Box<dyn Sink>) {
        // The file that was to be replaced stays: there may be no room for both.
        let may_stay = match (&self.reservation, self.store.disk_usage()) {
            (Some(reservation), Some(disk)) => reservation.may_leave(disk, sink.on_disk().usage),
            _ => true,
        };
        self.end(|| {
            if may_stay {
                drop(sink);
            } else {
                sink.discard();
            }
        });
    }
}

#[cfg(test)]
mod tests;
