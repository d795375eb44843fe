//! Disk space for a file: it is looked for before anything is sent, and reserved in steps as bytes
//! arrive, so that a peer holds no more of the disk than it has filled. Holes of a sparse file are
//! not reserved.

use std::io;

use super::disk::DiskFile;

/// Granularity of holes: file systems keep no smaller ones.
const HOLE_BYTES: usize = 4096;

/// Space reserved in one step: as much as has arrived, between these limits, in bytes. A file that
/// grows by halves has few extents; what is reserved in vain is never more than what arrived.
const STEP_BYTES: std::ops::RangeInclusive<u64> = (1 << 20)..=(256 << 20);

/// The space of a file that is being written, and its length so far.
#[derive(Debug)]
pub(super) struct Preallocation {
    size: u64,
    /// Allocated bytes of a sparse source.
    allocated: Option<u64>,
    /// Bytes written so far, holes included.
    at: u64,
    /// Bytes from the beginning that are reserved, as far as the file system can.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "only Linux reserves")
    )]
    reserved: u64,
    /// Whether they end in a hole, which the file's length does not include yet.
    ends_in_hole: bool,
}

impl Preallocation {
    pub(super) const fn new(size: u64, allocated: Option<u64>) -> Self {
        Self {
            size,
            allocated,
            at: 0,
            reserved: 0,
            ends_in_hole: false,
        }
    }

    /// The same for a file whose first `at` bytes exist.
    pub(super) const fn behind(mut self, at: u64) -> Self {
        self.at = at;
        self.reserved = at;
        self
    }

    pub(super) const fn is_sparse(&self) -> bool {
        self.allocated.is_some()
    }

    /// Looks for the space, and reserves none. A file system that does not tell is taken to have
    /// enough.
    #[cfg(target_os = "linux")]
    pub(super) fn find_space(&self, file: &DiskFile) -> io::Result<()> {
        use rustix::fs::fstatvfs;
        use rustix::io::Errno;
        // The length does not fit `off_t`; no disk has that much either.
        if i64::try_from(self.size).is_err() {
            return Err(Errno::FBIG.into());
        }
        let free = fstatvfs(file.to_reserve()?);
        let free = free.map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        // The existing part is no longer counted as free.
        let whole = self.allocated.unwrap_or(self.size).min(self.size);
        match free {
            Ok(free) if free < whole.saturating_sub(self.at) => Err(Errno::NOSPC.into()),
            _ => Ok(()),
        }
    }

    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unused_self, reason = "as on the systems that can")]
    pub(super) fn find_space(&self, _: &DiskFile) -> io::Result<()> {
        Ok(())
    }

    /// Reserves space for `more` bytes, in a step that has room for some after them.
    #[cfg(target_os = "linux")]
    fn reserve(&mut self, file: &DiskFile, more: u64) -> io::Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};
        use rustix::io::Errno;
        let needed = self.at.saturating_add(more).min(self.size);
        if needed <= self.reserved {
            return Ok(());
        }
        let step = self.at.clamp(*STEP_BYTES.start(), *STEP_BYTES.end());
        let room = needed
            .max(self.reserved.saturating_add(step))
            .min(self.size);
        let file = file.to_reserve()?;
        // On a disk that is nearly full, what has arrived may fit where a whole step does not.
        for end in [room, needed] {
            let length = end - self.reserved;
            match fallocate(file, FallocateFlags::KEEP_SIZE, self.reserved, length) {
                Ok(()) => {
                    self.reserved = end;
                    return Ok(());
                }
                Err(Errno::NOSPC | Errno::DQUOT) if end > needed => {}
                Err(error @ (Errno::NOSPC | Errno::FBIG | Errno::DQUOT)) => {
                    return Err(error.into());
                }
                // The file system cannot reserve, and is not asked again.
                Err(_) => break,
            }
        }
        self.reserved = self.size;
        Ok(())
    }

    #[cfg(not(target_os = "linux"))]
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "as on the systems that can"
    )]
    fn reserve(&mut self, _: &DiskFile, _: u64) -> io::Result<()> {
        Ok(())
    }

    /// Appends bytes; in a sparse file, zeros become holes.
    pub(super) fn write(&mut self, file: &DiskFile, bytes: &[u8]) -> io::Result<()> {
        if !self.is_sparse() {
            self.reserve(file, bytes.len() as u64)?;
            file.write_all_at(bytes, self.at)?;
            self.at += bytes.len() as u64;
            return Ok(());
        }
        let mut rest = bytes;
        while let Some(first) = rest.chunks(HOLE_BYTES).next() {
            self.ends_in_hole = is_hole(first);
            let alike = rest
                .chunks(HOLE_BYTES)
                .take_while(|chunk| is_hole(chunk) == self.ends_in_hole);
            let (run, behind) = rest.split_at(alike.map(<[u8]>::len).sum());
            if !self.ends_in_hole {
                file.write_all_at(run, self.at)?;
            }
            self.at += run.len() as u64;
            rest = behind;
        }
        Ok(())
    }

    /// Gives back what is reserved and not written.
    pub(super) fn release(&mut self, file: &DiskFile) -> io::Result<()> {
        self.ends_in_hole = false;
        file.set_len(self.at)
    }

    /// Extends the file over a hole at its end.
    pub(super) fn extend(&mut self, file: &DiskFile) -> io::Result<()> {
        if std::mem::take(&mut self.ends_in_hole) {
            file.set_len(self.at)?;
        }
        Ok(())
    }
}

