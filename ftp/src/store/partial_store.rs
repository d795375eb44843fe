//! Partial files of resumable transfers, under names that follow from the transfer's key.

use std::io::{self, Read, Seek, SeekFrom};

use cap_std::fs::OpenOptions;

use super::disk::{DiskFile, Folder};
use super::error::StoreError;
use super::journal::{Header, Journal, JournalContents};
#[cfg(unix)]
use super::mode;
use super::partial::{Finish, Partial, Temporary, private};
use super::preallocation::Preallocation;
use super::traits::{Origin, ResumablePartial};
use crate::protocol::blocks::{self, BLOCK_BYTES, BlockHash};
use crate::protocol::{JOURNAL_SUFFIX, Name, PARTIAL_PREFIX, PARTIAL_SUFFIX};

/// Hexadecimal digits of the names: enough to make a collision impossible in practice.
const DIGITS: usize = 32;

/// The names of one transfer's `.part` file and journal.
#[derive(Debug)]
pub(super) struct PartialStore {
    part: String,
    journal: String,
}

impl PartialStore {
    /// Names for the transfer with this `key` to `name`.
    pub(super) fn new(name: &Name, key: &str) -> Self {
        // The context is part of the format: other words would not find what earlier versions left.
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

    /// Describes the `.part` file.
    pub(super) fn metadata(&self, folder: &Folder) -> io::Result<cap_std::fs::Metadata> {
        folder.dir()?.symlink_metadata(&self.part)
    }

    fn temporary(self, journal: Journal, blocks: u64) -> Temporary {
        Temporary {
            part: self.part,
            journal: Some((self.journal, journal)),
            blocks,
        }
    }

    /// Opens what was left; `None` when nothing can be resumed.
    pub(super) fn open(self, finish: Finish) -> Result<Option<ResumablePartial>, StoreError> {
        let Some(recovered) = Recovered::find(&finish, &self) else {
            return Ok(None);
        };
        let (known, count) = (recovered.known, recovered.verified);
        let failed = |error| StoreError::from_io(&finish.name, error);
        let journal = Journal::resume(recovered.journal, &known, count, finish.durable);
        let journal = journal.map_err(failed)?;
        let file = recovered.part;
        #[cfg(unix)]
        {
            // An earlier version may have left it readable to everybody. A file system that has no
            // modes keeps none.
            use std::os::unix::fs::PermissionsExt;
            let _ = file.set_permissions(std::fs::Permissions::from_mode(mode::PRIVATE));
        }
        let offset = blocks::offset(count as u64);
        let temporary = self.temporary(journal, count as u64);
        let preallocation = Preallocation::new(known.header.size, known.header.allocated);
        if preallocation.is_sparse() {
            // Bytes that were written behind the verified blocks must not show through holes.
            file.set_len(offset).map_err(failed)?;
        }
        let sink = Partial::new(finish, temporary, file, preallocation.behind(offset))?;
        let mut hashes = known.hashes;
        hashes.truncate(count);
        Ok(Some(ResumablePartial {
            size: known.header.size,
            source: known.header.source,
            hashes,
            sink: Box::new(sink),
        }))
    }

    /// Creates a new partial file; `None` when another transfer is writing one, or when the file
    /// fits one block.
    pub(super) fn create(
        self,
        finish: Finish,
        size: u64,
        origin: Origin<'_>,
    ) -> Result<Option<Partial>, StoreError> {
        // A file of one block is sent again as a whole.
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
        private(&mut options);
        let Ok(part) = finish.folder.create(&self.part, &options) else {
            // Whatever is in the way: the caller falls back to a file with a name of its own.
            return Ok(None);
        };
        options = OpenOptions::new();
        options.read(true).append(true).create_new(true);
        private(&mut options);
        let journal = match finish.folder.create(&self.journal, &options) {
            Ok(journal) => journal,
            Err(error) => {
                let _ = finish.folder.remove_file(&self.part);
                return Err(failed(error));
            }
        };
        let header = Header::new(size, origin.source, finish.durable).sparse(origin.allocated);
        let created = Journal::create(journal, &header, finish.durable).map_err(failed)?;
        let temporary = self.temporary(created, 0);
        let preallocation = Preallocation::new(size, origin.allocated);
        Partial::new(finish, temporary, part, preallocation).map(Some)
    }
}

/// What an interrupted transfer left, locked.
struct Recovered {
    part: DiskFile,
    journal: DiskFile,
    known: JournalContents,
    /// Number of blocks that can be relied upon.
    verified: usize,
}

impl Recovered {
    fn find(finish: &Finish, names: &PartialStore) -> Option<Self> {
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

/// Counts the blocks of the file that are those of the journal. Those marked as durable are
/// read beside the transfer, before the file gets its name; the few behind them are read now. In a
/// durable store they are also written again: if the disk failed to take them from an earlier
/// process, that process got the error, and the system has counted them as written ever since.
fn verify(part: &mut DiskFile, known: &JournalContents, durable: bool) -> io::Result<usize> {
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
            // Sparse, so that holes stay holes.
            Preallocation::new(known.header.size, Some(0))
                .behind(blocks::offset(verified as u64))
                .write(part, &block)?;
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

/// Opens a file only if it is a plain one with no other name: a link that was planted under a
/// predictable name would make the server write to another file.
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
