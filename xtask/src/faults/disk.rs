//! A disk that fails: steps that are refused, and after a loss of power only what was waited
//! for.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::fs::File;
use std::io::{self, Seek};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lftp_ftp::store::{Faults, Step};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::count::Count;
use super::plan::{DiskFault, DiskFaultKind};

/// What a disk writes or loses as one.
const PAGE_BYTES: u64 = 4096;

/// The disk of a machine, through all its runs.
#[derive(Debug)]
pub(super) struct Disk {
    state: Mutex<State>,
    count: Count,
}

struct State {
    rng: ChaCha8Rng,
    faults: Vec<DiskFault>,
    /// Over all runs.
    steps: u64,
    /// What the present run left to be brought onto the disk, by the number of the file.
    files: BTreeMap<u64, Unsure>,
}

/// A file that was written.
#[derive(Debug)]
struct Unsure {
    file: File,
    /// So much from its beginning is on the disk, in bytes.
    sure: u64,
    /// The device failed when this was to be brought onto it. Nobody will try again: the system
    /// tells of it once and takes the pages for written.
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

    /// Nothing fails any more.
    pub(super) fn mend(&self) {
        self.state().faults.clear();
    }

    /// The process is gone; what it wrote will be on the disk, but for what the device failed
    /// to take.
    pub(super) fn keep_all(&self) -> io::Result<()> {
        let files = &mut self.state().files;
        for unsure in files.values_mut() {
            unsure.sure = unsure.file.metadata()?.len();
        }
        files.retain(|_, unsure| !unsure.lost.is_empty());
        Ok(())
    }

    /// The power is gone: of what nobody waited for, the end is lost, and pages before it.
    pub(super) fn lose_power(&self) -> io::Result<()> {
        let state = &mut *self.state();
        for (_, unsure) in std::mem::take(&mut state.files) {
            let len = unsure.file.metadata()?.len();
            let sure = unsure.sure.min(len);
            let end = state.rng.random_range(sure..=len);
            if end < len {
                unsure.file.set_len(end)?;
                self.count.one("disk: unsynced tail lost");
            }
            let gone = (sure.div_ceil(PAGE_BYTES)..end.div_ceil(PAGE_BYTES))
                .map(|page| (page * PAGE_BYTES, (page + 1) * PAGE_BYTES))
                .filter(|_| state.rng.random_ratio(1, 8));
            let gone: Vec<_> = gone.chain(unsure.lost).collect();
            for (from, to) in gone {
                zero(&unsure.file, from, to.min(end))?;
            }
        }
        Ok(())
    }
}

/// Files that are appended to cannot be written elsewhere, so a hole is made.
fn zero(file: &File, from: u64, to: u64) -> io::Result<()> {
    if from >= to {
        return Ok(());
    }
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
    fn unsure(&mut self, file: &File) -> io::Result<&mut Unsure> {
        let metadata = file.metadata()?;
        let len = metadata.len();
        let unsure = match self.files.entry(metadata.ino()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Unsure {
                file: file.try_clone()?,
                // What is there when a run begins has survived the one before.
                sure: len,
                lost: Vec::new(),
            }),
        };
        unsure.sure = unsure.sure.min(len);
        unsure.lost = within(&unsure.lost, 0, len);
        Ok(unsure)
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
            state.unsure(file)?;
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
            let unsure = state.unsure(file)?;
            unsure.lost.push((unsure.sure, len));
            self.count.one("disk: I/O error of a sync");
        } else {
            self.count.one("disk: I/O error");
        }
        Err(io::Error::from_raw_os_error(EIO))
    }

    fn write(&self, file: &File, bytes: usize) -> io::Result<usize> {
        let mut state = self.state();
        // Pages that are written again are brought onto the disk again.
        let (mut file, unsure) = (file, state.unsure(file)?);
        let at = file.stream_position()?;
        let before = within(&unsure.lost, 0, at);
        let behind = within(&unsure.lost, at + bytes as u64, u64::MAX);
        unsure.lost = [before, behind].concat();
        // A write may always be short, and before a full disk it often is.
        if bytes > 1 && state.rng.random_ratio(1, 50) {
            self.count.one("disk: short write");
            return Ok(state.rng.random_range(1..bytes));
        }
        Ok(bytes)
    }

    fn synced(&self, file: &File) {
        if let (Ok(metadata), mut state) = (file.metadata(), self.state())
            && let Ok(unsure) = state.unsure(file)
        {
            unsure.sure = metadata.len();
        }
    }
}

/// What Linux says of a device that fails.
const EIO: i32 = 5;
