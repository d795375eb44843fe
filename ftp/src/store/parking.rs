//! Where a transfer that broke off is found again: names that follow from what it is.

use std::io::{self, Read, Seek, SeekFrom};

use cap_std::fs::OpenOptions;

use super::disk::{DiskFile, Folder};
use super::extent::Extent;
use super::journal::{Header, Journal, Known};
use super::partial::{Finish, Partial, Temporary};
use super::{Origin, Parked, StoreError};
use crate::protocol::blocks::{self, BLOCK_BYTES, BlockHash};
use crate::protocol::{JOURNAL_SUFFIX, Name, PARTIAL_PREFIX, PARTIAL_SUFFIX};

/// Hexadecimal digits of the names: enough that no two meet.
const DIGITS: usize = 32;

/// The names of one transfer's `.part` file and journal.
#[derive(Debug)]
pub(super) struct Parking {
    part: String,
    journal: String,
}

impl Parking {
    /// For the transfer that both sides call `key`, to `name`.
    pub(super) fn new(name: &Name, key: &str) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("lftp parking 1");
        hasher.update(name.as_str().as_bytes());
        hasher.update(&[0]);
        hasher.update(key.as_bytes());
        let hash = hasher.finalize().to_hex();
        let stem = format!("{PARTIAL_PREFIX}{}", &hash[..DIGITS]);
        Self {
            part: format!("{stem}{PARTIAL_SUFFIX}"),
            journal: format!("{stem}{JOURNAL_SUFFIX}"),
        }
    }

    fn temporary(self, journal: Journal, blocks: u64) -> Temporary {
        Temporary {
            part: self.part,
            journal: Some((self.journal, journal)),
            blocks,
        }
    }

    /// What is left there; `None` when that is nothing to go on with.
    pub(super) fn open(self, finish: Finish) -> Result<Option<Parked>, StoreError> {
        let Some(left) = Left::find(&finish, &self) else {
            return Ok(None);
        };
        let (known, count) = (left.known, left.verified);
        let failed = |error| StoreError::from_io(&finish.name, error);
        let journal = Journal::resume(left.journal, &known, count, finish.durable);
        let journal = journal.map_err(failed)?;
        let mut file = left.part;
        let offset = blocks::offset(count as u64);
        file.seek(SeekFrom::Start(offset)).map_err(failed)?;
        let temporary = self.temporary(journal, count as u64);
        let extent = Extent::new(known.header.size, known.header.allocated);
        if extent.is_sparse() {
            // What was written behind must not show through the holes to come.
            file.set_len(offset).map_err(failed)?;
        }
        let sink = Partial::new(finish, temporary, file, extent.behind(offset))?;
        let mut hashes = known.hashes;
        hashes.truncate(count);
        Ok(Some(Parked {
            size: known.header.size,
            source: known.header.source,
            hashes,
            sink: Box::new(sink),
        }))
    }

    /// A new file there; `None` when somebody else is writing one.
    pub(super) fn create(
        self,
        finish: Finish,
        size: u64,
        origin: Origin<'_>,
    ) -> Result<Option<Partial>, StoreError> {
        // What fits one block is sent again as a whole.
        if size <= BLOCK_BYTES {
            return Ok(None);
        }
        let failed = |error| StoreError::from_io(&finish.name, error);
        if let Ok(part) = open(&finish.folder, &self.part) {
            if part.try_lock().is_err() {
                return Ok(None);
            }
            finish.folder.remove_file(&self.part).map_err(failed)?;
        }
        match finish.folder.remove_file(&self.journal) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        let Ok(part) = finish.folder.create(&self.part, &options) else {
            // Whatever is in the way, a name of its own will do.
            return Ok(None);
        };
        options = OpenOptions::new();
        options.read(true).append(true).create_new(true);
        let journal = match finish.folder.create(&self.journal, &options) {
            Ok(journal) => journal,
            Err(error) => {
                let _ = finish.folder.remove_file(&self.part);
                return Err(failed(error));
            }
        };
        let header = Header::new(size, origin.source, finish.durable).sparse(origin.allocated);
        let begun = Journal::begin(journal, &header, finish.durable).map_err(failed)?;
        let temporary = self.temporary(begun, 0);
        let extent = Extent::new(size, origin.allocated);
        Partial::new(finish, temporary, part, extent).map(Some)
    }
}

/// What a transfer left, locked.
struct Left {
    part: DiskFile,
    journal: DiskFile,
    known: Known,
    /// Blocks that are relied upon.
    verified: usize,
}

impl Left {
    fn find(finish: &Finish, names: &Parking) -> Option<Self> {
        let folder = &finish.folder;
        let mut part = open(folder, &names.part).ok()?;
        part.try_lock().ok()?;
        let mut journal = open_to_append(folder, &names.journal).ok()?;
        let known = Journal::read(&mut journal).ok()?;
        let verified = verify(&mut part, &known, finish.durable).ok()?;
        (verified > 0).then_some(Self {
            part,
            journal,
            known,
            verified,
        })
    }
}

/// How many blocks of the file are those of the journal. Those that were on the disk are
/// believed, the few behind them are read. Where they are to be durable they are written again:
/// a disk that failed to take them from an earlier process has said so to that one, and the
/// system has counted them as written ever since.
fn verify(part: &mut DiskFile, known: &Known, durable: bool) -> io::Result<usize> {
    let full = part.metadata()?.len() / BLOCK_BYTES;
    let most = known
        .hashes
        .len()
        .min(usize::try_from(full).unwrap_or(usize::MAX));
    let mut verified = known.durable.min(most);
    part.seek(SeekFrom::Start(blocks::offset(verified as u64)))?;
    let mut block = Vec::new();
    while verified < most {
        block.clear();
        Read::by_ref(part)
            .take(BLOCK_BYTES)
            .read_to_end(&mut block)?;
        if BlockHash::of(verified as u64, &block) != known.hashes[verified] {
            break;
        }
        if durable {
            part.seek(SeekFrom::Start(blocks::offset(verified as u64)))?;
            // Holes stay holes.
            Extent::new(known.header.size, Some(0)).write(part, &block)?;
        }
        verified += 1;
    }
    Ok(verified)
}

fn open(folder: &Folder, name: &str) -> io::Result<DiskFile> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    open_own(folder, name, &options)
}

fn open_to_append(folder: &Folder, name: &str) -> io::Result<DiskFile> {
    let mut options = OpenOptions::new();
    options.read(true).append(true);
    open_own(folder, name, &options)
}

/// Opens a file only where it is a plain one with no other name: through a link that somebody
/// planted, another file would be written.
fn open_own(folder: &Folder, name: &str, options: &OpenOptions) -> io::Result<DiskFile> {
    let refused = || io::Error::from(io::ErrorKind::PermissionDenied);
    if !folder.dir()?.symlink_metadata(name)?.is_file() {
        return Err(refused());
    }
    let file = folder.open(name, options)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let (named, opened) = (folder.dir()?.symlink_metadata(name)?, file.metadata()?);
        let is_same = cap_std::fs::MetadataExt::ino(&named) == opened.ino() && named.is_file();
        if !is_same || opened.nlink() != 1 {
            return Err(refused());
        }
    }
    Ok(file)
}

#[cfg(test)]
mod tests;
