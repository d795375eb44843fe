//! A disk that fails: it refuses steps, and after a power failure it holds only what was flushed.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lftp_ftp::store::{Faults, Step};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::count::Count;
use super::plan::{DiskFault, DiskFaultKind};

/// The unit that a disk writes or loses as a whole.
const PAGE_BYTES: u64 = 4096;

/// The disk of a machine over all its runs.
#[derive(Debug)]
pub(super) struct Disk {
    state: Mutex<State>,
    count: Count,
}

struct State {
    rng: ChaCha8Rng,
    faults: Vec<DiskFault>,
    /// Steps on the disk, over all runs.
    steps: u64,
    /// Files with data that the current run has not flushed, by inode.
    files: BTreeMap<u64, Unflushed>,
}

/// The unflushed part of a file.
#[derive(Debug)]
struct Unflushed {
    file: File,
    /// Bytes from its start that are on the disk.
    flushed_bytes: u64,
    /// Ranges that the device failed to flush. Nothing retries them: the system reports the error
    /// once and marks the pages clean.
    lost: Vec<(u64, u64)>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("steps", &self.steps)
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl Disk {
    pub(super) fn new(seed: u64, faults: Vec<DiskFault>, count: Count) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                rng: ChaCha8Rng::seed_from_u64(seed),
                faults,
                steps: 0,
                files: BTreeMap::new(),
            }),
            count,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all faults.
    pub(super) fn repair(&self) {
        self.state().faults.clear();
    }

    /// The process has ended; what it wrote reaches the disk, except for what the device failed to
    /// flush.
    pub(super) fn keep_all(&self) -> io::Result<()> {
        let files = &mut self.state().files;
        for unflushed in files.values_mut() {
            // A process that ends loses nothing: what it wrote is the kernel's.
            unflushed.flushed_bytes = unflushed.file.metadata()?.len();
        }
        files.retain(|_, unflushed| !unflushed.lost.is_empty());
        Ok(())
    }

    /// The power has failed: of unflushed data the end is lost, and pages before it.
    pub(super) fn lose_power(&self) -> io::Result<()> {
        let state = &mut *self.state();
        for (_, unflushed) in std::mem::take(&mut state.files) {
            let len = unflushed.file.metadata()?.len();
            let flushed = unflushed.flushed_bytes.min(len);
            // The end is a prefix, as journals leave it; pages before it may still be missing.
            let end = state.rng.random_range(flushed..=len);
            if end < len {
                unflushed.file.set_len(end)?;
                self.count.one("disk: unsynced tail lost");
            }
            let gone = (flushed.div_ceil(PAGE_BYTES)..end.div_ceil(PAGE_BYTES))
                .map(|page| (page * PAGE_BYTES, (page + 1) * PAGE_BYTES))
                .filter(|_| state.rng.random_ratio(1, 8));
            let gone: Vec<_> = gone.chain(unflushed.lost).collect();
            for (from, to) in gone {
                zero(&unflushed.file, from, to.min(end))?;
            }
        }
        Ok(())
    }
}

/// A file opened for appending cannot be written elsewhere, so a hole is punched.
fn zero(file: &File, from: u64, to: u64) -> io::Result<()> {
    if from >= to {
        return Ok(());
    }
    // Opened again through the descriptor: the file may have been renamed or removed since.
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(file));
    let again = File::options().write(true).open(path)?;
    let zeros = vec![0; usize::try_from(to - from).unwrap_or(0)];
    again.write_all_at(&zeros, from)
}

/// The parts of ranges that lie within another.
fn within(ranges: &[(u64, u64)], begin: u64, end: u64) -> Vec<(u64, u64)> {
    let cut = ranges
        .iter()
        .map(|&(from, to)| (from.max(begin), to.min(end)));
    cut.filter(|(from, to)| from < to).collect()
}

impl State {
    fn unflushed(&mut self, file: &File) -> io::Result<&mut Unflushed> {
        let metadata = file.metadata()?;
        let len = metadata.len();
        let unflushed = match self.files.entry(metadata.ino()) {
            // By inode, since a file is renamed when it is complete.
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Unflushed {
                file: file.try_clone()?,
                // What exists at the start of a run has survived the one before.
                flushed_bytes: len,
                lost: Vec::new(),
            }),
        };
        unflushed.flushed_bytes = unflushed.flushed_bytes.min(len);
        unflushed.lost = within(&unflushed.lost, 0, len);
        Ok(unflushed)
    }

    fn fault(&self) -> Option<DiskFault> {
        let at = self.steps;
        let is_now = |fault: &&DiskFault| (fault.from..fault.from + fault.steps).contains(&at);
        self.faults.iter().find(is_now).copied()
    }
}

impl Faults for Disk {
    fn before(&self, step: &Step<'_>) -> io::Result<()> {
        let mut state = self.state();
        state.steps += 1;
        if let Step::Write(file) | Step::Resize(file) | Step::Sync(file) = step {
            state.unflushed(file)?;
        }
        let Some(fault) = state.fault() else {
            return Ok(());
        };
        let is_hit = match fault.kind {
            DiskFaultKind::Full => {
                matches!(step, Step::Create | Step::Write(_) | Step::Resize(_))
            }
            DiskFaultKind::Io => true,
            DiskFaultKind::Sync => matches!(step, Step::Sync(_) | Step::SyncFolder),
        };
        if !is_hit {
            return Ok(());
        }
        if fault.kind == DiskFaultKind::Full {
            self.count.one("disk: no room");
            return Err(io::ErrorKind::StorageFull.into());
        }
        if let Step::Sync(file) = step {
            let len = file.metadata()?.len();
            let unflushed = state.unflushed(file)?;
            // Once reported, the kernel calls these pages clean: a later sync that succeeds does
            // not bring them back (the fsync problem that PostgreSQL found in 2018).
            unflushed.lost.push((unflushed.flushed_bytes, len));
            self.count.one("disk: I/O error of a sync");
        } else {
            self.count.one("disk: I/O error");
        }
        Err(io::Error::from_raw_os_error(EIO))
    }

    fn write(&self, file: &File, at: u64, bytes: usize) -> io::Result<usize> {
        let mut state = self.state();
        // Pages that are rewritten have to be flushed again.
        let unflushed = state.unflushed(file)?;
        let before = within(&unflushed.lost, 0, at);
        let behind = within(&unflushed.lost, at + bytes as u64, u64::MAX);
        unflushed.lost = [before, behind].concat();
        // A write may always be short, and on a nearly full disk it often is.
        if bytes > 1 && state.rng.random_ratio(1, 50) {
            self.count.one("disk: short write");
            return Ok(state.rng.random_range(1..bytes));
        }
        Ok(bytes)
    }

    fn synced(&self, file: &File) {
        if let (Ok(metadata), mut state) = (file.metadata(), self.state())
            && let Ok(unflushed) = state.unflushed(file)
        {
            unflushed.flushed_bytes = metadata.len();
        }
    }
}

/// The error of Linux for a failing device.
const EIO: i32 = 5;
