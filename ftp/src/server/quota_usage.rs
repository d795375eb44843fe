//! The space that the files below one storage root take together, for all its transfers.
//!
//! Files are counted when the first transfer to the root starts, partial files included; from then
//! on until the last one ends, the usage is kept up to date: whatever changes on the disk is looked
//! at before and after. A file's space is reserved before its first byte is received, so that
//! concurrent transfers cannot exceed a quota together. Before a file is refused, the disk is
//! counted again: files may have been removed in another way.
//!
//! A file that replaces another is counted in its place, by one transfer of that name at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard};

use crate::protocol::Name;
use crate::store::{DiskUsage, FileId, OnDisk, StoreError, Usage};

/// Bytes of a quota for each entry that it allows, unless it says otherwise: no file with contents
/// takes less, so that the limit of entries concerns empty files only.
const BYTES_PER_ENTRY: u64 = 4096;

/// Entries that the smallest quota allows.
const MIN_ENTRIES: u64 = 64;

/// Limits for the files of a storage root.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Quota {
    pub(super) bytes: u64,
    /// Files, folders and everything else that has a name.
    pub(super) entries: u64,
}

impl Quota {
    pub(super) fn new(bytes: u64, entries: Option<u64>) -> Self {
        let usual = || (bytes / BYTES_PER_ENTRY).max(MIN_ENTRIES);
        Self {
            bytes,
            entries: entries.unwrap_or_else(usual),
        }
    }

    const fn allows(self, usage: Usage) -> bool {
        usage.bytes <= self.bytes && usage.entries <= self.entries
    }

    fn exceeded(self, name: &Name, used: Usage, then: Usage) -> StoreError {
        let name = name.to_string();
        if then.bytes > self.bytes {
            return StoreError::QuotaExceeded {
                name,
                quota_bytes: self.bytes,
                used_bytes: used.bytes,
            };
        }
        StoreError::TooManyEntries {
            name,
            quota_entries: self.entries,
            used_entries: used.entries,
        }
    }
}

/// The usage of one storage root. A clone is another handle on the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct QuotaUsage(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    accounting: Mutex<Accounting>,
    /// Shared by changes of the disk that are not accounted yet; a count waits for them.
    changes: RwLock<()>,
    names: NameLocks,
}

#[derive(Debug, Default)]
struct Accounting {
    /// Transfers in progress.
    running: usize,
    /// Space of everything but the files that are being written; `None` until it is needed.
    used: Option<Usage>,
    /// Space of the files that are being written, whole.
    reserved: Usage,
    /// The files that these replace, each once, by the number of the reservation.
    deductions: BTreeMap<u64, Deduction>,
    next: u64,
    /// Files that are being written.
    open: BTreeSet<FileId>,
}

/// A file that is to be replaced.
#[derive(Clone, Debug)]
struct Deduction {
    name: Name,
    file: OnDisk,
    /// What is reserved for the new file.
    reserved: Usage,
}

impl Deduction {
    /// Space that the new file takes over. What the old one has beyond that is free only when it is
    /// replaced: the transfer may still be cancelled.
    fn usage(&self) -> Usage {
        self.file.usage.min(self.reserved)
    }

    /// Returns whether this is the same file: by identity, or by name where there is none.
    fn is_of(&self, name: &Name, file: &OnDisk) -> bool {
        match (self.file.files.first(), file.files.first()) {
            (Some(id), Some(other)) => id == other,
            _ => self.name == *name,
        }
    }
}

impl Accounting {
    fn total(&self) -> Usage {
        let deductions = self.deductions.values();
        let deducted = deductions.fold(Usage::default(), |sum, it| sum.plus(it.usage()));
        let used = self.used.unwrap_or_default();
        used.plus(self.reserved).minus(deducted)
    }

    /// Returns what a new file may deduct for the one it replaces.
    fn deduction(&self, file: &NewFile<'_>) -> Option<Deduction> {
        let mut deductions = self.deductions.values();
        let is_deducted = deductions.any(|other| other.is_of(file.name, file.replaces));
        let is_there = *file.replaces != OnDisk::default();
        (is_there && !is_deducted).then(|| Deduction {
            name: file.name.clone(),
            file: file.replaces.clone(),
            reserved: file.usage,
        })
    }

    fn deducted(&self, number: u64) -> Usage {
        let deduction = self.deductions.get(&number);
        deduction.map_or_else(Usage::default, Deduction::usage)
    }

