//! Disk space for a file: all of it is reserved before anything is sent, except for the holes of a
//! sparse file.

use std::io;

use super::disk::DiskFile;

/// Granularity of holes: file systems keep no smaller ones.
const HOLE_BYTES: usize = 4096;

/// The space of a file that is being written, and its length so far.
#[derive(Debug)]
pub(super) struct Preallocation {
    size: u64,
    /// Allocated bytes of a sparse source.
    allocated: Option<u64>,
    /// Bytes written so far, holes included.
    at: u64,
    /// Whether they end in a hole, which the file's length does not include yet.
    ends_in_hole: bool,
}

impl Preallocation {
    pub(super) const fn new(size: u64, allocated: Option<u64>) -> Self {
        Self {
            size,
            allocated,
            at: 0,
            ends_in_hole: false,
        }
    }

    /// The same for a file whose first `at` bytes exist.
    pub(super) const fn behind(mut self, at: u64) -> Self {
        self.at = at;
        self
    }

    pub(super) const fn is_sparse(&self) -> bool {
        self.allocated.is_some()
    }

    /// Reserves the space. A file system that cannot reserve is taken to have enough.
    #[cfg(target_os = "linux")]
    pub(super) fn reserve(&self, file: &DiskFile) -> io::Result<()> {
        use rustix::fs::{FallocateFlags, fallocate, fstatvfs};
        use rustix::io::Errno;
        let file = file.to_reserve()?;
        if let Some(allocated) = self.allocated {
            let free = fstatvfs(file).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
            // The existing part is no longer counted as free.
            let left = allocated.min(self.size).saturating_sub(self.at);
            return match free {
                Ok(free) if free < left => Err(Errno::NOSPC.into()),
                _ => Ok(()),
            };
        }
        if self.size == 0 {
            return Ok(());
        }
        match fallocate(file, FallocateFlags::KEEP_SIZE, 0, self.size) {
            Err(error @ (Errno::NOSPC | Errno::FBIG | Errno::DQUOT)) => Err(error.into()),
            // The length does not fit `off_t`; no disk has that much either.
            Err(Errno::INVAL) if i64::try_from(self.size).is_err() => Err(Errno::FBIG.into()),
            _ => Ok(()),
        }
    }

    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unused_self, reason = "as on the systems that can")]
    pub(super) fn reserve(&self, _: &DiskFile) -> io::Result<()> {
        Ok(())
    }

    /// Appends bytes; in a sparse file, zeros become holes.
    pub(super) fn write(&mut self, file: &DiskFile, bytes: &[u8]) -> io::Result<()> {
        if !self.is_sparse() {
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
        let error = Preallocation::new(u64::MAX, Some(u64::MAX / 2)).reserve(&file);
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::StorageFull);
        Preallocation::new(1 << 60, Some(4096))
            .reserve(&file)
            .unwrap();
    }
}
