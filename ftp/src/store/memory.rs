//! Files in memory: for tests, and for transfers in virtual time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{Origin, Parked, Sink, Source, Store, StoreError};
use crate::protocol::Name;
use crate::protocol::blocks::{self, BlockHash};
use crate::protocol::{Entry, EntryKind};

/// Never reserved ahead, whatever size is announced.
const MAX_RESERVED_BYTES: u64 = 64 << 20;

/// Files by name. A clone is another handle on the same files.
#[derive(Clone, Debug, Default)]
pub struct MemStore {
    files: Arc<Mutex<BTreeMap<String, File>>>,
    parked: Arc<Mutex<BTreeMap<(String, String), Left>>>,
    versions: Arc<AtomicU64>,
    capacity_bytes: Option<u64>,
}

/// A file, and the number that tells it from the one before of the same name.
#[derive(Clone, Debug)]
struct File {
    contents: Bytes,
    version: u64,
}

/// What a transfer left.
#[derive(Debug)]
struct Left {
    size: u64,
    source: String,
    hashes: Vec<BlockHash>,
    written: Vec<u8>,
}

impl MemStore {
    /// An empty store without a bound.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store that is full when a file is longer than `capacity_bytes`.
    pub fn with_capacity(capacity_bytes: u64) -> Self {
        Self {
            capacity_bytes: Some(capacity_bytes),
            ..Self::default()
        }
    }

    /// Puts a file in.
    pub fn insert(&self, name: &Name, contents: impl Into<Bytes>) {
        let file = self.version(contents.into());
        self.files().insert(name.to_string(), file);
    }

    /// The contents of a file.
    pub fn contents(&self, name: &Name) -> Option<Bytes> {
        let files = self.files();
        files.get(name.as_str()).map(|file| file.contents.clone())
    }

    /// Whether there is a file of that name with exactly these contents. Copies nothing.
    pub fn holds(&self, name: &Name, contents: &[u8]) -> bool {
        self.contents(name).is_some_and(|held| held == contents)
    }

    /// A source that is in no store.
    pub fn source(contents: impl Into<Bytes>) -> Box<dyn Source> {
        let rest = contents.into();
        Box::new(MemSource {
            whole: rest.clone(),
            rest,
            version: None,
        })
    }

    fn version(&self, contents: Bytes) -> File {
        let version = self.versions.fetch_add(1, Ordering::Relaxed);
        File { contents, version }
    }

    fn lefts(&self) -> MutexGuard<'_, BTreeMap<(String, String), Left>> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<String, File>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemStore {
    fn open(&self, name: &Name) -> Result<Box<dyn Source>, StoreError> {
        let missing = || StoreError::NotFound {
            name: name.to_string(),
        };
        let file = self.files().get(name.as_str()).cloned();
        let file = file.ok_or_else(missing)?;
        Ok(Box::new(MemSource {
            whole: file.contents.clone(),
            rest: file.contents,
            version: Some(file.version),
        }))
    }

    fn create(&self, name: &Name, size: u64, overwrite: bool) -> Result<Box<dyn Sink>, StoreError> {
        if !overwrite && self.files().contains_key(name.as_str()) {
            return Err(StoreError::Exists {
                name: name.to_string(),
            });
        }
        let reserved = usize::try_from(size.min(MAX_RESERVED_BYTES)).unwrap_or(0);
        let written = Vec::with_capacity(reserved);
        Ok(Box::new(MemSink {
            store: self.clone(),
            name: name.clone(),
            overwrite,
            written,
            parkable: None,
        }))
    }

    fn parked(
        &self,
        name: &Name,
        key: &str,
        overwrite: bool,
    ) -> Result<Option<Parked>, StoreError> {
        let place = (name.to_string(), key.to_owned());
        let Some(left) = self.lefts().remove(&place) else {
            return Ok(None);
        };
        let sink = MemSink {
            store: self.clone(),
            name: name.clone(),
            overwrite,
            written: left.written,
            parkable: Some(Parkable {
                key: place.1,
                size: left.size,
                source: left.source.clone(),
                hashes: left.hashes.clone(),
            }),
        };
        Ok(Some(Parked {
            size: left.size,
            source: left.source,
            hashes: left.hashes,
            sink: Box::new(sink),
        }))
    }

    fn create_parkable(
        &self,
        name: &Name,
        size: u64,
        overwrite: bool,
        origin: Origin<'_>,
    ) -> Result<Box<dyn Sink>, StoreError> {
        drop(self.create(name, size, overwrite)?);
        Ok(Box::new(MemSink {
            store: self.clone(),
            name: name.clone(),
            overwrite,
            written: Vec::new(),
            parkable: Some(Parkable {
                key: origin.key.to_owned(),
                size,
                source: origin.source.to_owned(),
                hashes: Vec::new(),
            }),
        }))
    }