fn is_hole(chunk: &[u8]) -> bool {
    static ZEROS: [u8; HOLE_BYTES] = [0; HOLE_BYTES];
    chunk == &ZEROS[..chunk.len()]
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, SeekFrom};

    use proptest::prelude::*;

    use super::super::disk::Disk;
    use super::*;

    proptest! {
        #[test]
        fn what_is_read_is_what_was_written_with_and_without_holes(
            runs in prop::collection::vec((any::<bool>(), 0..3 * HOLE_BYTES), 0..8),
            pieces in prop::collection::vec(1..2 * HOLE_BYTES, 1..8),
            allocated in prop::option::of(0..9u64),
        ) {
            let run = |&(full, len): &(bool, usize)| vec![u8::from(full); len];
            let whole: Vec<u8> = runs.iter().flat_map(run).collect();
            let mut file = Disk::default().hold(tempfile::tempfile().unwrap());
            let mut preallocation = Preallocation::new(whole.len() as u64, allocated);
            let (mut rest, mut pieces) = (&whole[..], pieces.into_iter().cycle());
            while let Some(piece) = pieces.next().filter(|_| !rest.is_empty()) {
                let (now, later) = rest.split_at(piece.min(rest.len()));
                preallocation.write(&file, now).unwrap();
                rest = later;
            }
            preallocation.extend(&file).unwrap();
            let mut read = Vec::new();
            file.seek(SeekFrom::Start(0)).unwrap();
            file.read_to_end(&mut read).unwrap();
            prop_assert!(read == whole);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_larger_than_the_free_space_is_refused_before_anything_is_written() {
        let file = Disk::default().hold(tempfile::tempfile().unwrap());
        let far = i64::MAX as u64;
        for allocated in [None, Some(far / 2)] {
            let error = Preallocation::new(far, allocated).find_space(&file);
            assert_eq!(error.unwrap_err().kind(), io::ErrorKind::StorageFull);
        }
        let error = Preallocation::new(u64::MAX, None).find_space(&file);
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        Preallocation::new(1 << 60, Some(4096))
            .find_space(&file)
            .unwrap();
    }

    /// A request names any size; what it may hold of the disk is what its bytes have paid for.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_reserves_no_more_than_has_arrived_and_a_step() {
        use std::os::unix::fs::MetadataExt;
        let file = Disk::default().hold(tempfile::tempfile().unwrap());
        let mut preallocation = Preallocation::new(200 << 20, None);
        preallocation.find_space(&file).unwrap();
        let reserved = || file.metadata().unwrap().blocks() * 512;
        assert_eq!(reserved(), 0);
        let piece = vec![1; 1 << 20];
        for arrived in 1..=40u64 {
            preallocation.write(&file, &piece).unwrap();
            let most = 2 * (arrived << 20) + (1 << 20);
            assert!(reserved() <= most, "{} of {most}", reserved());
        }
        preallocation.release(&file).unwrap();
        // And what the file system needs to find it again.
        assert!(((40 << 20)..(41 << 20)).contains(&reserved()));
    }
}
