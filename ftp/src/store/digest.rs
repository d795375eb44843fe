//! A store that keeps no bytes: it gives away patterns and remembers hashes. For benches.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blake3::{Hash, Hasher};

use super::{PatternSource, Sink, Source, Store, StoreError};
use crate::protocol::Name;
use crate::protocol::{Entry, EntryKind};

/// What is left of a file that was received.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// Its size.
    pub bytes: u64,
    /// Its BLAKE3 hash.
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

/// Files that are only hashed when they arrive, and made up when they are asked for. What has
/// arrived cannot be read again. A clone is another handle on the same files.
#[derive(Clone, Debug, Default)]
pub struct HashStore {
    files: Arc<Mutex<BTreeMap<String, Held>>>,
}

#[derive(Clone, Debug)]
enum Held {
    Offered(PatternSource),
    Received(Digest),
}

impl Held {
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

    /// Puts a file in that can be read.
    pub fn offer(&self, name: &Name, pattern: PatternSource) {
        self.files()
            .insert(name.to_string(), Held::Offered(pattern));
    }

    /// What has arrived whole under that name.
    pub fn received(&self, name: &Name) -> Option<Digest> {
        match self.files().get(name.as_str())? {
            Held::Offered(_) => None,
            Held::Received(digest) => Some(*digest),
        }
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<String, Held>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for HashStore {
    fn open(&self, name: &Name) -> Result<Box<dyn Source>, StoreError> {
        let file = name.to_string();
        match self.files().get(name.as_str()) {
            Some(Held::Offered(pattern)) => Ok(Box::new(pattern.clone())),
            Some(Held::Received(_)) => Err(StoreError::PermissionDenied { name: file }),
            None => Err(StoreError::NotFound { name: file }),
        }
    }

    fn create(&self, name: &Name, _: u64, overwrite: bool) -> Result<Box<dyn Sink>, StoreError> {
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
        let entry = |(name, held): (&String, &Held)| Entry {
            name: name.clone(),
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

    fn commit(self: Box<Self>) -> Result<(), StoreError> {
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
        files.insert(self.name.to_string(), Held::Received(digest));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Code;

    #[test]
    fn what_arrives_is_known_by_its_hash_once_it_is_whole() {
        let store = HashStore::new();
        let name = Name::parse("a").unwrap();
        let mut sink = store.create(&name, 6, false).unwrap();
        sink.write(b"abc").unwrap();
        sink.write(b"def").unwrap();
        assert_eq!(store.received(&name), None);
        sink.commit().unwrap();
        let digest = store.received(&name).unwrap();
        assert_eq!(digest.bytes, 6);
        assert_eq!(digest.hash, blake3::hash(b"abcdef"));
        assert_eq!(
            store.create(&name, 1, false).unwrap_err().code(),
            Code::Exists
        );
        assert_eq!(store.list(None, None, 9).unwrap()[0].size, 6);
    }

    #[test]
    fn an_offered_pattern_is_read_as_often_as_one_likes() {
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