    /// Notes that a file was replaced, for whoever is to replace it next.
    fn replaced(&mut self, name: &Name, before: &OnDisk, after: &OnDisk) {
        for deduction in self.deductions.values_mut() {
            if deduction.is_of(name, before) {
                deduction.file = after.clone();
            }
        }
    }

    /// Replaces what was measured before a change of the disk by what was measured after it.
    fn change(&mut self, before: Usage, after: Usage) {
        self.used = self.used.map(|used| used.plus(after).minus(before));
    }
}

/// A transfer, until its store and its sinks are gone.
#[derive(Debug)]
pub(super) struct Running(QuotaUsage);

impl Drop for Running {
    fn drop(&mut self) {
        let mut accounting = self.0.0.accounting.lock();
        accounting.running -= 1;
        // Without a transfer the disk knows better.
        if accounting.running == 0 {
            accounting.used = None;
        }
    }
}

/// A new file, for [`QuotaUsage::reserve`].
#[derive(Copy, Clone, Debug)]
pub(super) struct NewFile<'a> {
    pub(super) name: &'a Name,
    /// Space of the whole file.
    pub(super) usage: Usage,
    /// The part of it that is on the disk already, and counted.
    pub(super) held: Usage,
    /// The file that it replaces.
    pub(super) replaces: &'a OnDisk,
}

impl QuotaUsage {
    /// Enters a transfer.
    pub(super) fn start(&self) -> Running {
        self.0.accounting.lock().running += 1;
        Running(self.clone())
    }

    /// Locks a name. Blocks while another transfer changes what is there.
    pub(super) fn lock_name(&self, name: &Name) -> NameLock<'_> {
        self.0.names.lock(name.as_str())
    }

    /// Announces a change of the disk. Nothing is counted until the guard is dropped. Must not be
    /// held in a call of [`reserve`](Self::reserve).
    pub(super) fn changing(&self) -> RwLockReadGuard<'_, ()> {
        self.0.changes.read()
    }

    /// Accounts a change of the disk that no reservation covers.
    pub(super) fn changed(&self, before: Usage, after: Usage) {
        self.0.accounting.lock().change(before, after);
    }

    /// Returns the space of a partial file that no transfer is writing, except for `but`.
    pub(super) fn at_rest(&self, file: &OnDisk, but: Option<&Reservation>) -> Usage {
        let accounting = self.0.accounting.lock();
        let own = but.map_or(&[][..], |reservation| &reservation.open);
        let mut ids = file.files.iter();
        if ids.any(|id| accounting.open.contains(id) && !own.contains(id)) {
            Usage::default()
        } else {
            file.usage
        }
    }

    fn count(&self, disk: &dyn DiskUsage) -> Result<(), StoreError> {
        let _no_changes = self.0.changes.write();
        let mut accounting = self.0.accounting.lock();
        accounting.used = Some(disk.total(&accounting.open)?);
        for deduction in accounting.deductions.values_mut() {
            deduction.file = disk.file(&deduction.name);
        }
        Ok(())
    }

    /// Runs `take` if the usage `then` is within the quota. Counts the disk first if that was not
    /// done yet, and again before a refusal.
    fn take<T>(
        &self,
        disk: &dyn DiskUsage,
        (quota, name): (Option<Quota>, &Name),
        then: impl Fn(&Accounting) -> Usage,
        take: impl FnOnce(&mut Accounting) -> T,
    ) -> Result<T, StoreError> {
        let fits = |accounting: &Accounting| {
            let then = then(accounting);
            quota.is_none_or(|quota| quota.allows(then))
        };
        let mut accounting = self.0.accounting.lock();
        let is_counted = quota.is_none() || accounting.used.is_some();
        if !is_counted || !fits(&accounting) {
            drop(accounting);
            self.count(disk)?;
            accounting = self.0.accounting.lock();
        }
        match quota {
            Some(quota) if !fits(&accounting) => {
                Err(quota.exceeded(name, accounting.total(), then(&accounting)))
            }
            _ => Ok(take(&mut accounting)),
        }
    }

    /// Reserves space for a file. Blocks.
    pub(super) fn reserve(
        &self,
        disk: &dyn DiskUsage,
        quota: Option<Quota>,
        file: NewFile<'_>,
    ) -> Result<Reservation, StoreError> {
        let then = |accounting: &Accounting| {
            let deduction = accounting.deduction(&file);
            let deducted = deduction.map_or_else(Usage::default, |it| it.usage());
            let total = accounting.total().plus(file.usage);
            total.minus(deducted.plus(file.held))
        };
        self.take(disk, (quota, file.name), then, |accounting| {
            let number = accounting.next;
            accounting.next += 1;
            if let Some(deduction) = accounting.deduction(&file) {
                accounting.deductions.insert(number, deduction);
            }
            accounting.change(file.held, Usage::default());
            accounting.reserved = accounting.reserved.plus(file.usage);
            Reservation {
                usage: self.clone(),
                quota,
                name: file.name.clone(),
                reserved: file.usage,
                number,
                open: Vec::new(),
            }
        })
    }

    #[cfg(test)]
    pub(super) fn total(&self) -> Usage {
        self.0.accounting.lock().total()
    }
}

