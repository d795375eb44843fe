//! Files in memory: for tests, and for transfers in virtual time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{Sink, Source, Store, StoreError};
use crate::message::{Entry, EntryKind};
use crate::names::Name;

/// Never reserved ahead, whatever size is announced.
const MAX_RESERVED_BYTES: u64 = 64 << 20;

/// Files by name. A clone is another handle on the same files.
#[derive(Clone, Debug, Default)]
pub struct MemStore {
    files: Arc<Mutex<BTreeMap<String, Bytes>>>,
    capacity_bytes: Option<u64>,
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
        self.files().insert(name.to_string(), contents.into());
    }

    /// The contents of a file.
    pub fn contents(&self, name: &Name) -> Option<Bytes> {
        self.files().get(name.as_str()).cloned()
    }

    /// Whether there is a file of that name with exactly these contents. Copies nothing.
    pub fn holds(&self, name: &Name, contents: &[u8]) -> bool {
        self.contents(name).is_some_and(|held| held == contents)
    }

    /// A source that is in no store.
    pub fn source(contents: impl Into<Bytes>) -> Box<dyn Source> {
        let rest = contents.into();
        Box::new(MemSource {
            size: rest.len() as u64,
            rest,
        })
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<String, Bytes>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemStore {
    fn open(&self, name: &Name) -> Result<Box<dyn Source>, StoreError> {
        let missing = || StoreError::NotFound {
            name: name.to_string(),
        };
        self.contents(name).map(Self::source).ok_or_else(missing)
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
        for (name, contents) in files.iter() {
            let Some(rest) = name.strip_prefix(&prefix) else {
                continue;
            };
            let (name, kind, size) = match rest.split_once('/') {
                Some((name, _)) => (name, EntryKind::Folder, 0),
                None => (rest, EntryKind::File, contents.len() as u64),
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
    size: u64,
    rest: Bytes,
}

impl Source for MemSource {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&mut self, max: usize) -> Result<Bytes, StoreError> {
        Ok(self.rest.split_to(self.rest.len().min(max)))
    }
}

#[derive(Debug)]
struct MemSink {
    store: MemStore,
    name: Name,
    overwrite: bool,
    written: Vec<u8>,
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

    fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let mut files = self.store.files();
        if !self.overwrite && files.contains_key(self.name.as_str()) {
            return Err(StoreError::Exists {
                name: self.name.to_string(),
            });
        }
        files.insert(self.name.to_string(), self.written.into());
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
