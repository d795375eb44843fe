//! A file of the file system that is read.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::disk::DiskFile;
use super::error::StoreError;
use super::memory::MemStore;
use super::traits::Source;
use crate::protocol::Attributes;

/// Longest file that announces no size, in bytes: it is read into memory.
const MAX_UNSIZED_BYTES: usize = 64 << 20;

#[derive(Debug)]
pub(super) struct FileSource {
    file: Arc<DiskFile>,
    /// Offset of the next read.
    position: u64,
    size: u64,
    modified: Option<std::time::SystemTime>,
    attributes: Attributes,
    fingerprint: Option<String>,
    allocated: Option<u64>,
    name: String,
}

impl FileSource {
    #[expect(clippy::new_ret_no_self, reason = "only ever used behind the trait")]
    pub(super) fn new(file: DiskFile, name: &str) -> Result<Box<dyn Source>, StoreError> {
        let metadata = file
            .metadata()
            .map_err(|error| StoreError::from_io(name, error))?;
        if !metadata.is_file() {
            return Err(StoreError::NotAFile {
                name: name.to_owned(),
            });
        }
        // A file of /proc has bytes and no size: it is what can be read of it now.
        if metadata.len() == 0 {
            let contents = read_unsized(&file).map_err(|error| StoreError::from_io(name, error))?;
            if !contents.is_empty() {
                return Ok(MemStore::source_with(contents, attributes(&metadata)));
            }
        }
        #[cfg(unix)]
        let allocated = sparse(
            metadata.len(),
            std::os::unix::fs::MetadataExt::blocks(&metadata),
        );
        #[cfg(not(unix))]
        let allocated = None;
        Ok(Box::new(Self {
            file: Arc::new(file),
            position: 0,
            size: metadata.len(),
            modified: metadata.modified().ok(),
            attributes: attributes(&metadata),
            fingerprint: fingerprint(&metadata),
            allocated,
            name: name.to_owned(),
        }))
    }
}

/// Mode and time of a file.
fn attributes(metadata: &std::fs::Metadata) -> Attributes {
    #[cfg(unix)]
    let mode = Some(std::os::unix::fs::MetadataExt::mode(metadata) & 0o777);
    #[cfg(not(unix))]
    let mode = None;
    Attributes {
        mode,
        modified_ns: metadata.modified().ok().and_then(nanoseconds),
    }
}

/// Reads a file that says it is empty.
fn read_unsized(file: &DiskFile) -> io::Result<Vec<u8>> {
    let mut contents = Vec::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        match file.read_at(&mut piece, contents.len() as u64)? {
            0 => return Ok(contents),
            read => contents.extend_from_slice(&piece[..read]),
        }
        if contents.len() > MAX_UNSIZED_BYTES {
            return Err(io::Error::other("a file without a size is too long"));
        }
    }
}

/// Fingerprint of the file's size and modification time, hashed. Device and inode are no part of
/// it: they change when a disk is mounted again or a file is copied, and a change of the contents
/// changes neither.
fn fingerprint(metadata: &std::fs::Metadata) -> Option<String> {
    let changed = metadata.modified().ok()?;
    Some(fingerprint_of(metadata.len(), changed))
}

pub(super) fn fingerprint_of(size: u64, modified: std::time::SystemTime) -> String {
    let identity = format!("{size} {:?}", nanoseconds(modified));
    let hash = blake3::derive_key("lftp source fingerprint 2", identity.as_bytes());
    blake3::Hash::from_bytes(hash).to_hex()[..32].to_owned()
}

impl Source for FileSource {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&mut self, max: usize) -> Result<Bytes, StoreError> {
        let mut block = vec![0; max];
        let mut read = 0;
        while read < max {
            let more = self.file.read_at(&mut block[read..], self.position);
            match more.map_err(|error| StoreError::from_io(&self.name, error))? {
                0 => break,
                more => {
                    read += more;
                    self.position += more as u64;
                }
            }
        }
        block.truncate(read);
        Ok(block.into())
    }

    fn fingerprint(&self) -> Option<String> {
        self.fingerprint.clone()
    }

    fn allocated(&self) -> Option<u64> {
        self.allocated
    }

    fn attributes(&self) -> Attributes {
        self.attributes
    }

    fn seek(&mut self, offset: u64) -> Result<(), StoreError> {
        self.position = offset;
        Ok(())
    }

    fn has_changed(&self) -> Result<bool, StoreError> {
        let metadata = self.file.metadata();
        let metadata = metadata.map_err(|error| StoreError::from_io(&self.name, error))?;
        Ok(metadata.len() != self.size || metadata.modified().ok() != self.modified)
    }

    fn reopen(&self) -> Result<Box<dyn Source>, StoreError> {
        Ok(Box::new(Self {
            file: Arc::clone(&self.file),
            position: 0,
            size: self.size,
            modified: self.modified,
            attributes: self.attributes,
            fingerprint: self.fingerprint.clone(),
            allocated: self.allocated,
            name: self.name.clone(),
        }))
    }
}

/// Bytes that a sparse file of `size` bytes takes on the disk; `None` for a file without holes.
/// `units` are of 512 bytes, as in stat(2).
#[cfg(unix)]
pub(super) const fn sparse(size: u64, units: u64) -> Option<u64> {
    let bytes = units.saturating_mul(512);
    if bytes < size { Some(bytes) } else { None }
}

/// Nanoseconds since 1970.
pub(super) fn nanoseconds(time: std::time::SystemTime) -> Option<i64> {
    match time.duration_since(std::time::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).ok(),
        Err(before) => i64::try_from(before.duration().as_nanos())
            .ok()
            .map(|ns| -ns),
    }
}
