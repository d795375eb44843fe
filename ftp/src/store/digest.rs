//! A store that keeps no bytes: it serves patterns and remembers hashes. For benchmarks.

use std::collections::BTreeMap;
use std::sync::Arc;

use blake3::{Hash, Hasher};
use parking_lot::{Mutex, MutexGuard};

use super::error::StoreError;
use super::pattern::PatternSource;
use super::simple;
use super::traits::{
    BlockReader, CreateOptions, Found, PartialOptions, ResumablePartial, Sink, Source, Store,
    Stored,
};
use super::usage::{DiskUsage, OnDisk};
use crate::protocol::blocks::{self, BlockHash};
use crate::protocol::{Attributes, Entry, EntryKind, Name};

/// Size and hash of a received file.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// Size, in bytes.
    pub bytes: u64,
    /// BLAKE3 hash.
    pub hash: Hash,
}

impl From<&PatternSource> for Digest {
    fn from(pattern: &PatternSource) -> Self {
        Self {
            bytes: pattern.size(),
            hash: pattern.hash(),
        }
    }
}

/// Files that are hashed as they arrive, and generated when they are requested. What has arrived
/// cannot be read again. A clone is another handle on the same files.
#[derive(Clone, Debug, Default)]
pub struct HashStore {
    files: Arc<Mutex<BTreeMap<String, Contents>>>,
}

#[derive(Clone, Debug)]
enum Contents {
    Offered(PatternSource),
    Received(Digest),
}

impl Contents {
    fn bytes(&self) -> u64 {
        match self {
            Self::Offered(pattern) => pattern.size(),
            Self::Received(digest) => digest.bytes,
        }
    }
}

impl HashStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file that can be read.
    pub fn offer(&self, name: &Name, pattern: PatternSource) {
        self.files()
            .insert(name.to_string(), Contents::Offered(pattern));
    }

    /// Returns what has arrived completely under that name.
    pub fn received(&self, name: &Name) -> Option<Digest> {
        match self.files().get(name.as_str())? {
            Contents::Offered(_) => None,
            Contents::Received(digest) => Some(*digest),
        }
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<String, Contents>> {
        self.files.lock()
    }
}

impl Store for HashStore {
    fn open(&self, name: &Name) -> Result<Box<dyn Source>, StoreError> {
        let file = name.to_string();
        match self.files().get(name.as_str()) {
            Some(Contents::Offered(pattern)) => Ok(Box::new(pattern.clone())),
            Some(Contents::Received(_)) => Err(StoreError::PermissionDenied { name: file }),
            None => Err(StoreError::NotFound { name: file }),
        }
    }

    fn create(&self, name: &Name, options: CreateOptions<'_>) -> Result<Box<dyn Sink>, StoreError> {
        let overwrite = options.overwrite;
        if !overwrite && self.files().contains_key(name.as_str()) {
            return Err(StoreError::Exists {
                name: name.to_string(),
            });
        }
        Ok(Box::new(HashSink {
            store: self.clone(),
            name: name.clone(),
            overwrite,
            hasher: Hasher::new(),
        }))
    }

    /// A hash cannot be resumed: nothing is ever left behind.
    fn open_partial(
        &self,
        _: &Name,
        _: PartialOptions<'_>,
    ) -> Result<Option<ResumablePartial>, StoreError> {
        Ok(None)
    }

    fn stat(&self, name: &Name) -> Result<Option<Found>, StoreError> {
        simple::stat_by_opening(self, name)
    }

    fn scan(
        &self,
        folder: Option<&Name>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Found>, StoreError> {
        simple::scan_by_listing(self, folder, after, limit)
    }

    fn disk_usage(&self) -> Option<&dyn DiskUsage> {
        None
    }

    /// Folders exist as parts of names only.
    fn create_folder(&self, _: &Name, _: Option<u32>) -> Result<(), StoreError> {
        Ok(())
    }

    /// No disk is behind this store.
    fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn folds_case(&self) -> bool {
        false
    }

    /// Every file is in the root, whatever its name.
    fn list(
        &self,
        folder: Option<&Name>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        if let Some(folder) = folder {
            return Err(StoreError::NotFound {
                name: folder.to_string(),
            });
        }
        let files = self.files();
        let behind = files
            .iter()
            .filter(|(name, _)| after.is_none_or(|after| name.as_str() > after));
        let entry = |(name, held): (&String, &Contents)| Entry {
            name: name.clone().into(),
            kind: EntryKind::File,
            size: held.bytes(),
        };
        Ok(behind.take(limit).map(entry).collect())
    }
}

#[derive(Debug)]
struct HashSink {
    store: HashStore,
    name: Name,
    overwrite: bool,
    hasher: Hasher,
}

impl Sink for HashSink {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.hasher.update(bytes);
        Ok(())
    }

    fn block_verified(&mut self, _: BlockHash) -> Result<(), StoreError> {
        Ok(())
    }

    /// It is never resumed.
    fn reread(&self) -> Result<Box<dyn BlockReader>, StoreError> {
        Err(StoreError::no_seek(0))
    }

    fn replace_block(&mut self, index: u64, _: &[u8]) -> Result<(), StoreError> {
        Err(StoreError::no_seek(blocks::offset(index)))
    }

    /// Only contents are hashed.
    fn set_attributes(&mut self, _: Attributes) {}

    fn on_disk(&self) -> OnDisk {
        OnDisk::default()
    }

    fn store_synced(&mut self) {}

    fn flush(&mut self) -> Option<Box<dyn FnOnce() + Send>> {
        None
    }

    fn discard(self: Box<Self>) {}

    fn commit(self: Box<Self>) -> Result<Stored, StoreError> {
        let digest = Digest {
            bytes: self.hasher.count(),
            hash: self.hasher.finalize(),
        };
        let mut files = self.store.files();
        if !self.overwrite && files.contains_key(self.name.as_str()) {
            return Err(StoreError::Exists {
                name: self.name.to_string(),
            });
        }
        files.insert(self.name.to_string(), Contents::Received(digest));
        Ok(Stored::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Code;

    #[test]
    fn a_received_file_is_known_by_its_hash_once_it_is_complete() {
        let store = HashStore::new();
        let name = Name::parse("a").unwrap();
        let mut sink = store.create(&name, CreateOptions::new(6, false)).unwrap();
        sink.write(b"abc").unwrap();
        sink.write(b"def").unwrap();
        assert_eq!(store.received(&name), None);
        sink.commit().unwrap();
        let digest = store.received(&name).unwrap();
        assert_eq!(digest.bytes, 6);
        assert_eq!(digest.hash, blake3::hash(b"abcdef"));
        assert_eq!(
            store
                .create(&name, CreateOptions::new(1, false))
                .unwrap_err()
                .code(),
            Code::Exists
        );
        assert_eq!(store.list(None, None, 9).unwrap()[0].size, 6);
    }

    #[test]
    fn an_offered_pattern_can_be_read_repeatedly() {
        let store = HashStore::new();
        let name = Name::parse("a").unwrap();
        let pattern = PatternSource::new(3, 100);
        store.offer(&name, pattern.clone());
        for _ in 0..2 {
            let read = store.open(&name).unwrap().read(1000).unwrap();
            assert_eq!(blake3::hash(&read), Digest::from(&pattern).hash);
        }
        assert_eq!(store.received(&name), None);
        let missing = Name::parse("b").unwrap();
        assert_eq!(store.open(&missing).unwrap_err().code(), Code::NotFound);
    }
}