/// Space for one file, until it is dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    usage: QuotaUsage,
    quota: Option<Quota>,
    name: Name,
    reserved: Usage,
    /// Distinguishes this reservation from the others.
    number: u64,
    open: Vec<FileId>,
}

/// A change of the disk at the end of a file.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// What has the name of the file, and what is at rest of its partial file.
    pub(super) file: OnDisk,
    pub(super) partial: Usage,
}

impl Reservation {
    pub(super) const fn usage(&self) -> &QuotaUsage {
        &self.usage
    }

    /// From now on these files are covered by the reservation, and not counted.
    pub(super) fn cover(&mut self, files: Vec<FileId>) {
        let mut accounting = self.usage.0.accounting.lock();
        accounting.open.extend(&files);
        drop(accounting);
        self.open = files;
    }

    /// Extends the reservation to `usage` in all: a piped file has announced no length. Blocks.
    pub(super) fn grow(&mut self, disk: &dyn DiskUsage, usage: Usage) -> Result<(), StoreError> {
        let more = usage.minus(self.reserved);
        if more == Usage::default() {
            return Ok(());
        }
        let (number, whole) = (self.number, self.reserved.plus(more));
        let then = |accounting: &Accounting| {
            let now = accounting.deducted(number);
            let deduction = accounting.deductions.get(&number);
            let then = deduction.map_or(now, |it| it.file.usage.min(whole));
            accounting.total().plus(more).plus(now).minus(then)
        };
        self.usage
            .take(disk, (self.quota, &self.name), then, |accounting| {
                accounting.reserved = accounting.reserved.plus(more);
                if let Some(deduction) = accounting.deductions.get_mut(&number) {
                    deduction.reserved = whole;
                }
            })?;
        self.reserved = self.reserved.plus(more);
        Ok(())
    }

    /// Returns whether `left` may stay on the disk when this reservation ends: the file that was to
    /// be replaced stays as well then.
    pub(super) fn may_leave(&self, disk: &dyn DiskUsage, left: Usage) -> bool {
        let then = |accounting: &Accounting| {
            let total = accounting.total().plus(accounting.deducted(self.number));
            total.plus(left).minus(self.reserved)
        };
        let stays = self
            .usage
            .take(disk, (self.quota, &self.name), then, |_| ());
        stays.is_ok()
    }

    /// Ends the reservation, and accounts the change of the disk that it was for.
    pub(super) fn settle(mut self, before: &Change, after: &Change) {
        let usage = self.usage.clone();
        let mut accounting = usage.0.accounting.lock();
        self.release(&mut accounting);
        accounting.change(
            before.file.usage.plus(before.partial),
            after.file.usage.plus(after.partial),
        );
        accounting.replaced(&self.name, &before.file, &after.file);
    }

    fn release(&mut self, accounting: &mut MutexGuard<'_, Accounting>) {
        let reserved = std::mem::take(&mut self.reserved);
        accounting.reserved = accounting.reserved.minus(reserved);
        accounting.deductions.remove(&self.number);
        for id in self.open.drain(..) {
            accounting.open.remove(&id);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let usage = self.usage.clone();
        self.release(&mut usage.0.accounting.lock());
    }
}

/// Names that are locked, each by one thread.
#[derive(Debug, Default)]
struct NameLocks {
    locked: Mutex<BTreeSet<String>>,
    unlocked: Condvar,
}

/// A locked name, until it is dropped.
#[derive(Debug)]
pub(super) struct NameLock<'a> {
    locks: &'a NameLocks,
    name: String,
}

impl NameLocks {
    fn lock(&self, name: &str) -> NameLock<'_> {
        let mut locked = self.locked.lock();
        while !locked.insert(name.to_owned()) {
            self.unlocked.wait(&mut locked);
        }
        NameLock {
            locks: self,
            name: name.to_owned(),
        }
    }
}

impl Drop for NameLock<'_> {
    fn drop(&mut self) {
        self.locks.locked.lock().remove(&self.name);
        self.locks.unlocked.notify_all();
    }
}