    fn list(
        &self,
        folder: Option<&Name>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let prefix = folder.map_or_else(String::new, |folder| format!("{folder}/"));
        let files = self.files();
        let mut entries: BTreeMap<&str, Entry> = BTreeMap::new();
        for (name, file) in files.iter() {
            let Some(rest) = name.strip_prefix(&prefix) else {
                continue;
            };
            let (name, kind, size) = match rest.split_once('/') {
                Some((name, _)) => (name, EntryKind::Folder, 0),
                None => (rest, EntryKind::File, file.contents.len() as u64),
            };
            entries.entry(name).or_insert_with(|| Entry {
                name: name.to_owned(),
                kind,
                size,
            });
        }
        if let Some(folder) = folder.filter(|_| entries.is_empty()) {
            return Err(StoreError::NotFound {
                name: folder.to_string(),
            });
        }
        let behind = entries
            .into_values()
            .filter(|e| after.is_none_or(|a| e.name.as_str() > a));
        Ok(behind.take(limit).collect())
    }
}

#[derive(Debug)]
struct MemSource {
    whole: Bytes,
    rest: Bytes,
    version: Option<u64>,
}

impl Source for MemSource {
    fn size(&self) -> u64 {
        self.whole.len() as u64
    }

    fn read(&mut self, max: usize) -> Result<Bytes, StoreError> {
        Ok(self.rest.split_to(self.rest.len().min(max)))
    }

    fn fingerprint(&self) -> Option<String> {
        let version = self.version?;
        Some(format!("memory {version} {}", self.whole.len()))
    }

    fn seek(&mut self, offset: u64) -> Result<(), StoreError> {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        self.rest = self.whole.slice(offset.min(self.whole.len())..);
        Ok(())
    }
}

#[derive(Debug)]
struct MemSink {
    store: MemStore,
    name: Name,
    overwrite: bool,
    written: Vec<u8>,
    /// `None` once there is nothing to park.
    parkable: Option<Parkable>,
}

/// What is needed to go on.
#[derive(Debug)]
struct Parkable {
    key: String,
    size: u64,
    source: String,
    hashes: Vec<BlockHash>,
}

impl Drop for MemSink {
    fn drop(&mut self) {
        let Some(parkable) = self.parkable.take().filter(|it| !it.hashes.is_empty()) else {
            return;
        };
        let mut written = std::mem::take(&mut self.written);
        let verified = blocks::offset(parkable.hashes.len() as u64);
        written.truncate(usize::try_from(verified).unwrap_or(usize::MAX));
        let left = Left {
            size: parkable.size,
            source: parkable.source,
            hashes: parkable.hashes,
            written,
        };
        let place = (self.name.to_string(), parkable.key);
        self.store.lefts().insert(place, left);
    }
}

impl Sink for MemSink {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let length = self.written.len() as u64 + bytes.len() as u64;
        if self
            .store
            .capacity_bytes
            .is_some_and(|capacity| length > capacity)
        {
            return Err(StoreError::DiskFull {
                name: self.name.to_string(),
            });
        }
        self.written.extend_from_slice(bytes);
        Ok(())
    }

    fn verified(&mut self, hash: BlockHash) -> Result<(), StoreError> {
        if let Some(parkable) = &mut self.parkable {
            parkable.hashes.push(hash);
        }
        Ok(())
    }

    fn discard(mut self: Box<Self>) {
        self.parkable = None;
    }

    fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        self.parkable = None;
        let file = self.store.version(std::mem::take(&mut self.written).into());
        let mut files = self.store.files();
        if !self.overwrite && files.contains_key(self.name.as_str()) {
            return Err(StoreError::Exists {
                name: self.name.to_string(),
            });
        }
        files.insert(self.name.to_string(), file);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_the_promises_of_a_store() {
        let store = MemStore::with_capacity(3);
        let name = Name::parse("sub/a").unwrap();
        let mut sink = store.create(&name, 3, true).unwrap();
        sink.write(b"abc").unwrap();
        assert_eq!(store.contents(&name), None);
        assert!(matches!(sink.write(b"d"), Err(StoreError::DiskFull { .. })));
        sink.commit().unwrap();
        assert_eq!(store.open(&name).unwrap().read(10).unwrap(), "abc");
        assert!(store.holds(&name, b"abc"));
        assert!(!store.holds(&name, b"ab") && !store.holds(&Name::parse("b").unwrap(), b"abc"));
        assert!(matches!(
            store.create(&name, 1, false),
            Err(StoreError::Exists { .. })
        ));
        let top = store.list(None, None, 10).unwrap();
        assert_eq!(
            (top[0].name.as_str(), top[0].kind),
            ("sub", EntryKind::Folder)
        );
        let sub = store
            .list(Some(&Name::parse("sub").unwrap()), None, 10)
            .unwrap();
        assert_eq!((sub[0].name.as_str(), sub[0].size), ("a", 3));
    }
}
